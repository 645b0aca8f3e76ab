import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.ShareGroupDescription;
import org.apache.kafka.clients.admin.SharePartitionOffsetInfo;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.GroupType;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.InvalidRecordStateException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Apache Kafka's Java share consumer and the share part of its admin client.
 */
public final class ShareScenarios extends Scenarios {
    private ShareScenarios(String bootstrap) {
        super(bootstrap);
    }

    public static void main(String[] arguments) throws Exception {
        ShareScenarios client = new ShareScenarios(arguments[0]);
        Map<String, Scenario> scenarios = new LinkedHashMap<>();
        scenarios.put("implicit_acknowledgement", client::implicitAcknowledgement);
        scenarios.put("accept_release_reject", client::acceptReleaseReject);
        scenarios.put("delivery_count_limit", client::deliveryCountLimit);
        scenarios.put("lock_that_runs_out", client::lockThatRunsOut);
        scenarios.put("renewed_lock", client::renewedLock);
        scenarios.put("several_consumers", client::severalConsumers);
        scenarios.put("close_releases", client::closeReleases);
        scenarios.put("record_limit", client::recordLimit);
        scenarios.put("read_committed", client::readCommitted);
        scenarios.put("start_at_the_end", client::startAtTheEnd);
        scenarios.put("administration", client::administration);
        client.play(scenarios);
    }

    private void implicitAcknowledgement() throws Exception {
        String topic = newTopic(2);
        String group = newGroup(Map.of());
        send(topic, 0, 10);
        send(topic, 1, 10);
        try (KafkaShareConsumer<String, String> consumer = consumer(group, topic, Map.of())) {
            List<ConsumerRecord<String, String>> got = poll(consumer, 20);
            equal(Set.of((short) 1), counts(got));
            noErrors(consumer.commitSync());
            equal(List.of(), pollOnce(consumer));
        }
        send(topic, 0, 1);
        try (KafkaShareConsumer<String, String> consumer = consumer(group, topic, Map.of())) {
            equal(List.of("0:10"), places(poll(consumer, 1)));
        }
    }

    private void acceptReleaseReject() throws Exception {
        String topic = newTopic(1);
        String group = newGroup(Map.of());
        send(topic, 0, 6);
        try (KafkaShareConsumer<String, String> consumer = explicit(group, topic)) {
            AcknowledgeType[] types = {
                AcknowledgeType.ACCEPT, AcknowledgeType.RELEASE, AcknowledgeType.REJECT};
            for (ConsumerRecord<String, String> each : poll(consumer, 6)) {
                consumer.acknowledge(each, types[(int) each.offset() % 3]);
            }
            noErrors(consumer.commitSync());
            List<ConsumerRecord<String, String>> again = poll(consumer, 2);
            equal(List.of("0:1", "0:4"), places(again));
            equal(Set.of((short) 2), counts(again));
            again.forEach(consumer::acknowledge);
            noErrors(consumer.commitSync());
            equal(List.of(), pollOnce(consumer));
        }
        // Kafka's start offset follows later, with the next write.
        equal(0L, offsets(group).get(new TopicPartition(topic, 0)).lag().get());
    }

    private void deliveryCountLimit() throws Exception {
        String topic = newTopic(1);
        String group = newGroup(Map.of("share.delivery.count.limit", "2"));
        send(topic, 0, 1);
        try (KafkaShareConsumer<String, String> consumer = explicit(group, topic)) {
            for (short delivery = 1; delivery <= 2; delivery++) {
                List<ConsumerRecord<String, String>> got = poll(consumer, 1);
                equal(Set.of(delivery), counts(got));
                consumer.acknowledge(got.get(0), AcknowledgeType.RELEASE);
                noErrors(consumer.commitSync());
            }
            equal(List.of(), pollOnce(consumer));
            send(topic, 0, 1);
            equal(List.of("0:1"), places(poll(consumer, 1)));
        }
    }

    private void lockThatRunsOut() throws Exception {
        String topic = newTopic(1);
        String group = newGroup(Map.of("share.record.lock.duration.ms", "1000"));
        send(topic, 0, 3);
        try (KafkaShareConsumer<String, String> slow = explicit(group, topic);
                KafkaShareConsumer<String, String> other = explicit(group, topic)) {
            List<ConsumerRecord<String, String>> late = poll(slow, 3);
            List<ConsumerRecord<String, String>> got = poll(other, 3);
            equal(Set.of((short) 2), counts(got));
            late.forEach(slow::acknowledge);
            boolean isRefused = slow.commitSync().values().stream().allMatch(
                error -> error.orElse(null) instanceof InvalidRecordStateException);
            equal(true, isRefused);
            got.forEach(other::acknowledge);
            noErrors(other.commitSync());
        }
    }

    private void renewedLock() throws Exception {
        String topic = newTopic(1);
        String group = newGroup(Map.of("share.record.lock.duration.ms", "1500"));
        send(topic, 0, 2);
        try (KafkaShareConsumer<String, String> busy = explicit(group, topic);
                KafkaShareConsumer<String, String> other = explicit(group, topic)) {
            List<ConsumerRecord<String, String>> held = poll(busy, 2);
            for (int round = 0; round < 5; round++) {
                for (ConsumerRecord<String, String> each : held) {
                    busy.acknowledge(each, AcknowledgeType.RENEW);
                }
                noErrors(busy.commitSync());
                held = poll(busy, 2);
                equal(Set.of((short) 1), counts(held));
                equal(List.of(), places(list(other.poll(Duration.ofMillis(500)))));
            }
            held.forEach(busy::acknowledge);
            noErrors(busy.commitSync());
        }
        equal(0L, offsets(group).get(new TopicPartition(topic, 0)).lag().get());
    }

    private void severalConsumers() throws Exception {
        String topic = newTopic(1);
        String group = newGroup(Map.of());
        List<String> got = new ArrayList<>();
        try (KafkaShareConsumer<String, String> first = consumer(group, topic, Map.of());
                KafkaShareConsumer<String, String> second = consumer(group, topic, Map.of())) {
            Set<KafkaShareConsumer<String, String>> served = new java.util.HashSet<>();
            long deadline = System.currentTimeMillis() + PATIENCE.toMillis();
            int sent = 0;
            while (served.size() < 2 || got.size() < sent) {
                equal(true, System.currentTimeMillis() < deadline);
                if (served.size() < 2) {
                    send(topic, 0, 2);
                    sent += 2;
                }
                for (KafkaShareConsumer<String, String> each : List.of(first, second)) {
                    List<ConsumerRecord<String, String>> some =
                        list(each.poll(Duration.ofMillis(100)));
                    got.addAll(places(some));
                    if (!some.isEmpty()) {
                        served.add(each);
                    }
                }
            }
        }
        equal(got.size(), new TreeSet<>(got).size());
    }

    private void closeReleases() throws Exception {
        String topic = newTopic(1);
        String group = newGroup(Map.of());
        send(topic, 0, 3);
        try (KafkaShareConsumer<String, String> consumer = explicit(group, topic)) {
            poll(consumer, 3);
        }
        try (KafkaShareConsumer<String, String> consumer = consumer(group, topic, Map.of())) {
            equal(Set.of((short) 2), counts(poll(consumer, 3)));
        }
    }

    private void recordLimit() throws Exception {
        String topic = newTopic(1);
        String group = newGroup(Map.of());
        try (KafkaProducer<String, String> producer = producer(Map.of("linger.ms", "1000"))) {
            for (int number = 0; number < 10; number++) {
                producer.send(new ProducerRecord<>(topic, 0, "k", "v" + number));
            }
        }
        Map<String, String> strict = Map.of(
            "share.acquire.mode", "record_limit", "max.poll.records", "3",
            "share.acknowledgement.mode", "explicit");
        try (KafkaShareConsumer<String, String> first = consumer(group, topic, strict);
                KafkaShareConsumer<String, String> second = consumer(group, topic, strict)) {
            equal(List.of("0:0", "0:1", "0:2"), places(poll(first, 3)));
            equal(List.of("0:3", "0:4", "0:5"), places(poll(second, 3)));
        }
    }

    private void readCommitted() throws Exception {
        String topic = newTopic(1);
        String group = newGroup(Map.of("share.isolation.level", "read_committed"));
        try (KafkaProducer<String, String> producer = producer(Map.of(
                "transactional.id", "share-" + group))) {
            producer.initTransactions();
            for (int number = 0; number < 4; number++) {
                producer.beginTransaction();
                producer.send(new ProducerRecord<>(topic, 0, "k", "v" + number)).get();
                if (number % 2 == 0) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
        }
        try (KafkaShareConsumer<String, String> consumer = consumer(group, topic, Map.of())) {
            List<String> values = poll(consumer, 2).stream().map(ConsumerRecord::value).toList();
            equal(List.of("v0", "v2"), values);
            consumer.commitSync();
            equal(List.of(), pollOnce(consumer));
        }
    }

    private void startAtTheEnd() throws Exception {
        String topic = newTopic(1);
        String group = newGroup(Map.of("share.auto.offset.reset", "latest"));
        send(topic, 0, 5);
        try (KafkaShareConsumer<String, String> consumer = consumer(group, topic, Map.of())) {
            List<ConsumerRecord<String, String>> got = new ArrayList<>();
            long deadline = System.currentTimeMillis() + PATIENCE.toMillis();
            while (got.isEmpty()) {
                equal(true, System.currentTimeMillis() < deadline);
                got = list(consumer.poll(Duration.ofMillis(200)));
                send(topic, 0, 1);
            }
            equal(true, got.get(0).offset() >= 5);
        }
        String recent = newGroup(Map.of("share.auto.offset.reset", "by_duration:PT1H"));
        try (KafkaShareConsumer<String, String> consumer = consumer(recent, topic, Map.of())) {
            List<ConsumerRecord<String, String>> all = new ArrayList<>();
            while (all.isEmpty()) {
                all = list(consumer.poll(PATIENCE));
            }
            equal(0L, all.get(0).offset());
        }
    }

    private void administration() throws Exception {
        String topic = newTopic(2);
        String group = newGroup(Map.of());
        TopicPartition partition = new TopicPartition(topic, 0);
        send(topic, 0, 4);
        send(topic, 1, 1);
        try (KafkaShareConsumer<String, String> consumer = consumer(group, topic, Map.of())) {
            poll(consumer, 5);
            consumer.commitSync();
            ShareGroupDescription described =
                admin.describeShareGroups(List.of(group)).all().get().get(group);
            equal(GroupState.STABLE, described.groupState());
            equal(1, described.members().size());
            equal(2, described.members().iterator().next()
                .assignment().topicPartitions().size());
            fails(GroupNotEmptyException.class,
                () -> admin.alterShareGroupOffsets(group, Map.of(partition, 0L)).all().get());
            fails(GroupNotEmptyException.class,
                () -> admin.deleteShareGroups(List.of(group)).all().get());
        }
        GroupListing listing = admin.listGroups().all().get().stream()
            .filter(each -> each.groupId().equals(group)).findFirst().get();
        equal(GroupType.SHARE, listing.type().get());
        equal("share", listing.protocol());
        equal(0L, offsets(group).get(partition).lag().get());
        admin.alterShareGroupOffsets(group, Map.of(partition, 1L)).all().get();
        equal(1L, offsets(group).get(partition).startOffset());
        try (KafkaShareConsumer<String, String> consumer = consumer(group, topic, Map.of())) {
            List<ConsumerRecord<String, String>> again = poll(consumer, 3);
            equal(List.of("0:1", "0:2", "0:3"), places(again));
            equal(Set.of((short) 1), counts(again));
            consumer.commitSync();
        }
        admin.deleteShareGroupOffsets(group, Set.of(topic)).all().get();
        equal(Map.of(), offsets(group));
        admin.deleteShareGroups(List.of(group)).all().get();
        fails(GroupIdNotFoundException.class,
            () -> admin.describeShareGroups(List.of(group)).all().get());
        fails(GroupIdNotFoundException.class,
            () -> admin.deleteShareGroups(List.of(group)).all().get());
    }

    private Map<TopicPartition, SharePartitionOffsetInfo> offsets(String group) throws Exception {
        Map<TopicPartition, SharePartitionOffsetInfo> found = admin.listShareGroupOffsets(
            Map.of(group, new ListShareGroupOffsetsSpec())).partitionsToOffsetInfo(group).get();
        return new HashMap<>(found);
    }

    private String newTopic(int partitions) throws Exception {
        String name = "share-topic-" + System.nanoTime() + "-" + counter++;
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all().get();
        return name;
    }

    private String newGroup(Map<String, String> configs) throws Exception {
        String name = "share-group-" + System.nanoTime() + "-" + counter++;
        Map<String, String> all = new TreeMap<>(Map.of("share.auto.offset.reset", "earliest"));
        all.putAll(configs);
        List<AlterConfigOp> changes = all.entrySet().stream().map(each -> new AlterConfigOp(
            new ConfigEntry(each.getKey(), each.getValue()), AlterConfigOp.OpType.SET)).toList();
        ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, name);
        admin.incrementalAlterConfigs(Map.of(resource, changes)).all().get();
        return name;
    }

    private void send(String topic, int partition, int count) throws Exception {
        try (KafkaProducer<String, String> producer = producer(Map.of())) {
            for (int number = 0; number < count; number++) {
                producer.send(new ProducerRecord<>(topic, partition, "k", "v" + number)).get();
            }
        }
    }

    private KafkaProducer<String, String> producer(Map<String, String> configs) {
        return new KafkaProducer<>(
            properties(configs), new StringSerializer(), new StringSerializer());
    }

    private KafkaShareConsumer<String, String> explicit(String group, String topic) {
        return consumer(group, topic, Map.of("share.acknowledgement.mode", "explicit"));
    }

    private KafkaShareConsumer<String, String> consumer(
            String group, String topic, Map<String, String> configs) {
        Map<String, String> all = new HashMap<>(configs);
        all.put("group.id", group);
        KafkaShareConsumer<String, String> consumer = new KafkaShareConsumer<>(
            properties(all), new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(List.of(topic));
        return consumer;
    }

    /** What comes until there are so many; in explicit mode, what one poll brings at least. */
    private List<ConsumerRecord<String, String>> poll(
            KafkaShareConsumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> got = new ArrayList<>();
        long deadline = System.currentTimeMillis() + PATIENCE.toMillis();
        while (got.size() < count && System.currentTimeMillis() < deadline) {
            got.addAll(list(consumer.poll(Duration.ofMillis(200))));
        }
        equal(count, got.size());
        return got;
    }

    private List<String> pollOnce(KafkaShareConsumer<String, String> consumer) {
        return places(list(consumer.poll(Duration.ofMillis(700))));
    }

    private static List<ConsumerRecord<String, String>> list(
            Iterable<ConsumerRecord<String, String>> records) {
        List<ConsumerRecord<String, String>> got = new ArrayList<>();
        records.forEach(got::add);
        return got;
    }

    private static List<String> places(List<ConsumerRecord<String, String>> records) {
        return records.stream().map(each -> each.partition() + ":" + each.offset()).toList();
    }

    private static Set<Short> counts(List<ConsumerRecord<String, String>> records) {
        return records.stream().map(each -> each.deliveryCount().get())
            .collect(Collectors.toSet());
    }

    private static void noErrors(Map<TopicIdPartition, java.util.Optional<KafkaException>> result) {
        equal(true, !result.isEmpty());
        result.values().forEach(error -> equal(null, error.orElse(null)));
    }

    private static void fails(Class<?> cause, Scenario scenario) throws Exception {
        try {
            scenario.run();
        } catch (ExecutionException failure) {
            equal(cause, failure.getCause().getClass());
            return;
        }
        throw new AssertionError("expected a " + cause.getSimpleName());
    }
}
