import static java.nio.charset.StandardCharsets.UTF_8;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.EmitStrategy;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Kafka Streams as bench/peers/sql measures it: COUNT and SUM per user and minute, told once when a window closes. Prints rows,
 * seconds and the process's CPU seconds when it has seen few rows and when it has seen all, and ends. Arguments: bootstrap, source,
 * results, few rows, all rows, state folder, then `memory` for stores without RocksDB.
 */
public final class StreamsLoad {
    @JsonIgnoreProperties(ignoreUnknown = true)
    public static final class Row {
        public String userid;
        public double amount;
    }

    private record Total(long n, double sum) { }

    private static long seen;

    public static void main(String[] args) throws Exception {
        long few = Long.parseLong(args[3]);
        long rows = Long.parseLong(args[4]);
        var all = new CountDownLatch(1);
        ObjectReader json = new ObjectMapper().readerFor(Row.class);
        Materialized<String, Total, WindowStore<Bytes, byte[]>> store = Materialized.with(Serdes.String(), totals());
        if (args[args.length - 1].equals("memory")) store = store.withStoreType(Materialized.StoreType.IN_MEMORY);
        var builder = new StreamsBuilder();
        // The records' key is the user already: no repartition topic.
        builder.stream(args[1], Consumed.with(Serdes.String(), Serdes.ByteArray()))
            .mapValues(bytes -> {
                if (++seen == few || seen == rows) report();
                if (seen == rows) all.countDown();
                try {
                    return json.<Row>readValue(bytes).amount;
                } catch (IOException error) {
                    throw new UncheckedIOException(error);
                }
            })
            .groupByKey(Grouped.with(Serdes.String(), Serdes.Double()))
            .windowedBy(TimeWindows.ofSizeAndGrace(Duration.ofMinutes(1), Duration.ofSeconds(1)))
            .emitStrategy(EmitStrategy.onWindowClose())
            .aggregate(() -> new Total(0, 0), (key, amount, so) -> new Total(so.n + 1, so.sum + amount), store)
            .toStream()
            .map((key, so) -> KeyValue.pair(key.window().start() + " " + key.key(),
                ("{\"n\":" + so.n + ",\"total\":" + so.sum + "}").getBytes(UTF_8)))
            .to(args[2], Produced.with(Serdes.String(), Serdes.ByteArray()));
        var settings = new Properties();
        settings.putAll(Map.of("application.id", args[2], "bootstrap.servers", args[0], "state.dir", args[5],
            "auto.offset.reset", "earliest"));
        var streams = new KafkaStreams(builder.build(), settings);
        streams.start();
        all.await();
        streams.close();
    }

    private static void report() {
        var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        System.out.println(seen + " " + System.nanoTime() / 1e9 + " " + system.getProcessCpuTime() / 1e9);
    }

    private static Serde<Total> totals() {
        return Serdes.serdeFrom(
            (topic, so) -> so == null ? null : ByteBuffer.allocate(16).putLong(so.n).putDouble(so.sum).array(),
            (topic, bytes) -> bytes == null ? null : new Total(ByteBuffer.wrap(bytes).getLong(), ByteBuffer.wrap(bytes).getDouble(8)));
    }
}
