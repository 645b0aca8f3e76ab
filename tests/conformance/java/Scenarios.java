import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import org.apache.kafka.clients.admin.Admin;

/**
 * Scenarios on one broker, played one after the other in one JVM. Prints one JSON line for each:
 * {"scenario": name, "error": null or the stack trace}.
 */
abstract class Scenarios {
    static final Duration PATIENCE = Duration.ofSeconds(20);
    private static final ObjectMapper JSON = new ObjectMapper();
    final String bootstrap;
    final Admin admin;
    int counter;

    Scenarios(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Admin.create(properties(Map.of()));
    }

    interface Scenario {
        void run() throws Exception;
    }

    /** Play them in the map's order, and close the administrator's client. */
    void play(Map<String, Scenario> scenarios) {
        for (Map.Entry<String, Scenario> each : scenarios.entrySet()) {
            ObjectNode line = JSON.createObjectNode();
            line.put("scenario", each.getKey());
            line.put("error", outcome(each.getValue()));
            System.out.println(line);
            System.out.flush();
        }
        admin.close();
    }

    private static String outcome(Scenario scenario) {
        try {
            scenario.run();
            return null;
        } catch (Throwable failure) {
            StringWriter text = new StringWriter();
            failure.printStackTrace(new PrintWriter(text));
            return text.toString();
        }
    }

    /** A client's configuration: the broker, and more. */
    Map<String, Object> properties(Map<String, String> more) {
        Map<String, Object> all = new HashMap<>(more);
        all.put("bootstrap.servers", bootstrap);
        return all;
    }

    static void equal(Object wanted, Object found) {
        check(Objects.equals(wanted, found), "wanted " + wanted + ", found " + found);
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
