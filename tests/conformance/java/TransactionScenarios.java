import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.AbortTransactionSpec;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.ListTransactionsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.TransactionDescription;
import org.apache.kafka.clients.admin.TransactionListing;
import org.apache.kafka.clients.admin.TransactionState;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.errors.TransactionalIdNotFoundException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Apache Kafka's Java clients in transactions, at the level of transaction.version given as the
 * second argument.
 */
public final class TransactionScenarios extends Scenarios {
    private TransactionScenarios(String bootstrap) {
        super(bootstrap);
    }

    public static void main(String[] arguments) throws Exception {
        TransactionScenarios client = new TransactionScenarios(arguments[0]);
        client.bringToLevel(Short.parseShort(arguments[1]));
        Map<String, Scenario> scenarios = new LinkedHashMap<>();
        scenarios.put("commits_and_aborts", client::commitsAndAborts);
        scenarios.put("many_in_a_row", client::manyInARow);
        scenarios.put("an_empty_transaction", client::anEmptyTransaction);
        scenarios.put("a_second_producer_fences_the_first", client::fencing);
        scenarios.put("an_open_transaction_times_out", client::timeout);
        scenarios.put("a_copy_with_its_offsets", client::copyWithOffsets);
        scenarios.put("aborted_offsets", client::abortedOffsets);
        scenarios.put("listed_and_described", client::listedAndDescribed);
        scenarios.put("aborted_by_an_administrator", client::abortedByAnAdministrator);
        scenarios.put("fenced_by_an_administrator", client::fencedByAnAdministrator);
        client.play(scenarios);
    }

    private void bringToLevel(short level) throws Exception {
        short now = level();
        if (now != level) {
            FeatureUpdate.UpgradeType type = now < level
                ? FeatureUpdate.UpgradeType.UPGRADE : FeatureUpdate.UpgradeType.SAFE_DOWNGRADE;
            admin.updateFeatures(
                Map.of("transaction.version", new FeatureUpdate(level, type)),
                new UpdateFeaturesOptions()).all().get();
        }
        eventually(() -> check(level() == level, "level " + level()));
    }

    private short level() throws Exception {
        var finalized = admin.describeFeatures().featureMetadata().get().finalizedFeatures();
        var range = finalized.get("transaction.version");
        return range == null ? 0 : range.maxVersionLevel();
    }

    private void commitsAndAborts() throws Exception {
        String topic = newTopic(2);
        try (KafkaProducer<String, String> producer = producer(name(), Map.of())) {
            producer.initTransactions();
            for (String story : List.of("a commit", "b abort", "c commit", "d abort", "e commit")) {
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(topic, 0, "k", story));
                producer.send(new ProducerRecord<>(topic, 1, "k", story));
                if (story.endsWith("commit")) {
                    commit(producer);
                } else {
                    producer.flush();
                    producer.abortTransaction();
                }
            }
        }
        equal(List.of("a commit", "c commit", "e commit"), committed(topic, 0, 3));
        equal(List.of("a commit", "c commit", "e commit"), committed(topic, 1, 3));
        equal(5, values(topic, 0, 5, "read_uncommitted").size());
    }

    private void manyInARow() throws Exception {
        String topic = newTopic(3);
        List<String> wanted = new ArrayList<>();
        try (KafkaProducer<String, String> producer = producer(name(), Map.of())) {
            producer.initTransactions();
            for (int number = 0; number < 60; number++) {
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(topic, number % 3, "k", "v" + number));
                commit(producer);
                if (number % 3 == 0) {
                    wanted.add("v" + number);
                }
            }
        }
        equal(wanted, committed(topic, 0, wanted.size()));
    }

    private void anEmptyTransaction() {
        try (KafkaProducer<String, String> producer = producer(name(), Map.of())) {
            producer.initTransactions();
            producer.beginTransaction();
            commit(producer);
            producer.beginTransaction();
            producer.abortTransaction();
        }
    }

    private void fencing() throws Exception {
        String topic = newTopic(1);
        String id = name();
        try (KafkaProducer<String, String> first = producer(id, Map.of());
                KafkaProducer<String, String> second = producer(id, Map.of())) {
            first.initTransactions();
            first.beginTransaction();
            first.send(new ProducerRecord<>(topic, 0, "k", "of the first")).get();
            second.initTransactions();
            fails(KafkaException.class, () -> {
                first.send(new ProducerRecord<>(topic, 0, "k", "too late"));
                first.commitTransaction();
            });
            fails(ProducerFencedException.class, () -> {
                first.abortTransaction();
                first.beginTransaction();
                first.send(new ProducerRecord<>(topic, 0, "k", "too late"));
                first.commitTransaction();
            });
            second.beginTransaction();
            second.send(new ProducerRecord<>(topic, 0, "k", "of the second"));
            commit(second);
        }
        equal(List.of("of the second"), committed(topic, 0, 1));
    }

    private void timeout() throws Exception {
        String topic = newTopic(1);
        String id = name();
        try (KafkaProducer<String, String> slow =
                producer(id, Map.of("transaction.timeout.ms", "500"))) {
            slow.initTransactions();
            slow.beginTransaction();
            slow.send(new ProducerRecord<>(topic, 0, "k", "too slow")).get();
            eventually(() -> check(
                describe(id).state() == TransactionState.COMPLETE_ABORT, describe(id).toString()));
            fails(KafkaException.class, slow::commitTransaction);
        }
        try (KafkaProducer<String, String> other = producer(name(), Map.of())) {
            other.initTransactions();
            other.beginTransaction();
            other.send(new ProducerRecord<>(topic, 0, "k", "in time"));
            commit(other);
        }
        equal(List.of("in time"), committed(topic, 0, 1));
    }

    private void copyWithOffsets() throws Exception {
        String from = newTopic(1);
        String to = newTopic(1);
        String group = name();
        try (KafkaProducer<String, String> producer = producer(name(), Map.of())) {
            producer.initTransactions();
            producer.beginTransaction();
            for (int number = 0; number < 30; number++) {
                producer.send(new ProducerRecord<>(from, 0, "k", "v" + number));
            }
            commit(producer);
        }
        try (KafkaProducer<String, String> producer = producer(name(), Map.of());
                KafkaConsumer<String, String> consumer = consumer("read_committed", group)) {
            producer.initTransactions();
            consumer.subscribe(List.of(from));
            int copied = 0;
            long end = System.nanoTime() + PATIENCE.toNanos();
            while (copied < 30) {
                check(System.nanoTime() < end, "copied " + copied);
                var records = consumer.poll(Duration.ofMillis(200));
                if (records.isEmpty()) {
                    continue;
                }
                producer.beginTransaction();
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                for (ConsumerRecord<String, String> each : records) {
                    producer.send(new ProducerRecord<>(to, 0, each.key(), each.value()));
                    offsets.put(new TopicPartition(from, 0),
                        new OffsetAndMetadata(each.offset() + 1));
                    copied++;
                }
                producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
                commit(producer);
            }
            TopicPartition source = new TopicPartition(from, 0);
            equal(30L, consumer.committed(Set.of(source)).get(source).offset());
        }
        equal(30, committed(to, 0, 30).size());
    }

    private void abortedOffsets() throws Exception {
        String topic = newTopic(1);
        String group = name();
        TopicPartition partition = new TopicPartition(topic, 0);
        try (KafkaProducer<String, String> producer = producer(name(), Map.of());
                KafkaConsumer<String, String> consumer = consumer("read_committed", group)) {
            producer.initTransactions();
            var metadata = new org.apache.kafka.clients.consumer.ConsumerGroupMetadata(group);
            for (boolean isCommit : new boolean[] {true, false}) {
                producer.beginTransaction();
                long offset = isCommit ? 7 : 9;
                producer.sendOffsetsToTransaction(
                    Map.of(partition, new OffsetAndMetadata(offset)), metadata);
                if (isCommit) {
                    commit(producer);
                } else {
                    producer.abortTransaction();
                }
            }
            equal(7L, consumer.committed(Set.of(partition)).get(partition).offset());
        }
    }

    private void listedAndDescribed() throws Exception {
        String topic = newTopic(2);
        String id = name();
        fails(TransactionalIdNotFoundException.class, () -> describe(name()));
        try (KafkaProducer<String, String> producer = producer(id, Map.of())) {
            producer.initTransactions();
            equal(TransactionState.EMPTY, describe(id).state());
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, 0, "k", "v")).get();
            producer.send(new ProducerRecord<>(topic, 1, "k", "v")).get();
            TransactionDescription described = describe(id);
            equal(TransactionState.ONGOING, described.state());
            equal(Set.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1)),
                described.topicPartitions());
            check(described.transactionStartTimeMs().isPresent(), "no start");
            check(listed(new ListTransactionsOptions()).contains(id), "not listed");
            check(listed(new ListTransactionsOptions().filterStates(
                List.of(TransactionState.ONGOING))).contains(id), "not listed by state");
            check(!listed(new ListTransactionsOptions().filterStates(
                List.of(TransactionState.EMPTY))).contains(id), "listed by another state");
            equal(List.of(id), listed(new ListTransactionsOptions().filterProducerIds(
                List.of(described.producerId()))));
            check(!listed(new ListTransactionsOptions().filterOnDuration(600_000)
                .filterStates(List.of(TransactionState.ONGOING))).contains(id), "listed by age");
            ProducerState active = activeProducer(topic);
            equal(described.producerId(), active.producerId());
            check(active.currentTransactionStartOffset().isPresent(), "no open transaction");
            commit(producer);
            eventually(() -> equal(TransactionState.COMPLETE_COMMIT, describe(id).state()));
            equal(Set.of(), describe(id).topicPartitions());
        }
    }

    private void abortedByAnAdministrator() throws Exception {
        String topic = newTopic(1);
        String id = name();
        try (KafkaProducer<String, String> producer = producer(id, Map.of())) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, 0, "k", "hanging")).get();
            ProducerState hanging = activeProducer(topic);
            admin.abortTransaction(new AbortTransactionSpec(
                new TopicPartition(topic, 0), hanging.producerId(),
                (short) hanging.producerEpoch(), hanging.coordinatorEpoch().orElse(0)))
                .all().get();
            eventually(() -> check(
                activeProducer(topic).currentTransactionStartOffset().isEmpty(), "still open"));
        }
        try (KafkaProducer<String, String> other = producer(name(), Map.of())) {
            other.initTransactions();
            other.beginTransaction();
            other.send(new ProducerRecord<>(topic, 0, "k", "after"));
            commit(other);
        }
        equal(List.of("after"), committed(topic, 0, 1));
    }

    private void fencedByAnAdministrator() throws Exception {
        String topic = newTopic(1);
        String id = name();
        try (KafkaProducer<String, String> producer = producer(id, Map.of())) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, 0, "k", "v")).get();
            admin.fenceProducers(List.of(id)).all().get();
            fails(KafkaException.class, producer::commitTransaction);
        }
    }

    /**
     * Kafka's sender thread asks whether batches are incomplete, and only then takes the next request
     * off its queue: records sent and committed between the two are overtaken by their own EndTxn,
     * which from transaction.version 2 on finds no transaction. So what was sent is waited for.
     */
    private static void commit(KafkaProducer<String, String> producer) {
        producer.flush();
        producer.commitTransaction();
    }

    private TransactionDescription describe(String id) throws Exception {
        return unwrapped(() -> admin.describeTransactions(List.of(id)).all().get().get(id));
    }

    private List<String> listed(ListTransactionsOptions options) throws Exception {
        return admin.listTransactions(options).all().get().stream()
            .map(TransactionListing::transactionalId).toList();
    }

    private ProducerState activeProducer(String topic) throws Exception {
        TopicPartition partition = new TopicPartition(topic, 0);
        return admin.describeProducers(List.of(partition)).partitionResult(partition).get()
            .activeProducers().get(0);
    }

    private String newTopic(int partitions) throws Exception {
        String topic = name();
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
        return topic;
    }

    private String name() {
        return "transactions-" + ProcessHandle.current().pid() + "-" + counter++;
    }

    private KafkaProducer<String, String> producer(String id, Map<String, String> settings) {
        Map<String, Object> all = properties(Map.of("transactional.id", id, "max.block.ms", "20000"));
        all.putAll(settings);
        return new KafkaProducer<>(all, new StringSerializer(), new StringSerializer());
    }

    private KafkaConsumer<String, String> consumer(String isolation, String group) {
        return new KafkaConsumer<>(properties(Map.of(
            "isolation.level", isolation, "group.id", group, "enable.auto.commit", "false",
            "auto.offset.reset", "earliest")), new StringDeserializer(), new StringDeserializer());
    }

    private List<String> committed(String topic, int partition, int count) throws Exception {
        return values(topic, partition, count, "read_committed");
    }

    private List<String> values(String topic, int partition, int count, String isolation)
            throws Exception {
        List<String> values = new ArrayList<>();
        try (KafkaConsumer<String, String> consumer = consumer(isolation, name())) {
            TopicPartition wanted = new TopicPartition(topic, partition);
            consumer.assign(List.of(wanted));
            long end = System.nanoTime() + PATIENCE.toNanos();
            while (values.size() < count && System.nanoTime() < end) {
                consumer.poll(Duration.ofMillis(100)).forEach(each -> values.add(each.value()));
            }
            consumer.poll(Duration.ofMillis(100)).forEach(each -> values.add(each.value()));
        }
        return values;
    }

    private interface Answer<T> {
        T get() throws Exception;
    }

    private static <T> T unwrapped(Answer<T> answer) throws Exception {
        try {
            return answer.get();
        } catch (ExecutionException wrapped) {
            throw (Exception) wrapped.getCause();
        }
    }

    private static void eventually(Scenario scenario) throws Exception {
        long end = System.nanoTime() + PATIENCE.toNanos();
        while (true) {
            try {
                scenario.run();
                return;
            } catch (AssertionError | KafkaException failure) {
                if (System.nanoTime() > end) {
                    throw failure;
                }
                Thread.sleep(50);
            }
        }
    }

    private static void fails(Class<? extends Exception> wanted, Scenario scenario) {
        try {
            scenario.run();
        } catch (Exception failure) {
            check(wanted.isInstance(failure), "failed otherwise: " + failure);
            return;
        }
        throw new AssertionError("did not fail");
    }

}
