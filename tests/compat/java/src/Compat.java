import static org.apache.kafka.common.config.ConfigResource.Type.TOPIC;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.CreateTopicsOptions;
import org.apache.kafka.clients.admin.ListConfigResourcesOptions;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicCollection;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.InvalidPartitionsException;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Java's own client against a broker: Admin, the producer with its defaults (idempotent), the consumer by assignment. */
public final class Compat {
    private static final int WAIT_S = 20;

    private final Checks checks = new Checks();
    private final String bootstrap;
    private final String topic = "compat-java-" + Long.toHexString(ThreadLocalRandom.current().nextLong());
    private final String scratch = topic + "-scratch";
    private final List<TopicPartition> everything =
        IntStream.range(0, Sample.CODECS.size()).mapToObj(p -> new TopicPartition(topic, p)).toList();
    private final Admin admin;

    private Compat(String bootstrap) {
        this.bootstrap = bootstrap;
        this.admin = Admin.create(Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", WAIT_S * 1000,
            "request.timeout.ms", WAIT_S * 500));
    }

    public static void main(String[] args) {
        Compat compat = new Compat(Checks.argument(args, "bootstrap", "127.0.0.1:9092"));
        compat.topics();
        compat.configs();
        compat.records();
        compat.timestamps();
        compat.deletion();
        compat.emptied();
        compat.limits();
        compat.admin.close(Duration.ofSeconds(5));
        System.exit(compat.checks.finish());
    }

    private void topics() {
        checks.check("describe cluster: an id, a controller among the nodes", () -> {
            var cluster = admin.describeCluster();
            Checks.equal(get(cluster.clusterId()) != null, true, "cluster has an id");
            Checks.equal(get(cluster.nodes()).contains(get(cluster.controller())), true, "controller is a node");
        });
        checks.check("create topic, with settings: the answer has its id and configs", () -> {
            var created = admin.createTopics(List.of(newTopic(topic, Sample.CODECS.size(), Sample.TOPIC_CONFIG)));
            Checks.equal(get(created.numPartitions(topic)), Sample.CODECS.size(), "partitions");
            Checks.equal(get(created.config(topic)).get("segment.ms").value(), "200000", "segment.ms");
            Checks.equal(get(created.topicId(topic)).equals(Uuid.ZERO_UUID), false, "id is zero");
        });
        checks.check("create topic again: TopicExistsException", () ->
            Checks.refused(TopicExistsException.class, () -> create(topic, 1, Map.of())));
        checks.check("create topic, bad name: InvalidTopicException", () ->
            Checks.refused(InvalidTopicException.class, () -> create("a/b", 1, Map.of())));
        checks.check("create topic, unknown setting: InvalidConfigurationException", () ->
            Checks.refused(InvalidConfigurationException.class, () -> create(topic + "-no", 1, Map.of("no.such.setting", "1"))));
        checks.check("create topic, validate only: it is not there afterwards", () -> {
            var options = new CreateTopicsOptions().validateOnly(true);
            get(admin.createTopics(List.of(newTopic(topic + "-no", 1, Map.of())), options).all());
            Checks.equal(get(admin.listTopics().names()).contains(topic + "-no"), false, "listed");
        });
        checks.check("list and describe topics, by name and by id", () -> {
            Checks.eventually("topic is listed", () -> get(admin.listTopics().names()).contains(topic));
            TopicDescription byName = describe(topic);
            Checks.equal(byName.partitions().size(), Sample.CODECS.size(), "partitions");
            for (var p : byName.partitions()) {
                Checks.equal(p.isr().contains(p.leader()) && p.replicas().contains(p.leader()), true, "leader is in sync");
            }
            var byId = get(admin.describeTopics(TopicCollection.ofTopicIds(List.of(byName.topicId())))
                .allTopicIds());
            Checks.equal(byId.get(byName.topicId()).name(), topic, "name by id");
        });
        checks.check("describe a topic that is not there: UnknownTopicOrPartitionException", () ->
            Checks.refused(UnknownTopicOrPartitionException.class, () -> describe(topic + "-no")));
    }

    private void configs() {
        var resource = new ConfigResource(TOPIC, topic);
        checks.check("describe configs: what was set at creation, and a default", () -> {
            Config config = config(resource);
            Checks.equal(config.get("segment.ms").value(), "200000", "segment.ms");
            Checks.equal(config.get("segment.ms").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "its source");
            Checks.equal(config.get("cleanup.policy").value(), "delete", "cleanup.policy");
            Checks.equal(config.get("cleanup.policy").isDefault(), true, "cleanup.policy is the default");
        });
        checks.check("describe configs of the broker: Kafka's names", () -> {
            String id = get(admin.describeCluster().controller()).idString();
            var broker = new ConfigResource(ConfigResource.Type.BROKER, id);
            Config config = config(broker);
            for (String name : List.of("log.dirs", "num.partitions", "message.max.bytes", "auto.create.topics.enable")) {
                Checks.equal(config.get(name) != null, true, name + " is there");
            }
        });
        checks.check("alter configs incrementally: set, then back to the default", () -> {
            for (var op : List.of(AlterConfigOp.OpType.SET, AlterConfigOp.OpType.DELETE)) {
                String value = op == AlterConfigOp.OpType.SET ? "123456" : "1048588";
                alter(resource, "max.message.bytes", "123456", op);
                Checks.eventually("max.message.bytes is " + value, () ->
                    config(resource).get("max.message.bytes").value().equals(value));
            }
        });
        checks.check("alter configs, bad value: InvalidConfigurationException", () ->
            Checks.refused(InvalidConfigurationException.class,
                () -> alter(resource, "retention.ms", "soon", AlterConfigOp.OpType.SET)));
        checks.check("list config resources", () ->
            Checks.equal(get(admin.listConfigResources(Set.of(TOPIC), new ListConfigResourcesOptions()).all()).contains(resource),
                true, "the topic is listed"));
    }

    private void records() {
        for (int p = 0; p < Sample.CODECS.size(); p++) {
            int partition = p;
            String codec = Sample.CODECS.get(p);
            checks.check("produce, " + codec + ": offsets in order", () -> {
                List<Long> offsets = produce(Map.of("compression.type", codec, "linger.ms", 50), topic, partition, Sample.RECORDS)
                    .stream().map(RecordMetadata::offset).toList();
                Checks.equal(offsets, IntStream.range(0, Sample.RECORDS).mapToObj(i -> (long) i).toList(), "offsets");
            });
            checks.check("read back, " + codec + ": order, keys, values, headers, timestamps", () -> {
                var records = read(new TopicPartition(topic, partition), 0L, Sample.RECORDS, "none");
                for (int i = 0; i < Sample.RECORDS; i++) {
                    var r = records.get(i);
                    Checks.equal(r.offset(), (long) i, "offset");
                    Checks.equal(r.timestampType(), TimestampType.CREATE_TIME, "timestamp type");
                    String different = Sample.difference(Sample.record(topic, partition, i), r.timestamp(), r.key(), r.value(),
                        r.headers().toArray());
                    Checks.equal(different, null, "difference at offset " + i);
                }
            });
            checks.check("read from the middle, " + codec, () -> {
                var some = read(new TopicPartition(topic, partition), 333L, 3, "none");
                Checks.equal(some.stream().map(ConsumerRecord::offset).toList(), List.of(333L, 334L, 335L), "offsets");
            });
        }
        checks.check("acks=1 and acks=0 are written too, LogAppendTime is the broker's", () -> {
            create(scratch, 2, Map.of("message.timestamp.type", "LogAppendTime"));
            long before = System.currentTimeMillis() - 1000;
            for (String acks : List.of("1", "0")) {
                produce(Map.of("acks", acks, "enable.idempotence", false), scratch, 0, 20);
            }
            for (var r : read(new TopicPartition(scratch, 0), 0L, 40, "none")) {
                Checks.equal(r.timestampType(), TimestampType.LOG_APPEND_TIME, "timestamp type");
                Checks.equal(r.timestamp() >= before && r.timestamp() <= System.currentTimeMillis() + 1000, true, "time is now");
            }
        });
        checks.check("describe producers: the idempotent one of partition 0", () -> {
            var tp = everything.get(0);
            var states = get(admin.describeProducers(List.of(tp)).partitionResult(tp)).activeProducers();
            Checks.equal(states.size(), 1, "producers");
            Checks.equal(states.get(0).lastSequence(), Sample.RECORDS - 1, "last sequence");
        });
        checks.check("describe log dirs: the topic's partitions have a size", () -> {
            int node = get(admin.describeCluster().controller()).id();
            var replicas = get(admin.describeLogDirs(List.of(node)).allDescriptions()).get(node).values().stream()
                .flatMap(d -> d.replicaInfos().entrySet().stream())
                .filter(e -> e.getKey().topic().equals(topic) && e.getValue().size() > 0).count();
            Checks.equal(replicas, (long) Sample.CODECS.size(), "replicas with a size");
        });
    }

    private void timestamps() {
        checks.check("list offsets: earliest, latest, newest timestamp", () -> {
            Checks.equal(offsets(OffsetSpec.earliest()), everywhere(0), "earliest");
            Checks.equal(offsets(OffsetSpec.latest()), everywhere(Sample.RECORDS), "latest");
            Checks.equal(offsets(OffsetSpec.maxTimestamp()), everywhere(Sample.newest()), "newest");
        });
        checks.check("seek by timestamp: exact offset and timestamp, in every codec", () -> {
            try (var consumer = consumer("none")) {
                for (long time : Sample.seekTimes()) {
                    int want = Sample.firstAtOrAfter(time, 0);
                    Map<TopicPartition, Long> asked = new HashMap<>();
                    everything.forEach(tp -> asked.put(tp, time));
                    consumer.offsetsForTimes(asked, Duration.ofSeconds(WAIT_S)).forEach((tp, got) -> {
                        Checks.equal(got == null ? -1L : got.offset(), (long) want, tp.partition() + " at " + time);
                        if (got != null) Checks.equal(got.timestamp(), Sample.timestamp(want), "timestamp");
                    });
                }
            }
        });
        checks.check("read past the end: OffsetOutOfRangeException", () ->
            Checks.refused(OffsetOutOfRangeException.class,
                () -> read(everything.get(0), Sample.RECORDS + 10L, 1, "none")));
        checks.check("position, lag and end offsets", () -> {
            try (var consumer = consumer("none")) {
                var tp = everything.get(1);
                consumer.assign(List.of(tp));
                consumer.seekToEnd(List.of(tp));
                Checks.equal(consumer.position(tp, Duration.ofSeconds(WAIT_S)), (long) Sample.RECORDS, "position at the end");
                Checks.equal(consumer.endOffsets(everything).get(tp), (long) Sample.RECORDS, "end offset");
            }
        });
    }

    private void deletion() {
        checks.check("delete records: new low watermark, and nothing else is lost", () -> {
            var to = everything.stream().collect(Collectors.toMap(tp -> tp, tp -> RecordsToDelete.beforeOffset(Sample.DELETED)));
            for (var deleted : admin.deleteRecords(to).lowWatermarks().values()) {
                Checks.equal(get(deleted).lowWatermark(), (long) Sample.DELETED, "low watermark");
            }
            Checks.equal(offsets(OffsetSpec.earliest()), everywhere(Sample.DELETED), "earliest");
            for (var tp : everything) {
                var first = read(tp, null, 1, "none").get(0);
                Checks.equal(first.offset(), (long) Sample.DELETED, "first offset");
                var want = Sample.record(topic, tp.partition(), Sample.DELETED);
                Checks.equal(Sample.difference(want, first.timestamp(), first.key(), first.value(), first.headers().toArray()),
                    null, "difference");
            }
        });
        checks.check("a read below the new start resets to it", () ->
            Checks.equal(read(everything.get(3), 5L, 1, "earliest").get(0).offset(), (long) Sample.DELETED, "offset"));
        checks.check("a timestamp below the new start finds the start", () ->
            Checks.equal(offsets(OffsetSpec.forTimestamp(Sample.EPOCH_MS)), everywhere(Sample.DELETED), "offset"));
        checks.check("delete records past the end: OffsetOutOfRangeException", () -> {
            var past = Map.of(everything.get(0), RecordsToDelete.beforeOffset(Sample.RECORDS + 1));
            Checks.refused(org.apache.kafka.common.errors.OffsetOutOfRangeException.class,
                () -> get(admin.deleteRecords(past).all()));
        });
    }

    private void emptied() {
        checks.check("delete records to the high watermark: empty, and it goes on from there", () -> {
            var tp = everything.get(1);
            var deleted = admin.deleteRecords(Map.of(tp, RecordsToDelete.beforeOffset(-1))).lowWatermarks().get(tp);
            Checks.equal(get(deleted).lowWatermark(), (long) Sample.RECORDS, "low watermark");
            Checks.equal(offsets(OffsetSpec.earliest()).get(1), (long) Sample.RECORDS, "earliest");
            try (var producer = producer(Map.of())) {
                var sent = producer.send(Sample.record(topic, 1, Sample.RECORDS));
                Checks.equal(get(sent).offset(), (long) Sample.RECORDS, "next offset");
            }
            Checks.equal(read(tp, null, 1, "none").get(0).offset(), (long) Sample.RECORDS, "first offset");
        });
    }

    private void limits() {
        String small = scratch + "-small";
        checks.check("a record over max.message.bytes: RecordTooLargeException", () -> {
            create(small, 1, Map.of("max.message.bytes", "2000"));
            Checks.refused(RecordTooLargeException.class, () -> produce(Map.of(), small, 0, Sample.CHUNK));
        });
        checks.check("a record whose key and value are both null", () -> {
            byte[] none = null;
            long offset;
            try (var producer = producer(Map.of())) {
                offset = get(producer.send(new ProducerRecord<>(small, 0, 1L, none, none))).offset();
            }
            var r = read(new TopicPartition(small, 0), offset, 1, "none").get(0);
            Checks.equal(r.key() == null && r.value() == null && r.timestamp() == 1, true, "it came back so");
        });
        checks.check("add partitions, and write to a new one", () -> {
            get(admin.createPartitions(Map.of(scratch, NewPartitions.increaseTo(4))).all());
            Checks.eventually("four partitions", () -> describe(scratch).partitions().size() == 4);
            produce(Map.of(), scratch, 3, 20);
            Checks.equal(read(new TopicPartition(scratch, 3), 0L, 20, "none").size(), 20, "records");
        });
        checks.check("fewer partitions: InvalidPartitionsException", () ->
            Checks.refused(InvalidPartitionsException.class,
                () -> get(admin.createPartitions(Map.of(scratch, NewPartitions.increaseTo(2))).all())));
        checks.check("delete topics, by name and by id: gone from the list", () -> {
            Uuid id = describe(small).topicId();
            get(admin.deleteTopics(List.of(scratch)).all());
            get(admin.deleteTopics(TopicCollection.ofTopicIds(List.of(id))).all());
            Checks.eventually("gone", () -> {
                Set<String> names = get(admin.listTopics().names());
                return !names.contains(scratch) && !names.contains(small);
            });
        });
        checks.check("delete topic again: UnknownTopicOrPartitionException", () ->
            Checks.refused(UnknownTopicOrPartitionException.class, () -> get(admin.deleteTopics(List.of(scratch)).all())));
        checks.check("a topic made again has a new id and starts at offset 0", () -> {
            create(scratch, 1, Map.of());
            Uuid first = describe(scratch).topicId();
            produce(Map.of(), scratch, 0, 5);
            get(admin.deleteTopics(List.of(scratch)).all());
            Checks.eventually("gone", () -> !get(admin.listTopics().names()).contains(scratch));
            create(scratch, 1, Map.of());
            Checks.equal(describe(scratch).topicId().equals(first), false, "the id is the old one");
            Checks.equal(produce(Map.of(), scratch, 0, 1).get(0).offset(), 0L, "first offset");
            get(admin.deleteTopics(List.of(scratch)).all());
        });
    }

    // What the checks are made of.

    private static <T> T get(Future<T> future) throws Exception {
        return future.get(WAIT_S, TimeUnit.SECONDS);
    }

    private static NewTopic newTopic(String name, int partitions, Map<String, String> configs) {
        return new NewTopic(name, Optional.of(partitions), Optional.empty()).configs(configs);
    }

    private Void create(String name, int partitions, Map<String, String> configs) throws Exception {
        get(admin.createTopics(List.of(newTopic(name, partitions, configs))).all());
        Checks.eventually(name + " is described", () -> {
            try {
                return describe(name).partitions().stream().allMatch(p -> p.leader() != null);
            } catch (ExecutionException error) {
                if (error.getCause() instanceof UnknownTopicOrPartitionException) return false;
                throw error;
            }
        });
        return null;
    }

    private TopicDescription describe(String name) throws Exception {
        return get(admin.describeTopics(List.of(name)).allTopicNames()).get(name);
    }

    private Config config(ConfigResource resource) throws Exception {
        return get(admin.describeConfigs(List.of(resource)).all()).get(resource);
    }

    private Void alter(ConfigResource resource, String name, String value, AlterConfigOp.OpType op) throws Exception {
        Collection<AlterConfigOp> change = List.of(new AlterConfigOp(new ConfigEntry(name, value), op));
        get(admin.incrementalAlterConfigs(Map.of(resource, change)).all());
        return null;
    }

    private TreeMap<Integer, Long> offsets(OffsetSpec spec) throws Exception {
        var asked = everything.stream().collect(Collectors.toMap(tp -> tp, tp -> spec));
        TreeMap<Integer, Long> found = new TreeMap<>();
        get(admin.listOffsets(asked).all()).forEach((tp, info) -> found.put(tp.partition(), info.offset()));
        return found;
    }

    private TreeMap<Integer, Long> everywhere(long offset) {
        TreeMap<Integer, Long> all = new TreeMap<>();
        everything.forEach(tp -> all.put(tp.partition(), offset));
        return all;
    }

    private KafkaProducer<byte[], byte[]> producer(Map<String, Object> settings) {
        Map<String, Object> config = new HashMap<>(settings);
        config.put("bootstrap.servers", bootstrap);
        config.put("max.block.ms", WAIT_S * 1000);
        config.put("request.timeout.ms", WAIT_S * 500);
        config.put("delivery.timeout.ms", WAIT_S * 1000);
        return new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /** The first `count` sample records, flushed each CHUNK. */
    private List<RecordMetadata> produce(Map<String, Object> settings, String to, int partition, int count) throws Exception {
        try (var producer = producer(settings)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                sent.add(producer.send(Sample.record(to, partition, i)));
                if (i % Sample.CHUNK == Sample.CHUNK - 1) producer.flush();
            }
            producer.flush();
            List<RecordMetadata> answers = new ArrayList<>();
            for (var future : sent) answers.add(get(future));
            return answers;
        }
    }

    private KafkaConsumer<byte[], byte[]> consumer(String reset) {
        Map<String, Object> config = Map.of("bootstrap.servers", bootstrap, "auto.offset.reset", reset,
            "enable.auto.commit", false, "default.api.timeout.ms", WAIT_S * 1000, "request.timeout.ms", WAIT_S * 500);
        return new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    /** `count` records from an offset (null: the beginning); fails where fewer come in time. */
    private List<ConsumerRecord<byte[], byte[]>> read(TopicPartition tp, Long offset, int count, String reset) {
        try (var consumer = consumer(reset)) {
            consumer.assign(List.of(tp));
            if (offset == null) {
                consumer.seekToBeginning(List.of(tp));
            } else {
                consumer.seek(tp, offset);
            }
            List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
            long deadline = System.nanoTime() + WAIT_S * 1_000_000_000L;
            while (records.size() < count) {
                if (System.nanoTime() > deadline) throw new AssertionError(records.size() + " of " + count + " records in time");
                consumer.poll(Duration.ofMillis(500)).forEach(records::add);
            }
            return records.subList(0, count);
        }
    }
}
