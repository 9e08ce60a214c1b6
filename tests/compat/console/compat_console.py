"""Kafka's console tools against a broker, each by the main class that its shell script names; CLASSPATH has them.

kafka-dump-log is not here: ../dump-segments reads every segment with it.
"""

import json
import os
import re
import subprocess
import tempfile
import time

from checks import Checks, equal, eventually
from serves import JOIN_GROUP, serves

WAIT = 20
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
COUNT = 40  # records of each codec, each codec in a batch of its own
CLASSES = {
    "kafka-broker-api-versions": "org.apache.kafka.tools.BrokerApiVersionsCommand",
    "kafka-cluster": "org.apache.kafka.tools.ClusterTool",
    "kafka-configs": "kafka.admin.ConfigCommand",
    "kafka-console-consumer": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer": "org.apache.kafka.tools.ConsoleProducer",
    "kafka-consumer-groups": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-delete-records": "org.apache.kafka.tools.DeleteRecordsCommand",
    "kafka-get-offsets": "org.apache.kafka.tools.GetOffsetShell",
    "kafka-groups": "org.apache.kafka.tools.GroupsCommand",
    "kafka-log-dirs": "org.apache.kafka.tools.LogDirsCommand",
    "kafka-metadata-quorum": "org.apache.kafka.tools.MetadataQuorumCommand",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
}
JVM = ["java", "-Xmx512M", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", os.environ["CLASSPATH"]]
HERE = os.path.dirname(os.path.abspath(__file__))
checks = Checks("console")
check, topic = checks.check, checks.topic
group = topic + "-group"


jvm = subprocess.Popen([*JVM, f"{HERE}/Tools.java"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)


def line_of(name, args):
    """The arguments as the tool's shell script hands them to its class."""
    at = 1 if name == "kafka-cluster" else 0  # its subcommand comes first
    args = [str(a) for a in args]
    return [*args[:at], "--bootstrap-server", checks.bootstrap, *args[at:]]


def tool(name, *args, text="", fails=False):
    """What one run printed, both streams; kafka-consumer-groups exits 0 also where it failed."""
    jvm.stdin.write(json.dumps({"main": CLASSES[name], "args": line_of(name, args), "input": text}) + "\n")
    done = json.loads(jvm.stdout.readline())
    assert (done["code"] != 0) == fails, f"exit {done['code']} of {name} {args}: {done['output']}"
    return done["output"]


def offsets(*args):
    """Offset by partition."""
    lines = tool("kafka-get-offsets", "--topic", topic, *args).splitlines()
    return {int(p): int(o) for t, p, o in (line.rsplit(":", 2) for line in lines) if t == topic}


def consume(*args):
    """(partition, offset, timestamp, key, value) of each record."""
    shown = [f"print.{what}=true" for what in ("partition", "offset", "timestamp", "key")]
    properties = [arg for p in shown for arg in ("--formatter-property", p)]
    said = tool("kafka-console-consumer", "--topic", topic, *properties, *args)
    line = re.compile(r"CreateTime:(\d+)\tPartition:(\d+)\tOffset:(\d+)\t([^\t]*)\t(.*)")
    found = [m.groups() for m in map(line.fullmatch, said.splitlines()) if m]
    return [(int(p), int(o), int(ts), k, v) for ts, p, o, k, v in found]


def groups(*args):
    return tool("kafka-consumer-groups", *args)


def described(*args):
    """The rows of the table that --describe prints, each a dict by column."""
    rows = [line.split() for line in groups("--describe", "--group", group, *args).splitlines()]
    head = next(i for i, row in enumerate(rows) if row[:1] == ["GROUP"])
    return [dict(zip(rows[head], row)) for row in rows[head + 1:] if row[:1] == [group]]


def reset(*args):
    """New offset by partition, of a reset in earnest."""
    said = groups("--reset-offsets", "--execute", "--group", group, "--topic", topic, *args)
    return {int(row[2]): int(row[3]) for row in (line.split() for line in said.splitlines()) if row[:1] == [group]}


with check("kafka-broker-api-versions, kafka-cluster: the versions, an id"):
    assert "Fetch(1)" in tool("kafka-broker-api-versions")
    assert re.search(r"Cluster ID: \S+", tool("kafka-cluster", "cluster-id"))
with check("kafka-metadata-quorum: the leader, and each replica's lag"):
    status = dict(re.findall(r"(\w+): +(.*)", tool("kafka-metadata-quorum", "describe", "--status")))
    assert int(status["LeaderEpoch"]) > 0 and int(status["HighWatermark"]) > 0, status
    voters = [voter["id"] for voter in json.loads(status["CurrentVoters"])]
    assert int(status["LeaderId"]) in voters, status
    lines = tool("kafka-metadata-quorum", "describe", "--replication", "--human-readable").splitlines()
    rows = [re.split(r" *\t", line.strip()) for line in lines[1:]]
    equal([row[0] for row in rows if row[-1] == "Leader"], [status["LeaderId"]])
    equal(sorted(int(row[0]) for row in rows if row[-1] != "Observer"), sorted(voters))
with check("kafka-topics: create, list, describe, create again"):
    tool("kafka-topics", "--create", "--topic", topic, "--partitions", 3, "--config", "retention.ms=-1")
    assert topic in tool("kafka-topics", "--list").splitlines()
    about = tool("kafka-topics", "--describe", "--topic", topic)
    assert "PartitionCount: 3" in about and "retention.ms=-1" in about, about
    led = re.findall(r"Leader: (\d+)\s+Replicas: ([\d,]+)\s+Isr: ([\d,]+)", about)
    equal(len(led), 3, "partitions that are led")
    for leader, replicas, in_sync in led:
        assert leader in in_sync.split(",") and set(in_sync.split(",")) <= set(replicas.split(",")), about
    assert "already exists" in tool("kafka-topics", "--create", "--topic", topic, fails=True)
with check("kafka-configs: set, described, back to the default; an unknown one is refused"):
    entity = ("--entity-type", "topics", "--entity-name", topic)
    tool("kafka-configs", *entity, "--alter", "--add-config", "max.message.bytes=123456,cleanup.policy=[delete]")
    # Another broker than the one that was asked to may hear of it a moment later.
    described_configs = lambda: tool("kafka-configs", *entity, "--describe")
    eventually("it is described", lambda: "max.message.bytes=123456 " in described_configs())
    tool("kafka-configs", *entity, "--alter", "--delete-config", "max.message.bytes")
    eventually("it is gone", lambda: "max.message.bytes" not in described_configs())
    assert "no.such" in tool("kafka-configs", *entity, "--alter", "--add-config", "no.such=1", fails=True)
with check("kafka-configs: all of a broker's"):
    broker = re.search(r"Leader: (\d+)", tool("kafka-topics", "--describe", "--topic", topic)).group(1)
    assert "log.dirs=" in tool("kafka-configs", "--entity-type", "brokers", "--entity-name", broker, "--describe", "--all")


written = []
for codec in CODECS:
    with check(f"kafka-console-producer, {codec}"):
        records = [(f"{codec}-{i}", f"value {i}") for i in range(COUNT)]
        tool("kafka-console-producer", "--topic", topic, "--compression-codec", codec, "--reader-property",
             "parse.key=true", "--reader-property", "key.separator=:", text="".join(f"{k}:{v}\n" for k, v in records))
        written += records
times = {}  # of each partition, its records' timestamps
with check("kafka-console-consumer, of one partition: in order, from an offset"):
    for partition in range(3):
        end = offsets("--partitions", partition)[partition]
        got = consume("--partition", partition, "--offset", "earliest", "--max-messages", end)
        equal([r[1] for r in got], list(range(end)))
        times[partition] = [r[2] for r in got]
    equal([r[1] for r in consume("--partition", 1, "--offset", 5, "--max-messages", 3)], [5, 6, 7])
with check("kafka-get-offsets: latest, earliest, by time, of the newest"):
    ends = {p: len(t) for p, t in times.items()}
    equal(sum(ends.values()), len(written), "records")
    equal(offsets(), ends)
    equal(offsets("--time", "earliest"), dict.fromkeys(ends, 0))
    asked = times[0][ends[0] // 2]
    want = {p: next((i for i, at in enumerate(t) if at >= asked), None) for p, t in times.items()}
    equal(offsets("--time", asked), {p: o for p, o in want.items() if o is not None}, f"offsets at {asked}")
    equal(offsets("--time", "max-timestamp"), {p: t.index(max(t)) for p, t in times.items()}, "of the newest")
with check("kafka-log-dirs: each partition has a size"):
    about = json.loads(tool("kafka-log-dirs", "--describe", "--topic-list", topic).splitlines()[-1])
    sizes = [(p["partition"], p["size"]) for b in about["brokers"] for d in b["logDirs"] for p in d["partitions"]]
    equal({name for name, _ in sizes}, {f"{topic}-{p}" for p in range(3)})
    assert all(size for _, size in sizes), sizes


def in_groups():
    """What needs a coordinator: a member, its commits, its lag, resets, deletions."""
    with check("kafka-console-consumer, in a group: what its first members leave, the next reads"):
        first = consume("--group", group, "--from-beginning", "--max-messages", 70)
        rest = consume("--group", group, "--max-messages", len(written) - 70)
        equal(sorted((k, v) for _, _, _, k, v in first + rest), sorted(written), "records")
    with check("kafka-consumer-groups, kafka-groups: list, state"):
        assert re.search(rf"^{group}\s+Empty\s", groups("--list", "--state"), re.MULTILINE)
        assert re.search(rf"^{group}\s+Classic\s", tool("kafka-groups", "--list"), re.MULTILINE)
        equal([row["#MEMBERS"] for row in described("--state")], ["0"])
    with check("kafka-consumer-groups: no lag, then that of new records"):
        equal({int(r["PARTITION"]): r["LAG"] for r in described()}, dict.fromkeys(ends, "0"))
        tool("kafka-console-producer", "--topic", topic, text="".join(f"more {i}\n" for i in range(9)))
        equal(sum(int(r["LAG"]) for r in described()), 9, "lag")
    with check("kafka-consumer-groups: an active member, its partitions; its group can't be reset"):
        args = line_of("kafka-console-consumer", ("--topic", topic, "--group", group))
        member = subprocess.Popen([*JVM, CLASSES["kafka-console-consumer"], *args],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            eventually("the member is there", lambda: [r["#PARTITIONS"] for r in described("--members")] == ["3"])
            equal([r["STATE"] for r in described("--state")], ["Stable"])
            assert "inactive" in groups("--reset-offsets", "--group", group, "--topic", topic, "--to-earliest", "--execute")
        finally:
            member.terminate()  # it leaves
            member.wait(WAIT)
        eventually("it left", lambda: [r["STATE"] for r in described("--state")] == ["Empty"])
        equal(sum(int(r["LAG"]) for r in described()), 0, "lag")
    with check("kafka-consumer-groups: reset to an offset, by a shift, to a time; a dry run changes nothing"):
        equal(reset("--to-earliest"), dict.fromkeys(ends, 0))
        equal(reset("--shift-by", 2), dict.fromkeys(ends, 2))
        groups("--reset-offsets", "--dry-run", "--group", group, "--topic", topic, "--to-latest")
        equal({int(r["PARTITION"]): r["CURRENT-OFFSET"] for r in described()}, dict.fromkeys(ends, "2"))
        now = offsets()
        last = max(t[-1] for t in times.values())
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(last // 1000)) + f".{last % 1000:03}Z"
        # What comes after the last of the batches is what was written later, if anything.
        equal(reset("--to-datetime", at), {p: next((i for i, t in enumerate(times[p]) if t >= last), ends[p]) for p in ends})
        equal(reset("--to-latest"), now)
    with check("the offsets topic, as Kafka's own formatters read it"):
        records = decoded("OffsetsMessageFormatter")
        mine = [r for r in records if r["key"]["data"].get("group") == group]
        newest = {r["key"]["data"]["partition"]: r["value"]["data"]["offset"] for r in mine}
        equal(newest, offsets(), "last commits")
        assert any(r["key"]["data"].get("group") == group for r in decoded("GroupMetadataMessageFormatter"))
    with check("kafka-consumer-groups: delete offsets, delete the group"):
        assert "Successful" in groups("--delete-offsets", "--group", group, "--topic", topic)
        assert "successful" in groups("--delete", "--group", group)
        assert group not in groups("--list").split()


def decoded(formatter):
    """The JSON objects, back to back, that a formatter of the offsets topic prints until nothing comes any more."""
    said = tool("kafka-console-consumer", "--topic", "__consumer_offsets", "--from-beginning", "--timeout-ms", 2000,
                "--formatter", f"org.apache.kafka.tools.consumer.{formatter}")
    found, at, decoder = [], said.find("{"), json.JSONDecoder()
    while at >= 0 and said.startswith("{", at):
        record, at = decoder.raw_decode(said, at)
        found.append(record)
    return found


if serves(checks.bootstrap, JOIN_GROUP):
    in_groups()
else:
    print("skipped: groups, which the broker does not serve")

with check("kafka-delete-records: the new start"):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"version": 1, "partitions": [{"topic": topic, "partition": p, "offset": 10} for p in range(3)]}, file)
        file.flush()
        tool("kafka-delete-records", "--offset-json-file", file.name)
    equal(offsets("--time", "earliest"), dict.fromkeys(range(3), 10))
with check("kafka-topics: more partitions, fewer are refused; delete"):
    tool("kafka-topics", "--alter", "--topic", topic, "--partitions", 5)
    assert "PartitionCount: 5" in tool("kafka-topics", "--describe", "--topic", topic)
    tool("kafka-topics", "--alter", "--topic", topic, "--partitions", 2, fails=True)
    tool("kafka-topics", "--delete", "--topic", topic)
    eventually("it is gone", lambda: topic not in tool("kafka-topics", "--list").splitlines())

jvm.stdin.close()
checks.finish()
