import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.LongDeserializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;

/**
 * Kafka Streams against a broker: a word count, at least once, with a repartition topic and a changelog. Its instances are
 * processes of their own, so that they can be killed as processes are.
 */
public final class WordCount {
    private static final int WAIT_S = 60;
    private static final int PARTITIONS = 3;
    private static final List<String> WORDS = List.of("leat", "mill", "wheel", "water", "stream", "stone", "corn", "race");

    private final Checks checks = new Checks();
    private final String bootstrap;
    private final String name = "compat-streams-" + Long.toHexString(ThreadLocalRandom.current().nextLong());
    private final String lines = name + "-lines";
    private final String counts = name + "-counts";
    private final String repartition = name + "-words-repartition";
    private final String changelog = name + "-store-changelog";
    private final Path folder;
    private final Admin admin;
    private final KafkaConsumer<String, Long> reader;
    private final Map<String, Long> expected = new TreeMap<>();
    private final Map<String, Long> counted = new TreeMap<>();
    private final List<Process> running = new ArrayList<>();
    private int written;
    private boolean well;

    private WordCount(String bootstrap) throws Exception {
        this.bootstrap = bootstrap;
        this.folder = Files.createTempDirectory("streams");
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", WAIT_S * 1000));
        this.reader = new KafkaConsumer<>(Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", "earliest"),
            new StringDeserializer(), new LongDeserializer());
    }

    public static void main(String[] args) throws Exception {
        String bootstrap = Checks.argument(args, "bootstrap", "127.0.0.1:9092");
        if (args[0].equals("instance")) {
            instance(bootstrap, args[1], args[2]);
            return;
        }
        var program = new WordCount(bootstrap);
        Runtime.getRuntime().addShutdownHook(new Thread(program::end));
        program.run();
        int code = program.checks.finish();
        program.well = code == 0;
        System.exit(code);
    }

    /** One instance of the application, until it is ended. */
    private static void instance(String bootstrap, String name, String folder) {
        var builder = new StreamsBuilder();
        builder.stream(name + "-lines", Consumed.with(Serdes.String(), Serdes.String()))
            .flatMapValues(line -> List.of(line.split(" ")))
            .groupBy((key, word) -> word, Grouped.with("words", Serdes.String(), Serdes.String()))
            .count(Materialized.as("store"))
            .toStream().to(name + "-counts", Produced.with(Serdes.String(), Serdes.Long()));
        var settings = new Properties();
        settings.putAll(Map.of("application.id", name, "bootstrap.servers", bootstrap, "state.dir", folder,
            "commit.interval.ms", 200, "num.stream.threads", 2, "session.timeout.ms", 6000, "heartbeat.interval.ms", 500,
            "repartition.purge.interval.ms", 500, "statestore.cache.max.bytes", 100_000));
        var streams = new KafkaStreams(builder.build(), settings);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
        streams.start();
    }

    private void run() {
        checks.check("create the topics of lines and of counts", () -> {
            var topics = List.of(new NewTopic(lines, PARTITIONS, (short) -1),
                new NewTopic(counts, PARTITIONS, (short) -1).configs(Map.of("cleanup.policy", "compact")));
            get(admin.createTopics(topics).all());
            reader.assign(partitions(counts));
        });
        var instances = new ArrayList<Process>();
        checks.check("two instances count: the totals are right", () -> {
            write(2000);
            instances.add(start("one"));
            instances.add(start("two"));
            exact();
        });
        checks.check("the repartition topic is deleted from, the changelog compacted", () -> {
            Checks.equal(config(repartition, "cleanup.policy"), "delete", "cleanup.policy of the repartition topic");
            Checks.equal(config(repartition, "retention.ms"), "-1", "retention.ms of the repartition topic");
            Checks.equal(config(changelog, "cleanup.policy"), "compact", "cleanup.policy of the changelog");
        });
        checks.check("the group has the members of both instances, each with a task", () ->
            Checks.eventually("four members with partitions", WAIT_S, () -> {
                var about = get(admin.describeConsumerGroups(List.of(name)).all()).get(name);
                return about.groupState().toString().equals("Stable") && about.members().size() == 4
                    && about.members().stream().noneMatch(m -> m.assignment().topicPartitions().isEmpty());
            }));
        checks.check("what is counted is deleted from the repartition topic", () -> {
            write(100);
            Checks.eventually("its records are gone", WAIT_S, () -> offsets(repartition, OffsetSpec.earliest()).values().stream()
                .anyMatch(start -> start > 0));
            exact();
        });
        checks.check("one is killed: the other restores the counts from the changelog and goes on", () -> {
            instances.get(0).destroyForcibly().waitFor();
            write(500);
            exact();
        });
        checks.check("the other is killed too and loses its disk: another one begins with the right totals", () -> {
            instances.get(1).destroyForcibly().waitFor();
            write(500);
            instances.add(start("three"));
            exact();
        });
        checks.check("killed in the midst of its work and restarted: nothing is left out", () -> {
            write(20_000);
            Checks.eventually("it is at work", WAIT_S, () -> {
                read();
                return counted.get("leat") > expected.get("leat") / 2;
            });
            instances.get(2).destroyForcibly().waitFor();
            write(100);
            instances.add(start("three"));
            Checks.eventually("all is counted", WAIT_S, this::idle);
            // At least once: what had not been committed when it was killed may count twice.
            for (String word : WORDS) {
                Checks.equal(counted.get(word) >= expected.get(word), true, word + " is " + counted.get(word) + ", enough");
            }
        });
        checks.check("it leaves when it is closed; delete the topics and the group", () -> {
            instances.get(3).destroy();
            instances.get(3).waitFor(WAIT_S, TimeUnit.SECONDS);
            // Streams' members leave no sooner than their session ends, so that a restart finds its tasks again.
            Checks.eventually("the group is empty", WAIT_S, () ->
                get(admin.describeConsumerGroups(List.of(name)).all()).get(name).members().isEmpty());
            get(admin.deleteConsumerGroups(List.of(name)).all());
            get(admin.deleteTopics(List.of(lines, counts, repartition, changelog)).all());
        });
    }

    private Process start(String instance) throws Exception {
        var command = List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx256M",
            "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"), "WordCount", "instance",
            name, folder.resolve(instance).toString(), "--bootstrap", bootstrap);
        var process = new ProcessBuilder(command).redirectErrorStream(true)
            .redirectOutput(folder.resolve(instance + ".log").toFile()).start();
        running.add(process);
        return process;
    }

    /** Writes lines of four words and notes what the totals are then. */
    private void write(int count) throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap, "compression.type", "lz4");
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            var sent = new ArrayList<Future<?>>();
            for (int i = written; i < written + count; i++) {
                int line = i;
                var words = IntStream.range(0, 4).mapToObj(j -> WORDS.get(line % (j + 4) + j % 2)).toList();
                words.forEach(word -> expected.merge(word, 1L, Long::sum));
                sent.add(producer.send(new ProducerRecord<>(lines, i % PARTITIONS, "" + i, String.join(" ", words))));
            }
            for (var one : sent) get(one);
        }
        written += count;
    }

    private void read() {
        reader.poll(Duration.ofMillis(50)).forEach(r -> counted.put(r.key(), r.value()));
    }

    /** Whether all lines and words have been counted and committed, and all counts are read here. */
    private boolean idle() throws Exception {
        read();
        var ends = offsets(lines, OffsetSpec.latest());
        ends.putAll(offsets(repartition, OffsetSpec.latest()));
        var committed = get(admin.listConsumerGroupOffsets(name).partitionsToOffsetAndMetadata());
        boolean done = ends.entrySet().stream().allMatch(e -> e.getValue() == 0
            || Optional.ofNullable(committed.get(e.getKey())).map(c -> c.offset() == e.getValue()).orElse(false));
        var written = offsets(counts, OffsetSpec.latest());
        return done && written.entrySet().stream().allMatch(e -> reader.position(e.getKey()) >= e.getValue());
    }

    private void exact() throws Exception {
        Checks.eventually("the totals, " + expected, WAIT_S, () -> {
            read();
            return counted.equals(expected);
        });
        Checks.eventually("all is committed", WAIT_S, this::idle);
        Checks.equal(counted, expected, "what is counted");
    }

    private Map<TopicPartition, Long> offsets(String topic, OffsetSpec spec) throws Exception {
        var asked = partitions(topic).stream().collect(Collectors.toMap(tp -> tp, tp -> spec));
        var found = new HashMap<TopicPartition, Long>();
        get(admin.listOffsets(asked).all()).forEach((tp, at) -> found.put(tp, at.offset()));
        return found;
    }

    private String config(String topic, String key) throws Exception {
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        return get(admin.describeConfigs(List.of(resource)).all()).get(resource).get(key).value();
    }

    private static List<TopicPartition> partitions(String topic) {
        return IntStream.range(0, PARTITIONS).mapToObj(p -> new TopicPartition(topic, p)).toList();
    }

    private static <T> T get(Future<T> future) throws Exception {
        return future.get(WAIT_S, TimeUnit.SECONDS);
    }

    /** No process outlives the program, nor a file where all went well. */
    private void end() {
        for (var process : running) process.destroyForcibly();
        if (!well) {
            System.out.println("the instances' logs are in " + folder);
            return;
        }
        try (var files = Files.walk(folder)) {
            files.sorted(Comparator.reverseOrder()).forEach(f -> f.toFile().delete());
        } catch (Exception gone) {
            // what is left is in the folder for temporary files
        }
    }
}
