import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;

/** One line per check, a total at the end, a non-zero exit on any failure. */
final class Checks {
    interface Body {
        void run() throws Exception;
    }

    private int passed;
    private int failed;

    void check(String name, Body body) {
        try {
            body.run();
            passed++;
            System.out.println("ok   " + name);
        } catch (Exception | AssertionError error) {
            failed++;
            String reason = cause(error).toString().replace('\n', ' ');
            System.out.println("FAIL " + name + ": " + reason.substring(0, Math.min(400, reason.length())));
        }
    }

    int finish() {
        System.out.println(passed + " passed, " + failed + " failed");
        return failed == 0 ? 0 : 1;
    }

    static void equal(Object got, Object expected, String what) {
        if (!Objects.equals(got, expected)) throw new AssertionError(what + " is " + got + ", not " + expected);
    }

    /** Fails unless the call ends in this exception, the client's name for the protocol's error. */
    static void refused(Class<? extends Exception> expected, Callable<?> call) throws Exception {
        try {
            call.call();
        } catch (Exception error) {
            if (expected.isInstance(cause(error))) return;
            throw error;
        }
        throw new AssertionError("no " + expected.getSimpleName());
    }

    /** Metadata may lag behind an answer: tries until the condition holds, within a bound. */
    static void eventually(String what, Callable<Boolean> condition) throws Exception {
        eventually(what, 15, condition);
    }

    static void eventually(String what, int seconds, Callable<Boolean> condition) throws Exception {
        long deadline = System.nanoTime() + seconds * 1_000_000_000L;
        while (!condition.call()) {
            if (System.nanoTime() > deadline) throw new AssertionError("not within " + seconds + " s: " + what);
            Thread.sleep(50);
        }
    }

    private static Throwable cause(Throwable error) {
        return error instanceof ExecutionException && error.getCause() != null ? error.getCause() : error;
    }

    /** The value after `--name`, else the environment's, else the default. */
    static String argument(String[] args, String name, String otherwise) {
        for (int i = 0; i + 1 < args.length; i++) {
            if (args[i].equals("--" + name)) return args[i + 1];
        }
        return Objects.requireNonNullElse(System.getenv(name.toUpperCase()), otherwise);
    }
}
