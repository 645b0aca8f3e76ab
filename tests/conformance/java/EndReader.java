import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Reads partition 0 of each topic given to its end, at both isolation levels. Prints one JSON line
 * for each: {"topic", "isolation", "end", "administrators_end", "position", "lag", "records": [[offset, key]]}.
 */
public final class EndReader {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long PATIENCE_MS = 30_000;

    private EndReader() {
    }

    public static void main(String[] arguments) throws Exception {
        String bootstrap = arguments[0];
        try (Admin admin = Admin.create(Map.<String, Object>of("bootstrap.servers", bootstrap))) {
            for (String topic : List.of(arguments).subList(1, arguments.length)) {
                for (IsolationLevel level : IsolationLevel.values()) {
                    System.out.println(read(bootstrap, admin, new TopicPartition(topic, 0), level));
                }
            }
        }
    }

    private static ObjectNode read(
            String bootstrap, Admin admin, TopicPartition partition, IsolationLevel level)
            throws Exception {
        ObjectNode found = JSON.createObjectNode();
        found.put("topic", partition.topic());
        found.put("isolation", level.toString().toLowerCase(Locale.ROOT));
        ArrayNode records = found.putArray("records");
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        properties.put("isolation.level", level.toString().toLowerCase(Locale.ROOT));
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(
                properties, new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            long deadline = System.currentTimeMillis() + PATIENCE_MS;
            while (consumer.position(partition) < end) {
                if (System.currentTimeMillis() > deadline) {
                    throw new IllegalStateException("still at " + consumer.position(partition));
                }
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    records.add(JSON.createArrayNode().add(record.offset()).add(record.key()));
                }
            }
            found.put("end", end);
            found.put("position", consumer.position(partition));
            found.put("lag", consumer.currentLag(partition).orElse(-1));
        }
        found.put("administrators_end", admin
            .listOffsets(Map.of(partition, OffsetSpec.latest()), new ListOffsetsOptions(level))
            .partitionResult(partition).get().offset());
        return found;
    }
}
