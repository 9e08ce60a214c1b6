// Writes the golden files beside this folder: what Java's kafka-clients puts on the wire, for every API and version
// that Leat knows, in both directions, with the same message as JSON. README.md says how to run it.
//
// It knows no message by name: fields and their types come from each message's SCHEMAS, values from a counter.

import java.io.PrintWriter;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.requests.RequestHeader;
import org.apache.kafka.common.requests.ResponseHeader;

public final class Golden {
    private static final String MESSAGES = "org.apache.kafka.common.message.";
    private static final HexFormat HEX = HexFormat.of();

    /** How the fields of a message are filled. */
    private enum Shape {
        /** Every field set, every array with elements. */
        FULL,
        /** Null wherever the version allows it, also in elements; else defaults. */
        NULLS,
        /** Defaults, but nothing null; arrays have no elements. */
        EMPTY
    }

    /** The API and its versions, as in src/apis.rs; a test compares them. */
    private record Api(String name, int min, int max) { }

    private static final List<Api> APIS = List.of(
        new Api("Produce", 3, 13), new Api("Fetch", 4, 18), new Api("ListOffsets", 1, 11),
        new Api("Metadata", 0, 13), new Api("ApiVersions", 0, 4), new Api("CreateTopics", 2, 7),
        new Api("DeleteTopics", 1, 6), new Api("DeleteRecords", 0, 2), new Api("InitProducerId", 0, 5),
        new Api("OffsetForLeaderEpoch", 2, 4), new Api("DescribeConfigs", 1, 4), new Api("AlterConfigs", 0, 2),
        new Api("DescribeLogDirs", 1, 5), new Api("CreatePartitions", 0, 3),
        new Api("IncrementalAlterConfigs", 0, 1), new Api("DescribeCluster", 0, 2),
        new Api("DescribeProducers", 0, 0), new Api("ListConfigResources", 0, 1),
        new Api("DescribeTopicPartitions", 0, 0), new Api("OffsetCommit", 2, 10), new Api("OffsetFetch", 1, 10),
        new Api("FindCoordinator", 0, 6), new Api("JoinGroup", 0, 9), new Api("Heartbeat", 0, 4),
        new Api("LeaveGroup", 0, 5), new Api("SyncGroup", 0, 5), new Api("DescribeGroups", 0, 6),
        new Api("ListGroups", 0, 5), new Api("DeleteGroups", 0, 2), new Api("OffsetDelete", 0, 0),
        new Api("ElectLeaders", 0, 2), new Api("AlterPartitionReassignments", 0, 1),
        new Api("ListPartitionReassignments", 0, 0), new Api("DescribeQuorum", 0, 2), new Api("UnregisterBroker", 0, 0));

    /** Messages that belong to no API and stand behind their version. */
    private static final List<Api> BLOBS = List.of(
        new Api("ConsumerProtocolSubscription", 0, 3), new Api("ConsumerProtocolAssignment", 0, 3));

    private int counter;

    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[0]);
        try (PrintWriter headers = open(folder, "headers"); PrintWriter facts = open(folder, "facts")) {
            for (Api api : APIS) {
                headers(api, headers);
                facts(api, Class.forName(MESSAGES + api.name() + "RequestData"), facts);
                facts(api, Class.forName(MESSAGES + api.name() + "ResponseData"), facts);
                try (PrintWriter out = open(folder, api.name())) {
                    bodies(api, "RequestData", "request", out);
                    bodies(api, "ResponseData", "response", out);
                }
            }
        }
        for (Api blob : BLOBS) {
            try (PrintWriter out = open(folder, blob.name())) {
                bodies(blob, "", "blob", out);
            }
        }
    }

    private static PrintWriter open(Path folder, String name) throws Exception {
        PrintWriter out = new PrintWriter(Files.newBufferedWriter(folder.resolve(name + ".txt")));
        out.println("# Made by java/Golden.java with kafka-clients 4.3.1.");
        return out;
    }

    private static void headers(Api api, PrintWriter out) {
        ApiKeys key = Arrays.stream(ApiKeys.values()).filter(k -> k.name.equals(api.name())).findFirst().orElseThrow();
        for (int v = api.min(); v <= api.max(); v++) {
            short version = (short) v;
            String client = v % 3 == 2 ? null : "cliënt-" + v;
            int correlation = 1_000_000 * key.id + v;
            RequestHeader request = new RequestHeader(key, version, client, correlation);
            ResponseHeader response = new ResponseHeader(correlation, key.responseHeaderVersion(version));
            out.printf("%s %d request %s%n", api.name(), v, bytes(request.data(), request.headerVersion()));
            out.printf("%s %d response %s%n", api.name(), v, bytes(response.data(), response.headerVersion()));
        }
    }

    private static void bodies(Api api, String suffix, String side, PrintWriter out) throws Exception {
        Class<?> type = Class.forName(MESSAGES + api.name() + suffix);
        Method json = Class.forName(MESSAGES + api.name() + suffix + "JsonConverter")
            .getMethod("write", type, short.class, boolean.class);
        Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
        for (short v = (short) api.min(); v <= api.max(); v++) {
            for (Shape shape : Shape.values()) {
                Message message = (Message) new Golden().fill(type, schemas[v], shape, 0);
                out.printf("%s %d %s%n%s%n%s%n", side, v, shape.toString().toLowerCase(),
                    bytes(message, v), json.invoke(null, message, v, false));
            }
        }
    }

    /** What bytes do not show: each field's default, and whether a version without the field refuses another value. */
    private static void facts(Api api, Class<?> type, PrintWriter out) throws Exception {
        Schema[] schemas = (Schema[]) type.getField("SCHEMAS").get(null);
        Map<String, Type> fields = new TreeMap<>();
        // A structure that an API has given up knows only the versions that had it.
        int max = Math.min(api.max(), schemas.length - 1);
        for (int v = api.min(); v <= max; v++) {
            if (schemas[v] != null) {
                fields.putAll(fields(schemas[v]));
            }
        }
        for (Map.Entry<String, Type> entry : fields.entrySet()) {
            Field field = field(type, entry.getKey());
            Object byDefault = field.get(type.getDeclaredConstructor().newInstance());
            boolean needed = false;
            for (int v = api.min(); v <= max; v++) {
                needed |= schemas[v] != null && !fields(schemas[v]).containsKey(entry.getKey())
                    && refuses(type, field, entry.getValue(), (short) v);
            }
            String shown = byDefault instanceof Message ? "{}" : byDefault instanceof Uuid ? "0"
                : byDefault instanceof byte[] ? "" : "" + byDefault;
            out.printf("%s %s.%s %s%s%n", api.name(), type.getSimpleName().replaceAll("(Request|Response)Data$", "$1"), entry.getKey(),
                shown.isEmpty() ? "\"\"" : shown, needed ? " needed" : "");
            Class<?> inner = Collection.class.isAssignableFrom(field.getType()) ? elementType(field) : field.getType();
            if (Message.class.isAssignableFrom(inner)) {
                facts(api, inner, out);
            }
        }
    }

    private static boolean refuses(Class<?> type, Field field, Type wire, short version) throws Exception {
        Message message = (Message) type.getDeclaredConstructor().newInstance();
        field.set(message, new Golden().value(field, wire, Shape.FULL, 0));
        try {
            MessageUtil.toByteBufferAccessor(message, version);
            return false;
        } catch (UnsupportedVersionException e) {
            return true;
        }
    }

    private static Map<String, Type> fields(Schema schema) {
        Map<String, Type> fields = new TreeMap<>();
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields tagged) {
                tagged.fields().values().forEach(field -> fields.put(field.name, field.type));
            } else {
                fields.put(bound.def.name, bound.def.type);
            }
        }
        return fields;
    }

    private static String bytes(Message message, short version) {
        ByteBuffer buffer = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        return HEX.formatHex(bytes);
    }

    private Object fill(Class<?> type, Schema schema, Shape shape, int depth) throws Exception {
        Object message = type.getDeclaredConstructor().newInstance();
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields tagged) {
                for (Map.Entry<Integer, org.apache.kafka.common.protocol.types.Field> e : tagged.fields().entrySet()) {
                    // A tagged field at its default is left out, so that the others show a message without any.
                    if (shape == Shape.FULL) {
                        set(message, e.getValue().name, e.getValue().type, shape, depth);
                    }
                }
            } else {
                set(message, bound.def.name, bound.def.type, shape, depth);
            }
        }
        return message;
    }

    private void set(Object message, String name, Type type, Shape shape, int depth) throws Exception {
        Field field = field(message.getClass(), name);
        if (shape == Shape.NULLS && type.isNullable()) {
            field.set(message, null);
        } else if (shape == Shape.FULL || field.get(message) == null || type.isArray() && shape == Shape.NULLS) {
            field.set(message, value(field, type, shape, depth));
        }
    }

    private static Field field(Class<?> type, String snake) throws Exception {
        for (Field field : type.getDeclaredFields()) {
            if (field.getName().equalsIgnoreCase(snake.replace("_", ""))) {
                field.setAccessible(true);
                return field;
            }
        }
        throw new NoSuchFieldException(type + "." + snake);
    }

    private Object value(Field field, Type type, Shape shape, int depth) throws Exception {
        Class<?> java = field.getType();
        if (Collection.class.isAssignableFrom(java)) {
            return collection(field, type.arrayElementType().orElseThrow(), shape, depth);
        }
        if (Message.class.isAssignableFrom(java)) {
            // A nullable structure hides its schema; all versions of the only one there is (Cursor) are alike.
            Schema schema = type instanceof Schema plain ? plain : (Schema) java.getField("SCHEMA_0").get(null);
            return fill(java, schema, shape, depth);
        }
        // Java's int is wider.
        return type == Type.UINT16 ? (Object) (0xff00 - ++counter) : scalar(java, field.getName(), shape);
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private Object collection(Field field, Type element, Shape shape, int depth) throws Exception {
        Class<?> java = field.getType();
        Collection all = java == List.class ? new ArrayList<>() : (Collection) java.getDeclaredConstructor().newInstance();
        Class<?> of = elementType(field);
        int size = shape == Shape.EMPTY ? 0 : shape == Shape.FULL && depth == 0 ? 2 : 1;
        for (int i = 0; i < size; i++) {
            all.add(element instanceof Schema schema
                ? fill(of, schema, shape, depth + 1)
                : scalar(of, field.getName(), shape));
        }
        return all;
    }

    private static Class<?> elementType(Field field) throws Exception {
        return field.getType() == List.class
            ? (Class<?>) ((ParameterizedType) field.getGenericType()).getActualTypeArguments()[0]
            : Class.forName(field.getType().getName().replaceAll("Collection$", ""));
    }

    private Object scalar(Class<?> java, String name, Shape shape) {
        int n = ++counter;
        boolean full = shape == Shape.FULL;
        byte[] opaque = full ? ("opaque " + n).getBytes(StandardCharsets.UTF_8) : new byte[0];
        if (java == boolean.class) {
            // Not the default, so that every flag is seen: only this one is true by default.
            return !name.equals("allowAutoTopicCreation");
        } else if (java == byte.class || java == Byte.class) {
            return (byte) (n % 2 == 0 ? n : -n);
        } else if (java == short.class) {
            return (short) (name.endsWith("errorCode") || name.endsWith("ErrorCode") ? n % 134 : 1000 + n);
        } else if (java == int.class || java == Integer.class) {
            return n % 5 == 0 ? -n : 0x01020300 + n;
        } else if (java == long.class) {
            return n % 5 == 0 ? -n : 0x0102030405060700L + n;
        } else if (java == String.class) {
            // Now and then longer than 127 bytes, and not ASCII.
            return !full ? "" : n % 11 == 0 ? name + "-é-".repeat(40) + n : name + "-" + n;
        } else if (java == Uuid.class) {
            return new Uuid(0x1122334455667700L + n, 0x0102030405060708L * n);
        } else if (java == byte[].class) {
            return opaque;
        } else if (java == ByteBuffer.class) {
            return ByteBuffer.wrap(opaque);
        } else if (java.getSimpleName().equals("BaseRecords")) {
            return MemoryRecords.readableRecords(ByteBuffer.wrap(opaque));
        }
        throw new IllegalArgumentException("no value for " + java + " " + name);
    }
}
