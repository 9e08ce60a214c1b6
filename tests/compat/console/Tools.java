import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs main classes one after the other, as their shell scripts would, in one JVM that stays warm: a JVM for each tool spends
 * its second on loading classes. A line of JSON in ({main, args, input}), a line out ({code, output}).
 */
public final class Tools {
    /** What a tool calls instead of ending its JVM; an Error, since tools catch exceptions. */
    private static final class Ended extends Error {
        private final int code;
        private final int printed;

        private Ended(int code, int printed) {
            super("exit " + code, null, false, false);
            this.code = code;
            this.printed = printed;
        }
    }

    public record Request(String main, String[] args, String input) {}

    private static final ObjectMapper JSON = new ObjectMapper();
    private static ByteArrayOutputStream printed;
    /** The first one counts: some tools catch it, complain of it and exit again. */
    private static Ended ended;
    private static final List<Runnable> hooks = new ArrayList<>();

    public static void main(String[] unused) throws Exception {
        Exit.setExitProcedure((code, message) -> {
            if (ended == null) ended = new Ended(code, printed.size());
            throw ended;
        });
        Exit.setShutdownHookAdder((name, hook) -> hooks.add(hook));
        var in = new BufferedReader(new InputStreamReader(System.in));
        var out = System.out;
        for (String line; (line = in.readLine()) != null; ) {
            int code = run(JSON.readValue(line, Request.class));
            int length = ended == null ? printed.size() : ended.printed;
            out.println(JSON.writeValueAsString(Map.of("code", code, "output", printed.toString().substring(0, length))));
        }
    }

    private static int run(Request request) throws Exception {
        printed = new ByteArrayOutputStream();
        ended = null;
        var stream = new PrintStream(printed, true);
        System.setIn(new ByteArrayInputStream(request.input().getBytes()));
        System.setOut(stream);
        System.setErr(stream);
        try {
            Class.forName(request.main()).getMethod("main", String[].class).invoke(null, (Object) request.args());
        } catch (InvocationTargetException thrown) {
            if (ended == null) {
                thrown.getCause().printStackTrace(stream);
                return 1;
            }
        } finally {
            hooks.forEach(Runnable::run); // a producer sends what it has gathered
            hooks.clear();
        }
        return ended == null ? 0 : ended.code;
    }
}
