import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.security.Permission;
import java.security.Policy;
import java.security.ProtectionDomain;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs the main methods of Kafka's command-line tools, unmodified, one after the other in this JVM,
 * because starting a JVM for each costs more than the tools do.
 *
 * <p>What a tool exits with is trapped where it asks Kafka's own Exit, and, for those that leave it
 * to argparse4j, by a security manager (-Djava.security.manager=allow, up to Java 23).
 *
 * <p>Each line at stdin is {"main": class, "arguments": [...], "stdin": base64}; each line at stdout
 * is {"status": exit status, "stdout": base64, "stderr": base64}.
 */
public final class ToolServer {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** Some tools catch even errors, and exit again with a status of failure: the first counts. */
    private static Integer firstStatus;

    private ToolServer() {
    }

    /** What a tool's call of exit becomes; an error, since tools catch exceptions. */
    private static final class Exited extends Error {
        Exited(int status) {
            super("exit " + status);
            if (firstStatus == null) {
                firstStatus = status;
            }
        }
    }

    /** Allows everything but the end of the JVM. */
    private static final class NoExit extends SecurityManager {
        @Override
        public void checkPermission(Permission permission) {
        }

        @Override
        public void checkExit(int status) {
            throw new Exited(status);
        }
    }

    /** JMX looks at the policy, not at the manager. */
    private static final class AllowAll extends Policy {
        @Override
        public boolean implies(ProtectionDomain domain, Permission permission) {
            return true;
        }
    }

    @SuppressWarnings("removal")
    private static void trapSystemExit() {
        if ("allow".equals(System.getProperty("java.security.manager"))) {
            Policy.setPolicy(new AllowAll());
            System.setSecurityManager(new NoExit());
        }
    }

    public static void main(String[] arguments) throws Exception {
        trapSystemExit();
        PrintStream answers = System.out;
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in));
        Exit.setExitProcedure((status, message) -> {
            throw new Exited(status);
        });
        Exit.setHaltProcedure((status, message) -> {
            throw new Exited(status);
        });
        List<Runnable> hooks = new ArrayList<>();
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            answers.println(run(JSON.readTree(line), hooks));
            answers.flush();
        }
    }

    private static ObjectNode run(JsonNode request, List<Runnable> hooks) throws Exception {
        List<String> words = new ArrayList<>();
        request.get("arguments").forEach(word -> words.add(word.asText()));
        byte[] input = Base64.getDecoder().decode(request.get("stdin").asText());
        ByteArrayOutputStream output = new ByteArrayOutputStream();
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        System.setIn(new ByteArrayInputStream(input));
        System.setOut(new PrintStream(output, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(errors, true, StandardCharsets.UTF_8));
        int status = call(request.get("main").asText(), words.toArray(new String[0]));
        hooks.forEach(Runnable::run);
        hooks.clear();
        System.out.flush();
        System.err.flush();
        ObjectNode answer = JSON.createObjectNode();
        answer.put("status", status);
        answer.put("stdout", Base64.getEncoder().encodeToString(output.toByteArray()));
        answer.put("stderr", Base64.getEncoder().encodeToString(errors.toByteArray()));
        return answer;
    }

    private static int call(String name, String[] words) throws Exception {
        firstStatus = null;
        try {
            Class.forName(name).getMethod("main", String[].class).invoke(null, (Object) words);
            return firstStatus == null ? 0 : firstStatus;
        } catch (InvocationTargetException failure) {
            if (failure.getCause() instanceof Exited) {
                return firstStatus;
            }
            failure.getCause().printStackTrace();
            return 1;
        }
    }
}
