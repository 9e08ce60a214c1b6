import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.Properties;
import java.util.TreeSet;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.KGroupedStream;
import org.apache.kafka.streams.kstream.KStream;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.kstream.Windowed;

/**
 * Kafka Streams: the windows of peers.py over its topic, until this is ended. Arguments: bootstrap, source topic, state folder,
 * then windows, each `NAME:tumble:MS`, `NAME:hop:SIZE:ADVANCE` or `NAME:session:GAP`, whose results go to the topic NAME as JSON.
 */
public final class Streams {
    /** Above all disorder, since partitions are not read in step. */
    private static final Duration GRACE = Duration.ofDays(1);
    private static final ObjectMapper JSON = new ObjectMapper();

    /** What SQL's aggregates are over the rows of a window. */
    public static final class Totals {
        public long n;
        public long values;
        public long sum;
        public long doubles;
        public double total;
        public Integer least;
        public Integer most;
        public TreeSet<String> words = new TreeSet<>();

        Totals add(String row) {
            JsonNode fields = node(row);
            n++;
            if (fields.hasNonNull("v")) {
                int value = fields.get("v").intValue();
                values++;
                sum += value;
                least = least == null ? value : Math.min(least, value);
                most = most == null ? value : Math.max(most, value);
            }
            if (fields.hasNonNull("d")) {
                doubles++;
                total += fields.get("d").doubleValue();
            }
            if (fields.hasNonNull("w")) {
                words.add(fields.get("w").textValue());
            }
            return this;
        }

        static Totals unite(Totals one, Totals other) {
            var both = new Totals();
            both.n = one.n + other.n;
            both.values = one.values + other.values;
            both.sum = one.sum + other.sum;
            both.doubles = one.doubles + other.doubles;
            both.total = one.total + other.total;
            both.least = one.least == null || other.least != null && other.least < one.least ? other.least : one.least;
            both.most = one.most == null || other.most != null && other.most > one.most ? other.most : one.most;
            both.words.addAll(one.words);
            both.words.addAll(other.words);
            return both;
        }

        /** COUNT, SUM, SUM of doubles, AVG, MIN, MAX, COUNT DISTINCT. */
        String result() {
            return text(Arrays.asList(n, values == 0 ? null : sum, doubles == 0 ? null : total,
                values == 0 ? null : (double) sum / values, least, most, words.size()));
        }
    }

    public static void main(String[] args) {
        var builder = new StreamsBuilder();
        KGroupedStream<String, String> grouped = builder.stream(args[1], Consumed.with(Serdes.String(), Serdes.String()))
            .groupBy((key, row) -> node(row).path("k").textValue(), Grouped.with("k", Serdes.String(), Serdes.String()));
        for (String window : Arrays.asList(args).subList(3, args.length)) {
            windows(grouped, window.split(":"));
        }
        var settings = new Properties();
        settings.putAll(Map.of("application.id", args[1] + "-streams", "bootstrap.servers", args[0], "state.dir", args[2],
            "auto.offset.reset", "earliest", "commit.interval.ms", 500));
        var streams = new KafkaStreams(builder.build(), settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return StreamThreadExceptionResponse.SHUTDOWN_APPLICATION;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
        streams.start();
    }

    private static void windows(KGroupedStream<String, String> grouped, String[] window) {
        var bytes = totals();
        if (window[1].equals("session")) {
            results(window[0], grouped.windowedBy(SessionWindows.ofInactivityGapAndGrace(millis(window[2]), GRACE))
                .aggregate(Totals::new, (key, row, so) -> so.add(row), (key, one, other) -> Totals.unite(one, other),
                    Materialized.with(Serdes.String(), bytes))
                .toStream());
        } else {
            var size = TimeWindows.ofSizeAndGrace(millis(window[2]), GRACE);
            results(window[0], grouped.windowedBy(window[1].equals("hop") ? size.advanceBy(millis(window[3])) : size)
                .aggregate(Totals::new, (key, row, so) -> so.add(row), Materialized.with(Serdes.String(), bytes)).toStream());
        }
    }

    private static void results(String topic, KStream<Windowed<String>, Totals> results) {
        results.map((key, so) -> KeyValue.pair(
                text(Arrays.asList(key.window().start(), key.window().end(), key.key())), so == null ? null : so.result()))
            .to(topic, Produced.with(Serdes.String(), Serdes.String()));
    }

    private static Duration millis(String text) {
        return Duration.ofMillis(Long.parseLong(text));
    }

    private static Serde<Totals> totals() {
        return Serdes.serdeFrom((topic, so) -> so == null ? null : text(so).getBytes(UTF_8),
            (topic, bytes) -> {
                try {
                    return bytes == null ? null : JSON.readValue(bytes, Totals.class);
                } catch (IOException error) {
                    throw new UncheckedIOException(error);
                }
            });
    }

    private static JsonNode node(String row) {
        try {
            return JSON.readTree(row);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static String text(Object value) {
        try {
            return JSON.writeValueAsString(value);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }
}
