import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.Pattern;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** A member of a consumer group; members/python_member.py tells the language it speaks. */
public final class GroupMember {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Map<String, String> ASSIGNORS = Map.of(
        "range", "org.apache.kafka.clients.consumer.RangeAssignor",
        "roundrobin", "org.apache.kafka.clients.consumer.RoundRobinAssignor",
        "cooperative-sticky", "org.apache.kafka.clients.consumer.CooperativeStickyAssignor");

    private GroupMember() {
    }

    public static void main(String[] arguments) throws Exception {
        JsonNode settings = JSON.readTree(arguments[0]);
        AtomicBoolean closing = new AtomicBoolean();
        Thread listener = new Thread(() -> listenToStdin(closing));
        listener.setDaemon(true);
        listener.start();
        AtomicBoolean rebalanced = new AtomicBoolean();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties(settings))) {
            subscribe(consumer, settings, rebalanced);
            while (!closing.get()) {
                ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(100));
                if (rebalanced.getAndSet(false)) {
                    tellAssigned(consumer.assignment());
                }
                for (ConsumerRecord<String, String> record : records) {
                    tellRecord(record);
                }
                if (!records.isEmpty()) {
                    consumer.commitSync();
                    tell("committed", JSON.createObjectNode());
                }
            }
        }
    }

    private static Properties properties(JsonNode settings) {
        int sessionTimeoutMs = settings.path("session_timeout_ms").asInt(6000);
        Properties properties = new Properties();
        properties.put("bootstrap.servers", settings.get("bootstrap_servers").asText());
        properties.put("group.id", settings.get("group").asText());
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        String protocol = settings.path("protocol").asText("classic");
        properties.put("group.protocol", protocol);
        if (protocol.equals("classic")) {
            properties.put("partition.assignment.strategy",
                ASSIGNORS.get(settings.path("assignor").asText("range")));
            properties.put("session.timeout.ms", sessionTimeoutMs);
            properties.put("heartbeat.interval.ms",
                settings.path("heartbeat_interval_ms").asInt(300));
        }
        properties.put("metadata.max.age.ms", settings.path("metadata_max_age_ms").asInt(1000));
        properties.put("key.deserializer", StringDeserializer.class.getName());
        properties.put("value.deserializer", StringDeserializer.class.getName());
        if (settings.hasNonNull("instance_id")) {
            properties.put("group.instance.id", settings.get("instance_id").asText());
        }
        return properties;
    }

    private static void subscribe(
            KafkaConsumer<String, String> consumer, JsonNode settings, AtomicBoolean rebalanced) {
        ConsumerRebalanceListener onChange = new ConsumerRebalanceListener() {
            @Override
            public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                rebalanced.set(true);
            }

            @Override
            public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                rebalanced.set(true);
            }
        };
        if (settings.hasNonNull("pattern")
                && settings.path("protocol").asText("classic").equals("consumer")) {
            String pattern = settings.get("pattern").asText();
            consumer.subscribe(new SubscriptionPattern(pattern), onChange);
            return;
        }
        if (settings.hasNonNull("pattern")) {
            consumer.subscribe(Pattern.compile(settings.get("pattern").asText()), onChange);
            return;
        }
        List<String> topics = new ArrayList<>();
        settings.get("topics").forEach(topic -> topics.add(topic.asText()));
        consumer.subscribe(topics, onChange);
    }

    private static void listenToStdin(AtomicBoolean closing) {
        try (BufferedReader input = new BufferedReader(new InputStreamReader(System.in))) {
            String line = input.readLine();
            closing.set(line == null || line.trim().equals("close"));
        } catch (java.io.IOException error) {
            closing.set(true);
        }
    }

    private static void tellAssigned(Collection<TopicPartition> assignment) {
        ObjectNode fields = JSON.createObjectNode();
        ArrayNode partitions = fields.putArray("partitions");
        TreeSet<String> names = new TreeSet<>();
        assignment.forEach(partition -> names.add(partition.toString()));
        names.forEach(partitions::add);
        tell("assigned", fields);
    }

    private static void tellRecord(ConsumerRecord<String, String> record) {
        ObjectNode fields = JSON.createObjectNode();
        fields.put("partition", record.topic() + "-" + record.partition());
        fields.put("offset", record.offset());
        fields.put("value", record.value());
        tell("record", fields);
    }

    private static void tell(String event, ObjectNode fields) {
        fields.put("event", event);
        System.out.println(fields);
        System.out.flush();
    }
}
