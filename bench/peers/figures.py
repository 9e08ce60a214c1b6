"""The table: which measurement each row is, what it was meant to reach, and how it is written."""

from dataclasses import dataclass
from typing import Callable, Optional

from session import median

# A cell reads one broker's results, or the floor's.
Cell = Callable[[dict], Optional[float]]


@dataclass
class Row:
    title: str
    unit: str
    broker: Cell
    target: str
    lower_is_better: bool = True
    floor: Cell = lambda _: None
    # Whether the target is met, from Kafka's, the floor's and Leat's figures.
    met: Callable[[Optional[float], Optional[float], float], Optional[bool]] = lambda kafka, floor, leat: None
    # Where the columns are not two brokers but two clients of one broker.
    peer: Optional[Cell] = None
    # Whether more or less of it is better at all.
    compared: bool = True


def cell(name, figure):
    return lambda results: median(results.get(name), figure)


def below(most):
    return lambda kafka, floor, leat: leat <= most


def above(least):
    return lambda kafka, floor, leat: leat >= least


def of_kafka(factor):
    return lambda kafka, floor, leat: leat >= factor * kafka if kafka else None


def synced(kafka, floor, leat):
    return leat >= 2 * kafka and leat >= 0.6 * floor if kafka and floor else None


def at_most_kafka(kafka, floor, leat):
    return leat <= kafka if kafka else None


def with_sync(kafka, floor, leat):
    return leat <= floor + 200 if floor else None


def throughput(name, title, met, target, floor=lambda _: None):
    return Row(title, "MB/s", cell(name, "mb_per_s"), target, False, floor, met)


def rows():
    out = []
    for client in ("librdkafka", "crate"):
        out += [
            Row(f"produce 1 KB, acks=all ({client})", "broker CPU s/GB", cell(f"produce_1k_{client}", "cpu_s_per_gb"),
                "<= 0.75", True, cell("receive", "cpu_s_per_gb"), below(0.75)),
            Row(f"produce 1 KB: of it in user space ({client})", "broker CPU s/GB", cell(f"produce_1k_{client}", "user_s_per_gb"), ""),
            throughput(f"produce_1k_{client}", f"produce 1 KB: throughput ({client})", of_kafka(1.3), ">= 1.3x Kafka or the client's limit",
                       cell("receive", "mb_per_s")),
            Row(f"produce 1 KB: broker's core in use ({client})", "%", lambda r, c=client: percent(median(r.get(f"produce_1k_{c}"), "broker_busy")), "",
                compared=False),
            Row(f"produce 1 KB: client's core in use ({client})", "%", lambda r, c=client: percent(median(r.get(f"produce_1k_{c}"), "client_busy")), "",
                compared=False),
        ]
    for client in ("librdkafka", "crate"):
        out.append(throughput(f"produce_sync_{client}", f"produce 1 KB, fsync before every answer ({client})", synced,
                              ">= 2x Kafka and >= 60% of the floor", cell("receive_sync", "mb_per_s")))
    out += [
        Row("produce 100 B (librdkafka)", "broker CPU us/record", cell("produce_100_librdkafka", "cpu_us_per_record"),
            "<= 0.10", True, met=below(0.10)),
    ]
    for codec in ("lz4", "zstd"):
        out += [
            Row(f"produce {codec}, records not looked at (librdkafka)", "broker CPU s/GB plain",
                cell(f"produce_{codec}_librdkafka", "cpu_s_per_gb"), "<= 0.25", True, met=below(0.25)),
            Row(f"produce {codec}, each record decoded for its key (librdkafka)", "broker CPU s/GB plain",
                cell(f"produce_{codec}_look_librdkafka", "cpu_s_per_gb"), "<= Kafka", True, met=at_most_kafka),
            Row(f"produce {codec}, values that do not repeat (crate)", "broker CPU s/GB plain",
                cell(f"produce_{codec}_crate", "cpu_s_per_gb"), ""),
        ]
    for client in ("librdkafka", "crate"):
        out += [
            Row(f"fetch from page cache ({client})", "broker CPU s/GB", cell(f"fetch_{client}", "cpu_s_per_gb"), "<= 0.25",
                True, cell("send", "cpu_s_per_gb"), below(0.25)),
            throughput(f"fetch_{client}", f"fetch from page cache: throughput ({client})", lambda *_: None, "", cell("send", "mb_per_s")),
        ]
    out.append(Row("one-record requests, 4 x 64 in flight", "1/s and broker core", cell("requests", "records_per_core_s"),
                   ">= 50,000", False, met=above(50_000)))
    for client in ("librdkafka", "crate"):
        for name, target, most in (("p50", "<= 200", 200), ("p99", "<= 500", 500), ("p99.9", "<= 2000", 2000)):
            out.append(Row(f"end to end at 1,000/s, linger 0, {name} ({client})", "us",
                           cell(f"latency_{client}", f"latency_{name}_us"), target, met=below(most)))
    for name in ("p50", "p99", "p99.9"):
        out.append(Row(f"end to end with fsync, {name} (crate)", "us", cell("latency_sync_crate", f"latency_{name}_us"),
                       "<= one fdatasync + 200", True, cell("sync", f"{name}_us"), with_sync))
    out += [
        Row("start to first acknowledged record", "ms", lambda r: times(median(r.get("start"), "seconds"), 1000), "<= 50",
            met=below(50)),
        Row("idle RSS", "MiB", cell("start", "rss_mib"), "<= 20", met=below(20)),
        Row("client, produce 1 KB (librdkafka, crate)", "client CPU s/GB", cell("produce_1k_crate", "client_cpu_s_per_gb"),
            "<= 1.0", met=below(1.0), peer=cell("produce_1k_librdkafka", "client_cpu_s_per_gb")),
        Row("client, consume 1 KB (librdkafka, crate)", "client CPU s/GB", cell("fetch_crate", "client_cpu_s_per_gb"),
            "<= 0.5", met=below(0.5), peer=cell("fetch_librdkafka", "client_cpu_s_per_gb")),
        Row("peak RSS under full produce load (librdkafka)", "MiB", cell("produce_1k_librdkafka", "peak_rss_mib"), "<= 128",
            met=below(128)),
        Row("after kill -9 with {killed} GB of log, to the first acknowledged record", "s", cell("killed", "seconds"),
            "<= 0.5", met=below(0.5)),
        Row("{partitions} partitions: RSS", "MiB", cell("many", "rss_mib"), "<= 300", met=below(300)),
        Row("{partitions} partitions: idle CPU", "%", lambda r: percent(median(r.get("many"), "idle_cpu")), "<= 2", met=below(2)),
        Row("{partitions} partitions: after kill -9, to a record acknowledged on each of 20", "s", cell("many", "seconds"), "<= 2", met=below(2)),
    ]
    return out


def percent(value):
    return times(value, 100)


def times(value, factor):
    return None if value is None else value * factor


def fill(rows, results):
    """Each row with its figures: (row, title, kafka, floor, leat, ratio, met)."""
    kafka, leat, floor = (results.get(key, {}) for key in ("kafka", "leat", "floor"))
    sizes = results.get("sizes", {})
    filled = []
    for row in rows:
        title = row.title.format(killed=sizes.get("killed", 0) // 10**9, partitions=f"{sizes.get('partitions', 0):,}")
        if row.peer:
            # Two clients of one broker: Leat, or Kafka before there is a Leat.
            at = leat if leat.get("produce_1k_crate") else kafka
            theirs, ours = row.peer(at), row.broker(at)
        else:
            theirs, ours = row.broker(kafka), row.broker(leat)
        below_both = row.floor(floor)
        ratio = None
        if theirs and ours and row.compared:
            ratio = theirs / ours if row.lower_is_better else ours / theirs
        met = row.met(theirs, below_both, ours) if ours is not None else None
        filled.append((row, title, theirs, below_both, ours, ratio, met))
    return filled
