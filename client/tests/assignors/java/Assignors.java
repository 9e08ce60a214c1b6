// Writes what Java's assignors choose in groups that change from round to round. README.md says how to run it.

import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Supplier;

import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.clients.consumer.internals.ConsumerProtocol;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

public final class Assignors {
    private static final HexFormat HEX = HexFormat.of();
    private static final Node NODE = new Node(1, "localhost", 9092);

    /** A member of the group: its own assignor keeps what it had. */
    private static final class Member {
        final String id;
        final Optional<String> instance;
        final ConsumerPartitionAssignor assignor;
        final short version;
        Set<String> topics;
        List<TopicPartition> owned = List.of();
        int generation = -1;

        Member(String id, Optional<String> instance, ConsumerPartitionAssignor assignor, int version, Set<String> topics) {
            this.id = id;
            this.instance = instance;
            this.assignor = assignor;
            this.version = (short) version;
            this.topics = topics;
        }

        byte[] subscription(boolean keepsOwned) {
            Subscription subscription = new Subscription(new ArrayList<>(topics), assignor.subscriptionUserData(topics),
                keepsOwned ? owned : List.of(), generation, Optional.empty());
            return bytes(ConsumerProtocol.serializeSubscription(subscription, version));
        }
    }

    private final Random random;
    private final Supplier<ConsumerPartitionAssignor> assignors;
    private final PrintWriter out;
    private final Map<String, Integer> topics = new TreeMap<>();
    private final Map<String, Member> members = new LinkedHashMap<>();
    private final boolean alike;
    private int names = 0;
    private int generation = 0;

    private Assignors(long seed, Supplier<ConsumerPartitionAssignor> assignors, boolean alike, PrintWriter out) {
        this.random = new Random(seed);
        this.assignors = assignors;
        this.alike = alike;
        this.out = out;
    }

    public static void main(String[] args) throws Exception {
        try (PrintWriter out = new PrintWriter(Files.newBufferedWriter(Path.of(args[0])))) {
            out.println("# Made by java/Assignors.java with kafka-clients 4.3.1.");
            for (int seed = 0; seed < 6; seed++) {
                for (boolean alike : new boolean[] {true, false}) {
                    new Assignors(seed, RangeAssignor::new, alike, out).rounds(2);
                    new Assignors(seed, RoundRobinAssignor::new, alike, out).rounds(2);
                }
            }
            for (int seed = 100; seed < 107; seed++) {
                for (boolean alike : new boolean[] {true, false}) {
                    new Assignors(seed, StickyAssignor::new, alike, out).rounds(5);
                    new Assignors(seed, CooperativeStickyAssignor::new, alike, out).rounds(5);
                }
            }
        }
    }

    private void rounds(int rounds) {
        for (int i = 0; i < 2 + random.nextInt(3); i++) {
            topics.put("topic-" + (char) ('a' + i), 1 + random.nextInt(7));
        }
        for (int i = 0; i < 1 + random.nextInt(5); i++) {
            join();
        }
        for (int round = 0; round < rounds; round++) {
            assign();
            change();
        }
    }

    private Set<String> subscription() {
        Set<String> all = new HashSet<>(topics.keySet());
        all.add("not-there");
        if (!alike) {
            all.removeIf(topic -> random.nextInt(3) == 0);
            if (all.isEmpty()) {
                all.add(topics.keySet().iterator().next());
            }
        }
        return all;
    }

    private void join() {
        String id = "consumer-" + Integer.toHexString(random.nextInt(1 << 20)) + "-" + names++;
        Optional<String> instance = random.nextInt(4) == 0 ? Optional.of("static-" + random.nextInt(1000)) : Optional.empty();
        int version = random.nextInt(5) == 0 ? random.nextInt(3) : 3;
        members.put(id, new Member(id, instance, assignors.get(), version, subscription()));
    }

    /** Something that leads to the next round. */
    private void change() {
        switch (random.nextInt(6)) {
            case 0 -> join();
            case 1 -> {
                join();
                join();
            }
            case 2 -> {
                if (members.size() > 1) {
                    members.remove(members.keySet().iterator().next());
                }
            }
            case 3 -> {
                String topic = topics.keySet().iterator().next();
                topics.merge(topic, 1 + random.nextInt(4), Integer::sum);
            }
            case 4 -> {
                topics.put("topic-" + (char) ('p' + names++ % 10), 1 + random.nextInt(5));
                for (Member member : members.values()) {
                    member.topics = subscription();
                }
            }
            default -> {
                if (alike) {
                    join();
                } else {
                    members.values().iterator().next().topics = subscription();
                }
            }
        }
    }

    @SuppressWarnings("removal")
    private void assign() {
        generation++;
        ConsumerPartitionAssignor leader = assignors.get();
        boolean cooperative = leader instanceof CooperativeStickyAssignor;
        out.println("case " + leader.name());
        List<PartitionInfo> partitions = new ArrayList<>();
        for (Map.Entry<String, Integer> topic : topics.entrySet()) {
            out.println("topic " + topic.getKey() + " " + topic.getValue());
            for (int p = 0; p < topic.getValue(); p++) {
                partitions.add(new PartitionInfo(topic.getKey(), p, NODE, new Node[] {NODE}, new Node[] {NODE}));
            }
        }
        Cluster cluster = new Cluster("cluster", List.of(NODE), partitions, Set.of(), Set.of());
        Map<String, Subscription> subscriptions = new HashMap<>();
        for (Member member : members.values()) {
            byte[] bytes = member.subscription(cooperative);
            out.println("member " + member.id + " " + member.instance.orElse("-") + " " + HEX.formatHex(bytes));
            Subscription subscription = ConsumerProtocol.deserializeSubscription(ByteBuffer.wrap(bytes));
            subscription.setGroupInstanceId(member.instance);
            subscriptions.put(member.id, subscription);
        }
        Map<String, Assignment> assigned = leader.assign(cluster, new GroupSubscription(subscriptions)).groupAssignment();
        // Now and then a member misses a round, and comes to the next one with what it had before.
        for (Member member : members.values()) {
            byte[] bytes = bytes(ConsumerProtocol.serializeAssignment(assigned.get(member.id)));
            out.println("assigned " + member.id + " " + HEX.formatHex(bytes));
            if (random.nextInt(8) == 0) {
                continue;
            }
            Assignment own = ConsumerProtocol.deserializeAssignment(ByteBuffer.wrap(bytes));
            member.owned = own.partitions();
            member.generation = generation;
            member.assignor.onAssignment(own, new ConsumerGroupMetadata("group", generation, member.id, member.instance));
            ByteBuffer said = member.assignor.subscriptionUserData(member.topics);
            out.println("said " + member.id + " " + (said == null ? "-" : HEX.formatHex(bytes(said))));
        }
    }

    private static byte[] bytes(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
    }
}
