import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.AuthorizationException;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.OutOfOrderSequenceException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Copies a topic exactly once; faults/copiers/python_copier.py tells how it is called. */
public final class ExactlyOnceCopier {
    private static final String BATCH_RECORDS = "50";

    private ExactlyOnceCopier() {
    }

    public static void main(String[] arguments) throws Exception {
        JsonNode settings = new ObjectMapper().readTree(arguments[0]);
        String source = settings.get("source").asText();
        String target = settings.get("target").asText();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(producing(settings));
                KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(consuming(settings))) {
            producer.initTransactions();
            consumer.subscribe(List.of(source));
            while (true) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(100));
                if (records.isEmpty()) {
                    continue;
                }
                try {
                    copy(records, target, producer, consumer);
                } catch (ProducerFencedException | InvalidProducerEpochException
                        | OutOfOrderSequenceException | AuthorizationException fatal) {
                    throw fatal;
                } catch (KafkaException error) {
                    producer.abortTransaction();
                    rewind(consumer);
                }
            }
        }
    }

    private static void copy(
            ConsumerRecords<byte[], byte[]> records,
            String target,
            KafkaProducer<byte[], byte[]> producer,
            KafkaConsumer<byte[], byte[]> consumer) {
        Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
        producer.beginTransaction();
        for (ConsumerRecord<byte[], byte[]> record : records) {
            producer.send(
                new ProducerRecord<>(target, record.partition(), record.key(), record.value()));
            positions.put(new TopicPartition(record.topic(), record.partition()),
                new OffsetAndMetadata(record.offset() + 1));
        }
        producer.sendOffsetsToTransaction(positions, consumer.groupMetadata());
        producer.commitTransaction();
    }

    private static void rewind(KafkaConsumer<byte[], byte[]> consumer) {
        consumer.committed(consumer.assignment()).forEach((partition, committed) ->
            consumer.seek(partition, committed == null ? 0 : committed.offset()));
    }

    private static Properties producing(JsonNode settings) {
        Properties properties = common(settings);
        properties.put("transactional.id", settings.get("transactional_id").asText());
        properties.put("transaction.timeout.ms", "10000");
        properties.put("linger.ms", "1");
        properties.put("key.serializer", ByteArraySerializer.class.getName());
        properties.put("value.serializer", ByteArraySerializer.class.getName());
        return properties;
    }

    private static Properties consuming(JsonNode settings) {
        Properties properties = common(settings);
        String protocol = settings.path("group_protocol").asText("classic");
        properties.put("group.id", settings.get("group").asText());
        properties.put("group.protocol", protocol);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("isolation.level", "read_committed");
        properties.put("max.poll.records", BATCH_RECORDS);
        properties.put("key.deserializer", ByteArrayDeserializer.class.getName());
        properties.put("value.deserializer", ByteArrayDeserializer.class.getName());
        if (protocol.equals("classic")) {
            properties.put("session.timeout.ms", settings.get("session_timeout_ms").asText());
            properties.put("heartbeat.interval.ms", "300");
        }
        if (settings.hasNonNull("instance_id")) {
            properties.put("group.instance.id", settings.get("instance_id").asText());
        }
        return properties;
    }

    private static Properties common(JsonNode settings) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", settings.get("bootstrap_servers").asText());
        properties.put("reconnect.backoff.ms", "10");
        properties.put("reconnect.backoff.max.ms", "100");
        properties.put("retry.backoff.ms", "20");
        return properties;
    }
}
