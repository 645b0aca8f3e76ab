import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ProducerState;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ElectionNotNeededException;
import org.apache.kafka.common.errors.GroupIdNotFoundException;
import org.apache.kafka.common.errors.GroupNotEmptyException;
import org.apache.kafka.common.errors.GroupSubscribedToTopicException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.OffsetOutOfRangeException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Apache Kafka's Java clients, transactions and share groups aside.
 */
public final class ClientScenarios extends Scenarios {
    private ClientScenarios(String bootstrap) {
        super(bootstrap);
    }

    public static void main(String[] arguments) throws Exception {
        ClientScenarios client = new ClientScenarios(arguments[0]);
        Map<String, Scenario> scenarios = new LinkedHashMap<>();
        scenarios.put("records_come_back_as_they_went", client::recordsComeBackAsTheyWent);
        scenarios.put("idempotent_producer", client::idempotentProducer);
        scenarios.put("offsets_by_time_and_at_the_ends", client::offsetsByTimeAndAtTheEnds);
        scenarios.put("commits", client::commits);
        scenarios.put("topics", client::topics);
        scenarios.put("configs", client::configs);
        scenarios.put("deleted_records", client::deletedRecords);
        scenarios.put("cluster", client::cluster);
        scenarios.put("groups", client::groups);
        scenarios.put("errors", client::errors);
        client.play(scenarios);
    }

    private void recordsComeBackAsTheyWent() throws Exception {
        roundTrip("0", "none");
        roundTrip("1", "zstd");
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            roundTrip("all", codec);
        }
    }

    private void roundTrip(String acks, String codec) throws Exception {
        String topic = newTopic(2, Map.of());
        List<ProducerRecord<byte[], byte[]>> sent = new ArrayList<>();
        for (int partition = 0; partition < 2; partition++) {
            sent.add(record(topic, partition, "key", "value", 1));
            sent.get(sent.size() - 1).headers().add("h", bytes("1")).add("h", null);
            sent.add(record(topic, partition, null, "no key", 2));
            sent.add(record(topic, partition, "tombstone", null, 3));
            sent.add(record(topic, partition, "", "größe".repeat(2000), 4));
        }
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of(
                "acks", acks, "compression.type", codec, "linger.ms", "5",
                "enable.idempotence", String.valueOf(acks.equals("all"))))) {
            sent.forEach(producer::send);
        }
        List<ConsumerRecord<byte[], byte[]>> got = consumeFromStart(topic, 2, sent.size());
        for (int partition = 0; partition < 2; partition++) {
            int here = partition;
            List<ProducerRecord<byte[], byte[]>> wanted =
                sent.stream().filter(each -> each.partition() == here).toList();
            List<ConsumerRecord<byte[], byte[]>> found =
                got.stream().filter(each -> each.partition() == here).toList();
            equal(wanted.size(), found.size());
            for (int offset = 0; offset < wanted.size(); offset++) {
                equal((long) offset, found.get(offset).offset());
                check(Arrays.equals(wanted.get(offset).key(), found.get(offset).key()), "key");
                check(Arrays.equals(wanted.get(offset).value(), found.get(offset).value()), "value");
                equal(wanted.get(offset).timestamp(), found.get(offset).timestamp());
                equal(List.of(wanted.get(offset).headers().toArray()),
                    List.of(found.get(offset).headers().toArray()));
            }
        }
    }

    private void idempotentProducer() throws Exception {
        String topic = newTopic(1, Map.of());
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of("batch.size", "200"))) {
            List<Future<RecordMetadata>> futures = new ArrayList<>();
            for (int number = 0; number < 500; number++) {
                futures.add(producer.send(record(topic, 0, null, "v" + number, number)));
            }
            for (int number = 0; number < 500; number++) {
                equal((long) number, futures.get(number).get().offset());
            }
        }
        TopicPartition where = new TopicPartition(topic, 0);
        List<ProducerState> active = admin.describeProducers(List.of(where)).all().get()
            .get(where).activeProducers();
        equal(1, active.size());
        equal(499, active.get(0).lastSequence());
    }

    private void offsetsByTimeAndAtTheEnds() throws Exception {
        TopicPartition where = new TopicPartition(newTopic(1, Map.of()), 0);
        fill(where, 10);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of())) {
            equal(0L, consumer.beginningOffsets(List.of(where)).get(where));
            equal(10L, consumer.endOffsets(List.of(where)).get(where));
            equal(4L, consumer.offsetsForTimes(Map.of(where, 1004L)).get(where).offset());
            equal(null, consumer.offsetsForTimes(Map.of(where, 9999L)).get(where));
        }
        equal(0L, offset(where, OffsetSpec.earliest()));
        equal(10L, offset(where, OffsetSpec.latest()));
        equal(9L, offset(where, OffsetSpec.maxTimestamp()));
        equal(7L, offset(where, OffsetSpec.forTimestamp(1007)));
        equal(0L, offset(where, OffsetSpec.earliestLocal()));
    }

    private void commits() throws Exception {
        TopicPartition where = new TopicPartition(newTopic(1, Map.of()), 0);
        String group = unique("group");
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of("group.id", group))) {
            consumer.assign(List.of(where));
            consumer.commitSync(Map.of(where, new OffsetAndMetadata(3, "noted")));
            AtomicReference<Object> outcome = new AtomicReference<>();
            consumer.commitAsync(Map.of(where, new OffsetAndMetadata(5, "later")),
                (offsets, failure) -> outcome.set(failure == null ? "fine" : failure));
            eventually("the asynchronous commit", () -> {
                consumer.poll(Duration.ofMillis(20));
                return outcome.get() != null;
            });
            equal("fine", outcome.get());
        }
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of("group.id", group))) {
            equal(new OffsetAndMetadata(5, "later"), consumer.committed(Set.of(where)).get(where));
        }
    }

    private void topics() throws Exception {
        String topic = newTopic(2, Map.of());
        check(admin.listTopics().names().get().contains(topic), "it is listed");
        TopicDescription described = admin.describeTopics(List.of(topic)).allTopicNames().get()
            .get(topic);
        equal(2, described.partitions().size());
        TopicDescription byId = admin.describeTopics(
            org.apache.kafka.common.TopicCollection.ofTopicIds(List.of(described.topicId())))
            .allTopicIds().get().get(described.topicId());
        equal(topic, byId.name());
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all().get();
        eventually("four partitions", () -> admin.describeTopics(List.of(topic)).allTopicNames()
            .get().get(topic).partitions().size() == 4);
        TopicPartition where = new TopicPartition(topic, 0);
        Throwable election = admin.electLeaders(ElectionType.PREFERRED, Set.of(where)).partitions()
            .get().get(where).orElse(null);
        check(election instanceof ElectionNotNeededException, "the election's answer");
        equal(Map.of(), admin.listPartitionReassignments().reassignments().get());
        admin.deleteTopics(List.of(topic)).all().get();
        eventually("it is gone", () -> !admin.listTopics().names().get().contains(topic));
    }

    private void configs() throws Exception {
        String topic = newTopic(1, Map.of("retention.ms", "5000000"));
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        ConfigEntry retention = config(resource).get("retention.ms");
        equal("5000000", retention.value());
        equal(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, retention.source());
        alter(resource, "retention.ms", null, AlterConfigOp.OpType.DELETE);
        alter(resource, "cleanup.policy", "compact", AlterConfigOp.OpType.APPEND);
        eventually("the change",
            () -> config(resource).get("cleanup.policy").value().equals("delete,compact"));
        equal(ConfigEntry.ConfigSource.DEFAULT_CONFIG, config(resource).get("retention.ms").source());
        alter(resource, "cleanup.policy", "delete", AlterConfigOp.OpType.SUBTRACT);
        eventually("the change back",
            () -> config(resource).get("cleanup.policy").value().equals("compact"));
        refused(InvalidConfigurationException.class,
            () -> alter(resource, "retention.ms", "soon", AlterConfigOp.OpType.SET));
        ConfigResource missing = new ConfigResource(ConfigResource.Type.TOPIC, unique("nowhere"));
        refused(UnknownTopicOrPartitionException.class, () -> config(missing));
        check(admin.listConfigResources(Set.of(ConfigResource.Type.TOPIC),
            new org.apache.kafka.clients.admin.ListConfigResourcesOptions()).all().get()
            .contains(resource), "it is among the resources");
    }

    private void deletedRecords() throws Exception {
        TopicPartition where = new TopicPartition(newTopic(1, Map.of()), 0);
        fill(where, 10);
        equal(4L, admin.deleteRecords(Map.of(where, RecordsToDelete.beforeOffset(4)))
            .lowWatermarks().get(where).get().lowWatermark());
        equal(4L, offset(where, OffsetSpec.earliest()));
        refused(OffsetOutOfRangeException.class, () -> admin.deleteRecords(
            Map.of(where, RecordsToDelete.beforeOffset(11))).all().get());
    }

    private void cluster() throws Exception {
        int controller = admin.describeCluster().controller().get().id();
        equal(List.of(controller),
            admin.describeCluster().nodes().get().stream().map(node -> node.id()).toList());
        check(!admin.describeCluster().clusterId().get().isEmpty(), "a cluster id");
        TopicPartition where = new TopicPartition(newTopic(1, Map.of()), 0);
        fill(where, 10);
        long size = admin.describeLogDirs(List.of(controller)).allDescriptions().get()
            .get(controller).values().stream()
            .filter(each -> each.replicaInfos().containsKey(where))
            .mapToLong(each -> each.replicaInfos().get(where).size()).sum();
        check(size > 0, "a size on disk");
    }

    private void groups() throws Exception {
        TopicPartition where = new TopicPartition(newTopic(1, Map.of()), 0);
        String group = unique("group");
        fill(where, 10);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(
                Map.of("group.id", group, "group.instance.id", "static"))) {
            consumer.subscribe(List.of(where.topic()));
            equal(10, poll(consumer, 10).size());
            consumer.commitSync();
            check(groupsListed().contains(group), "it is listed");
            var described = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
            equal(GroupState.STABLE, described.groupState());
            equal("range", described.partitionAssignor());
            MemberDescription member = described.members().iterator().next();
            equal(Set.of(where), member.assignment().topicPartitions());
            equal("static", member.groupInstanceId().orElseThrow());
            refused(GroupNotEmptyException.class,
                () -> admin.deleteConsumerGroups(List.of(group)).all().get());
            refused(GroupSubscribedToTopicException.class,
                () -> admin.deleteConsumerGroupOffsets(group, Set.of(where)).all().get());
        }
        admin.removeMembersFromConsumerGroup(group, new RemoveMembersFromConsumerGroupOptions(
            List.of(new MemberToRemove("static")))).all().get();
        admin.alterConsumerGroupOffsets(group, Map.of(where, new OffsetAndMetadata(4)))
            .all().get();
        equal(4L, admin.listConsumerGroupOffsets(Map.of(group, new ListConsumerGroupOffsetsSpec()))
            .partitionsToOffsetAndMetadata(group).get().get(where).offset());
        admin.deleteConsumerGroupOffsets(group, Set.of(where)).all().get();
        admin.deleteConsumerGroups(List.of(group)).all().get();
        check(!groupsListed().contains(group), "it is gone");
        refused(GroupIdNotFoundException.class,
            () -> admin.deleteConsumerGroups(List.of(group)).all().get());
    }

    private void errors() throws Exception {
        String topic = newTopic(1, Map.of("max.message.bytes", "1000"));
        refused(TopicExistsException.class,
            () -> admin.createTopics(List.of(new NewTopic(topic, 1, (short) 1))).all().get());
        refused(InvalidTopicException.class, () -> admin.createTopics(
            List.of(new NewTopic("no/such?name", 1, (short) 1))).all().get());
        refused(UnknownTopicOrPartitionException.class,
            () -> admin.deleteTopics(List.of(unique("nowhere"))).all().get());
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of())) {
            refused(RecordTooLargeException.class,
                () -> producer.send(record(topic, 0, null, "x".repeat(2000), 1)).get());
            refused(InvalidTopicException.class,
                () -> producer.send(record("no/such?name", 0, null, "x", 1)).get());
        }
    }

    private KafkaProducer<byte[], byte[]> producer(Map<String, String> more) {
        return new KafkaProducer<>(
            properties(more), new ByteArraySerializer(), new ByteArraySerializer());
    }

    private KafkaConsumer<byte[], byte[]> consumer(Map<String, String> more) {
        Map<String, Object> properties = properties(more);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        return new KafkaConsumer<>(
            properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    private List<ConsumerRecord<byte[], byte[]>> consumeFromStart(
            String topic, int partitions, int count) throws Exception {
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(Map.of())) {
            List<TopicPartition> all = new ArrayList<>();
            for (int partition = 0; partition < partitions; partition++) {
                all.add(new TopicPartition(topic, partition));
            }
            consumer.assign(all);
            return poll(consumer, count);
        }
    }

    private static List<ConsumerRecord<byte[], byte[]>> poll(
            KafkaConsumer<byte[], byte[]> consumer, int count) throws Exception {
        List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
        eventually(count + " records", () -> {
            consumer.poll(Duration.ofMillis(100)).forEach(records::add);
            return records.size() >= count;
        });
        equal(count, records.size());
        return records;
    }

    private void fill(TopicPartition where, int count) {
        try (KafkaProducer<byte[], byte[]> producer = producer(Map.of())) {
            for (int number = 0; number < count; number++) {
                producer.send(record(where.topic(), where.partition(), null, "v", 1000 + number));
            }
        }
    }

    private static ProducerRecord<byte[], byte[]> record(
            String topic, int partition, String key, String value, long timestampMs) {
        return new ProducerRecord<>(topic, partition, timestampMs, bytes(key), bytes(value));
    }

    private static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    private String unique(String kind) {
        counter++;
        return "java-" + kind + "-" + counter;
    }

    private String newTopic(int partitions, Map<String, String> configs) throws Exception {
        String topic = unique("topic");
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1).configs(configs)))
            .all().get();
        for (int partition = 0; partition < partitions; partition++) {
            TopicPartition where = new TopicPartition(topic, partition);
            // Kafka answers before its broker half has heard of the topic.
            eventually(where + " has a leader", () -> hasLeader(where));
        }
        return topic;
    }

    private boolean hasLeader(TopicPartition where) throws Exception {
        try {
            return offset(where, OffsetSpec.latest()) >= 0;
        } catch (ExecutionException failure) {
            check(failure.getCause() instanceof RetriableException, failure.toString());
            return false;
        }
    }

    private long offset(TopicPartition where, OffsetSpec spec) throws Exception {
        return admin.listOffsets(Map.of(where, spec)).partitionResult(where).get().offset();
    }

    private Map<String, ConfigEntry> config(ConfigResource resource) throws Exception {
        Config config = admin.describeConfigs(List.of(resource)).all().get().get(resource);
        Map<String, ConfigEntry> entries = new LinkedHashMap<>();
        config.entries().forEach(entry -> entries.put(entry.name(), entry));
        return entries;
    }

    private Object alter(
            ConfigResource resource, String key, String value, AlterConfigOp.OpType operation)
            throws Exception {
        Collection<AlterConfigOp> change =
            List.of(new AlterConfigOp(new ConfigEntry(key, value), operation));
        return admin.incrementalAlterConfigs(Map.of(resource, change)).all().get();
    }

    private List<String> groupsListed() throws Exception {
        return admin.listGroups().all().get().stream().map(GroupListing::groupId).toList();
    }

    private static void refused(Class<? extends Exception> wanted, Callable<?> attempt)
            throws Exception {
        try {
            attempt.call();
        } catch (ExecutionException failure) {
            check(wanted.isInstance(failure.getCause()), wanted + ", not " + failure.getCause());
            return;
        } catch (Exception failure) {
            check(wanted.isInstance(failure), wanted + ", not " + failure);
            return;
        }
        throw new AssertionError("not refused with " + wanted);
    }

    private static void eventually(String what, Callable<Boolean> probe) throws Exception {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!probe.call()) {
            check(System.nanoTime() < deadline, what + ": not in time");
        }
    }

}
