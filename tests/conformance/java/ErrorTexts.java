import org.apache.kafka.common.protocol.Errors;

/** Prints every error code of the protocol with its name and Kafka's words for it. */
public final class ErrorTexts {
    private ErrorTexts() {
    }

    public static void main(String[] arguments) {
        for (Errors error : Errors.values()) {
            System.out.println(error.code() + "\t" + error.name() + "\t" + error.message());
        }
    }
}
