import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * Assigns partitions as the Java client does. One JSON object per line in:
 * {"assignor", "topics": {name: [[rack...]...]}, "members": [{"id", "topics", "instance", "rack", "owned", "generation"}]},
 * one out: {member: [[topic, partition]...]}.
 */
public final class AssignorScenarios {
    private static final ObjectMapper JSON = new ObjectMapper();

    private AssignorScenarios() {
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            System.out.println(assign(JSON.readTree(line)));
        }
    }

    private static ObjectNode assign(JsonNode scenario) {
        Map<String, Subscription> subscriptions = new HashMap<>();
        for (JsonNode member : scenario.get("members")) {
            subscriptions.put(member.get("id").asText(), subscription(member));
        }
        ObjectNode result = JSON.createObjectNode();
        assignor(scenario.get("assignor").asText())
            .assign(cluster(scenario.get("topics")), new GroupSubscription(subscriptions))
            .groupAssignment()
            .forEach((member, assignment) -> {
                ArrayNode partitions = result.putArray(member);
                for (TopicPartition partition : assignment.partitions()) {
                    partitions.addArray().add(partition.topic()).add(partition.partition());
                }
            });
        return result;
    }

    private static ConsumerPartitionAssignor assignor(String name) {
        switch (name) {
            case "range":
                return new RangeAssignor();
            case "roundrobin":
                return new RoundRobinAssignor();
            default:
                return new CooperativeStickyAssignor();
        }
    }

    private static Subscription subscription(JsonNode member) {
        List<String> topics = new ArrayList<>();
        member.get("topics").forEach(topic -> topics.add(topic.asText()));
        List<TopicPartition> owned = new ArrayList<>();
        member.get("owned").forEach(p -> owned.add(new TopicPartition(p.get(0).asText(), p.get(1).asInt())));
        Subscription subscription = new Subscription(
            topics, null, owned, member.get("generation").asInt(), text(member.get("rack")));
        subscription.setGroupInstanceId(text(member.get("instance")));
        return subscription;
    }

    private static Optional<String> text(JsonNode value) {
        return value.isNull() ? Optional.empty() : Optional.of(value.asText());
    }

    private static Cluster cluster(JsonNode topics) {
        Set<Node> nodes = new HashSet<>();
        List<PartitionInfo> partitions = new ArrayList<>();
        topics.fieldNames().forEachRemaining(topic -> {
            for (int number = 0; number < topics.get(topic).size(); number++) {
                List<Node> replicas = new ArrayList<>();
                for (JsonNode rack : topics.get(topic).get(number)) {
                    replicas.add(new Node(rack.asText().charAt(0), "localhost", 1, rack.asText()));
                }
                nodes.addAll(replicas);
                Node[] all = replicas.toArray(new Node[0]);
                partitions.add(new PartitionInfo(topic, number, null, all, all));
            }
        });
        return new Cluster("c", nodes, partitions, Set.of(), Set.of());
    }
}
