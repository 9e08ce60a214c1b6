import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads a topic that another client wrote, to the end it has at the start, and prints what it found:
 * {@code records=N digest=XXXXXXXX}. With {@code --records N} or {@code --digest X} it fails where they differ.
 */
public final class Reader {
    public static void main(String[] args) {
        String topic = Checks.argument(args, "topic", null);
        Map<String, Object> config = Map.of("bootstrap.servers", Checks.argument(args, "bootstrap", "127.0.0.1:9092"),
            "auto.offset.reset", "none", "enable.auto.commit", false);
        try (var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = consumer.partitionsFor(topic).stream()
                .map(p -> new TopicPartition(topic, p.partition()))
                .sorted(Comparator.comparingInt(TopicPartition::partition)).toList();
            CRC32 digest = new CRC32();
            long records = 0;
            for (TopicPartition tp : partitions) records += read(consumer, tp, digest);
            String found = String.format("records=%d digest=%08x", records, digest.getValue());
            System.out.println(found);
            String expected = String.format("records=%s digest=%s", Checks.argument(args, "records", Long.toString(records)),
                Checks.argument(args, "digest", String.format("%08x", digest.getValue())));
            System.exit(found.equals(expected) ? 0 : 1);
        }
    }

    /** Partition after partition, so that the digest does not depend on how fetches interleave. */
    private static long read(KafkaConsumer<byte[], byte[]> consumer, TopicPartition tp, CRC32 digest) {
        consumer.assign(List.of(tp));
        consumer.seekToBeginning(List.of(tp));
        long end = consumer.endOffsets(List.of(tp)).get(tp);
        long deadline = System.nanoTime() + 60_000_000_000L;
        long records = 0;
        while (consumer.position(tp) < end) {
            if (System.nanoTime() > deadline) throw new IllegalStateException(tp + " does not reach " + end);
            for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(500))) {
                add(digest, r);
                records++;
            }
        }
        return records;
    }

    /** Offset, timestamp, key, value, headers; big endian, lengths before bytes, -1 for null. */
    private static void add(CRC32 digest, ConsumerRecord<byte[], byte[]> r) {
        digest.update(ByteBuffer.allocate(16).putLong(r.offset()).putLong(r.timestamp()).flip());
        add(digest, r.key());
        add(digest, r.value());
        var headers = r.headers().toArray();
        digest.update(ByteBuffer.allocate(4).putInt(headers.length).flip());
        for (var header : headers) {
            add(digest, header.key().getBytes(StandardCharsets.UTF_8));
            add(digest, header.value());
        }
    }

    private static void add(CRC32 digest, byte[] bytes) {
        digest.update(ByteBuffer.allocate(4).putInt(bytes == null ? -1 : bytes.length).flip());
        if (bytes != null) digest.update(bytes);
    }
}
