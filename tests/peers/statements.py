"""The statements: Flink's dialect, which Flink is told too, and ksqlDB's, of which Streams.java is the topology."""

from rows import DISORDER_MS

# Each with how Leat's result is compared to Flink's: `same`, `close` (doubles that were added in another order), or
# `whole` (the docs: Flink's AVG of whole numbers is cut to a whole number).
AGGREGATES = [
    ("COUNT(*)", "same"), ("COUNT(v)", "same"), ("SUM(v)", "same"), ("SUM(d)", "close"), ("AVG(d)", "close"), ("AVG(v)", "whole"),
    ("MIN(v)", "same"), ("MAX(d)", "same"), ("MIN(w)", "same"), ("MAX(v)", "same"), ("COUNT(DISTINCT w)", "same"),
    ("COUNT(DISTINCT v)", "same"), ("SUM(v) FILTER (WHERE w LIKE '%b%')", "same"), ("COUNT(*) FILTER (WHERE v > 0)", "same"),
]
# What Streams.java computes.
TOTALS = ["COUNT(*)", "SUM(v)", "SUM(d)", "AVG(v)", "MIN(v)", "MAX(v)", "COUNT(DISTINCT w)"]
TOTALS_COMPARED = ["same", "same", "close", "close", "same", "same", "same"]

COLUMNS = "k STRING, w STRING, v INT, d DOUBLE, taken BIGINT"


def flink_source(topic, bootstrap):
    return (f"CREATE TABLE {topic}_f ({COLUMNS}, ts AS TO_TIMESTAMP_LTZ(taken, 3),\n"
            f"  WATERMARK FOR ts AS ts - INTERVAL '{DISORDER_MS // 1000}' SECOND)\n"
            f"WITH ('connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{bootstrap}',\n"
            f"  'properties.group.id' = '{topic}-flink', 'format' = 'json', 'scan.startup.mode' = 'earliest-offset',\n"
            f"  'scan.bounded.mode' = 'latest-offset')")


def flink_queries(topic, windows):
    """(the statement, how many columns name the window and group, how the others are compared)"""
    def seconds(ms):
        return f"INTERVAL '{ms // 1000}{'.%03d' % (ms % 1000) if ms % 1000 else ''}' SECOND"

    for kind, ms in windows.items():
        # HOP and CUMULATE name the step first.
        lengths = ", ".join(seconds(it) for it in reversed(ms))
        divided = " PARTITION BY k" if kind == "session" else ""
        origin = f"TABLE({kind.upper()}(TABLE {topic}_f{divided}, DESCRIPTOR(ts), {lengths}))"
        values = ", ".join(text for text, _ in AGGREGATES)
        yield (f"SELECT window_start, window_end, k, {values}\nFROM {origin}\nGROUP BY window_start, window_end, k",
               3, [how for _, how in AGGREGATES])
    tumble = f"TABLE(TUMBLE(TABLE {topic}_f, DESCRIPTOR(ts), {seconds(windows['tumble'][0])}))"
    yield (f"SELECT window_start, window_end, k, w, COUNT(*), MAX(v) - MIN(v)\nFROM {tumble}\n"
           f"WHERE v IS NOT NULL AND w <> 'b'\nGROUP BY window_start, window_end, k, w\nHAVING COUNT(*) > 1", 4, ["same", "same"])
    yield (f"SELECT window_start, window_end, COUNT(DISTINCT k), SUM(d * 2)\nFROM {tumble}\n"
           f"GROUP BY window_start, window_end", 2, ["same", "close"])


def flink_sinks(topic, bootstrap, windows):
    """Rows and closed windows, written by Flink into topics of the broker, at least once."""
    options = (f"'connector' = 'kafka', 'properties.bootstrap.servers' = '{bootstrap}', 'format' = 'json',\n"
               f"  'sink.delivery-guarantee' = 'at-least-once'")
    length = f"INTERVAL '{windows['tumble'][0] // 1000}' SECOND"
    return [
        f"CREATE TABLE {topic}_rows ({COLUMNS}) WITH ('topic' = '{topic}-rows', {options})",
        f"INSERT INTO {topic}_rows SELECT k, w, v, d, taken FROM {topic}_f",
        f"CREATE TABLE {topic}_sums (begun TIMESTAMP(3), k STRING, n BIGINT) WITH ('topic' = '{topic}-sums', {options})",
        f"INSERT INTO {topic}_sums SELECT window_start, k, COUNT(*)\n"
        f"FROM TABLE(TUMBLE(TABLE {topic}_f, DESCRIPTOR(ts), {length})) GROUP BY window_start, window_end, k",
    ]


def stream(topic):
    return (f"CREATE STREAM {topic}_s ({COLUMNS}) WITH (kafka_topic='{topic}', value_format='JSON', idle='never', "
            f"future='never');")


def stream_query(topic, kind, ms):
    length = {"tumble": "TUMBLING (SIZE {} MILLISECONDS", "hop": "HOPPING (SIZE {} MILLISECONDS, ADVANCE BY {} MILLISECONDS",
              "session": "SESSION ({} MILLISECONDS"}[kind].format(*ms)
    return (f"SELECT WINDOWSTART, WINDOWEND, k, {', '.join(TOTALS)} FROM {topic}_s WINDOW {length}, GRACE PERIOD 1 DAY) "
            f"GROUP BY k EMIT FINAL;")
