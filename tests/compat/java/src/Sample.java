import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;

/** The records that every program writes and expects back; ../../README.md gives the rules in words. */
final class Sample {
    static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    static final int RECORDS = 500;
    static final int CHUNK = 50;
    static final long EPOCH_MS = 1_357_034_400_000L;
    static final Map<String, String> TOPIC_CONFIG = Map.of("retention.ms", "-1", "segment.ms", "200000");
    static final int DELETED = 120;

    private Sample() {}

    static long timestamp(int i) {
        int shift = i % 10 == 2 ? 3000 : i % 10 == 7 ? -4500 : 0;
        return EPOCH_MS + 1000L * i + shift;
    }

    static ProducerRecord<byte[], byte[]> record(String topic, int partition, int i) {
        String key = i % 7 == 0 ? null : i % 11 == 0 ? "" : "key-" + i;
        String value;
        if (i % 14 == 3) {
            value = null;
        } else if (i % 17 == 0) {
            value = "";
        } else if (i % CHUNK == CHUNK - 1) {
            value = (partition + ":" + i + ";").repeat(4000).substring(0, 20000);
        } else {
            value = "value " + partition + " " + i;
        }
        List<Header> headers = switch (i % 3) {
            case 0 -> List.of();
            case 1 -> List.of(header("h", "" + i));
            default -> List.of(header("a", "1"), header("a", "2"), header("empty", ""), header("null", null));
        };
        return new ProducerRecord<>(topic, partition, timestamp(i), bytes(key), bytes(value), headers);
    }

    /** What ListOffsets has to answer for a time, by brute force; -1 past the end. */
    static int firstAtOrAfter(long timeMs, int start) {
        return IntStream.range(start, RECORDS).filter(i -> timestamp(i) >= timeMs).findFirst().orElse(-1);
    }

    /** The offset of the record with the largest timestamp. */
    static int newest() {
        int newest = 0;
        for (int i = 1; i < RECORDS; i++) {
            if (timestamp(i) > timestamp(newest)) newest = i;
        }
        return newest;
    }

    static long[] seekTimes() {
        long last = timestamp(newest());
        LongStream inside = LongStream.of(0, 1, 2500, 3500, 5000, 5001, 99_999, 100_000, 123_456, 250_000, 400_500);
        return LongStream.concat(inside.map(t -> EPOCH_MS + t), LongStream.of(0, EPOCH_MS - 1, last, last + 1)).toArray();
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    private static Header header(String key, String value) {
        return new RecordHeader(key, bytes(value));
    }

    /** Null, or which field differs. */
    static String difference(ProducerRecord<byte[], byte[]> want, long timestamp, byte[] key, byte[] value, Header[] headers) {
        if (want.timestamp() != timestamp) return "timestamp " + timestamp + ", not " + want.timestamp();
        if (!Arrays.equals(want.key(), key)) return "the key";
        if (!Arrays.equals(want.value(), value)) return "the value";
        if (!Arrays.equals(want.headers().toArray(), headers)) return "headers " + Arrays.toString(headers);
        return null;
    }
}
