import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ConsumerGroupListing;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * A member of a consumer group, and an admin, that does what it is told by ../../python/groups.py line by line; the words are
 * in ../../README.md. It compiles against kafka-clients 2.8 to 4.x alike.
 */
public final class Member implements ConsumerRebalanceListener {
    private static final int WAIT_S = 20;
    private static final Map<String, Class<?>> STRATEGIES = Map.of("range", RangeAssignor.class, "roundrobin",
        RoundRobinAssignor.class, "sticky", StickyAssignor.class, "cooperative-sticky", CooperativeStickyAssignor.class);

    private final String bootstrap;
    private final Admin admin;
    private KafkaConsumer<String, String> consumer;

    private Member(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", WAIT_S * 1000,
            "request.timeout.ms", WAIT_S * 500));
    }

    public static void main(String[] args) throws Exception {
        var commands = new LinkedBlockingQueue<String>();
        String end = "";
        var reader = new Thread(() -> {
            new BufferedReader(new InputStreamReader(System.in)).lines().forEach(commands::add);
            commands.add(end);
        });
        reader.setDaemon(true);
        reader.start();
        var member = new Member(Checks.argument(args, "bootstrap", "127.0.0.1:9092"));
        while (true) {
            String command = commands.poll(member.consumer == null ? 1000 : 0, TimeUnit.MILLISECONDS);
            if (end.equals(command)) break;
            if (command != null) say(member.answer(command.split(" ")));
            if (member.consumer != null) member.poll();
        }
        if (member.consumer != null) member.leave();
        System.exit(0);
    }

    private static synchronized void say(String line) {
        System.out.println(line.strip());
    }

    private String answer(String[] words) {
        try {
            return switch (words[0]) {
                case "create" -> create(words[1], Integer.parseInt(words[2]));
                case "write" -> write(words[1], Integer.parseInt(words[2]), Integer.parseInt(words[3]),
                    Integer.parseInt(words[4]), words[5]);
                case "join" -> join(words[1], words[2], words[3], words[4], words[5]);
                case "commit" -> "committed " + (words[1].equals("sync") ? commitSync() : commitAsync());
                case "seek" -> "sought " + seek(Long.parseLong(words[1]));
                case "leave" -> leave();
                case "list" -> "groups " + groups();
                case "describe" -> "group " + describe(words[1]);
                case "offsets" -> "offsets " + join(get(admin.listConsumerGroupOffsets(words[1]).partitionsToOffsetAndMetadata()));
                case "ends" -> "ends " + ends(words[1], Integer.parseInt(words[2]));
                case "set-offset" -> done(admin.alterConsumerGroupOffsets(words[1],
                    Map.of(partition(words[2], words[3]), new OffsetAndMetadata(Long.parseLong(words[4])))).all());
                case "delete-offset" -> done(admin.deleteConsumerGroupOffsets(words[1],
                    Set.of(partition(words[2], words[3]))).all());
                case "delete-group" -> done(admin.deleteConsumerGroups(List.of(words[1])).all());
                case "delete" -> done(admin.deleteTopics(List.of(words[1])).all());
                default -> "error UNSUPPORTED " + words[0];
            };
        } catch (Exception error) {
            return "error " + error(error);
        }
    }

    private static String error(Throwable error) {
        Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
        return Errors.forException(cause).name() + " " + String.valueOf(cause).replace('\n', ' ');
    }

    // Topics and records.

    private String create(String topic, int partitions) throws Exception {
        var settings = Map.of("retention.ms", "-1");
        return done(admin.createTopics(List.of(new NewTopic(topic, partitions, (short) -1).configs(settings))).all());
    }

    private String write(String topic, int partitions, int from, int to, String codec) throws Exception {
        Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap, "compression.type", codec, "linger.ms", 50);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
            var sent = IntStream.range(from, to).mapToObj(i -> producer.send(
                new ProducerRecord<>(topic, i % partitions, Sample.EPOCH_MS + 1000L * i, "" + i, "value " + i))).toList();
            for (var one : sent) get(one);
            return "written " + sent.size();
        }
    }

    // The member.

    private String join(String group, String topic, String strategy, String instance, String sessionMs) {
        Map<String, Object> config = new HashMap<>(Map.<String, Object>of("bootstrap.servers", bootstrap, "group.id", group,
            "partition.assignment.strategy", STRATEGIES.get(strategy).getName(), "session.timeout.ms", sessionMs,
            "heartbeat.interval.ms", "300", "auto.offset.reset", "earliest", "enable.auto.commit", "false",
            "default.api.timeout.ms", WAIT_S * 1000, "request.timeout.ms", WAIT_S * 500));
        if (!instance.equals("-")) config.put("group.instance.id", instance);
        consumer = new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(List.of(topic), this);
        return "joining";
    }

    private void poll() {
        try {
            for (var r : consumer.poll(Duration.ofMillis(50))) say("record " + r.partition() + " " + r.offset() + " " + r.key());
        } catch (Exception error) {
            say("lost " + error(error));
            leave();
        }
    }

    @Override
    public void onPartitionsAssigned(Collection<TopicPartition> added) {
        say("assigned " + numbers(consumer.assignment()));
    }

    @Override
    public void onPartitionsRevoked(Collection<TopicPartition> taken) {
        if (!taken.isEmpty()) say("revoked " + numbers(taken));
    }

    private String commitSync() {
        consumer.commitSync();
        return join(consumer.committed(consumer.assignment()));
    }

    private String commitAsync() throws Exception {
        var answer = new AtomicReference<Object>();
        consumer.commitAsync((offsets, error) -> answer.set(error == null ? offsets : error));
        for (int i = 0; answer.get() == null && i < WAIT_S * 20; i++) poll();
        if (answer.get() instanceof Exception error) throw error;
        return join(consumer.committed(consumer.assignment()));
    }

    private String seek(long time) {
        var asked = consumer.assignment().stream().collect(Collectors.toMap(tp -> tp, tp -> time));
        Map<TopicPartition, OffsetAndMetadata> found = new HashMap<>();
        consumer.offsetsForTimes(asked).forEach((tp, at) -> found.put(tp, new OffsetAndMetadata(at.offset())));
        found.forEach((tp, at) -> consumer.seek(tp, at.offset()));
        return join(found);
    }

    private String leave() {
        var leaving = consumer;
        consumer = null;
        leaving.close();
        return "left";
    }

    // The admin.

    /** Newer clients have other names for two of these, which the older ones lack. */
    @SuppressWarnings({"deprecation", "removal"})
    private String groups() throws Exception {
        return get(admin.listConsumerGroups().all()).stream().map(ConsumerGroupListing::groupId).collect(Collectors.joining(" "));
    }

    @SuppressWarnings({"deprecation", "removal"})
    private String describe(String group) throws Exception {
        var about = get(admin.describeConsumerGroups(List.of(group)).all()).get(group);
        Stream<String> members = about.members().stream().map(m -> numbers(m.assignment().topicPartitions()).replace(' ', ','));
        return about.state() + " " + (about.partitionAssignor().isEmpty() ? "-" : about.partitionAssignor()) + " "
            + members.collect(Collectors.joining(" "));
    }

    private String ends(String topic, int partitions) throws Exception {
        var asked = IntStream.range(0, partitions).boxed()
            .collect(Collectors.toMap(p -> new TopicPartition(topic, p), p -> OffsetSpec.latest()));
        Map<TopicPartition, OffsetAndMetadata> found = new HashMap<>();
        get(admin.listOffsets(asked).all()).forEach((tp, at) -> found.put(tp, new OffsetAndMetadata(at.offset())));
        return join(found);
    }

    // What these are made of.

    private static <T> T get(Future<T> future) throws Exception {
        return future.get(WAIT_S, TimeUnit.SECONDS);
    }

    private static String done(Future<?> future) throws Exception {
        get(future);
        return "done";
    }

    private static TopicPartition partition(String topic, String partition) {
        return new TopicPartition(topic, Integer.parseInt(partition));
    }

    private static String numbers(Collection<TopicPartition> partitions) {
        return partitions.stream().map(TopicPartition::partition).collect(Collectors.toCollection(TreeSet::new)).stream()
            .map(String::valueOf).collect(Collectors.joining(" "));
    }

    private static String join(Map<TopicPartition, OffsetAndMetadata> offsets) {
        return offsets.entrySet().stream().filter(e -> e.getValue() != null)
            .map(e -> e.getKey().partition() + ":" + e.getValue().offset()).collect(Collectors.joining(" "));
    }
}
