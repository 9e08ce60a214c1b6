"""The `leat` program, which is the client crate with a command line: what it writes, Java reads, field for field.

READER is the command that reads a topic and prints its digest (java/src/Reader.java); without it that check is left out.
"""

import json
import os
import subprocess

import sample
from checks import Checks, equal

WAIT = 60
checks = Checks("leat")
check, topic = checks.check, checks.topic
reader = os.environ.get("READER", "").split()
partitions = range(len(sample.CODECS))


def leat(*args, text=None, fails=False):
    """Standard output of one run; its standard error is in the failure."""
    command = [checks.tool, *map(str, args), "--bootstrap-server", checks.bootstrap]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=WAIT)
    assert (done.returncode != 0) == fails, f"exit {done.returncode} of {' '.join(command)}: {done.stderr}"
    return done.stdout


def lines(*args):
    return [json.loads(line) for line in leat(*args).splitlines()]


def as_text(data):
    return None if data is None else data.decode()


def as_line(r):
    """A record as `leat produce --input records` takes it."""
    headers = [{"key": k, "value": as_text(v)} for k, v in r.headers]
    return json.dumps({"timestamp": r.timestamp, "key": as_text(r.key), "value": as_text(r.value), "headers": headers})


def as_record(line):
    def as_bytes(text):
        return None if text is None else text.encode()

    headers = [(h["key"], as_bytes(h["value"])) for h in line.get("headers", [])]
    return sample.Record(line["timestamp"], as_bytes(line["key"]), as_bytes(line["value"]), headers)


def consume(partition, *args):
    return lines("consume", topic, "--partition", partition, "--until", "latest", "--json", *args)


def ends():
    return {(p["earliest"], p["latest"]) for p in lines("offsets", topic, "--json")}


written = [[sample.record(p, i) for i in range(sample.RECORDS)] for p in partitions]

with check("topic create, list, describe"):
    configs = [arg for k, v in sample.TOPIC_CONFIG.items() for arg in ("--config", f"{k}={v}")]
    leat("topic", "create", topic, "--partitions", len(sample.CODECS), *configs)
    assert topic in leat("topic", "list")
    assert "200000" in leat("topic", "describe", topic)
with check("topic create again is refused"):
    leat("topic", "create", topic, fails=True)
for partition, codec in enumerate(sample.CODECS):
    with check(f"produce, {codec}"):
        text = "".join(as_line(r) + "\n" for r in written[partition])
        leat("produce", topic, "--input", "records", "--partition", partition, "-z", codec, "--quiet", text=text)
    with check(f"consume, {codec}: order, keys, values, headers, timestamps"):
        got = consume(partition)
        equal([r["offset"] for r in got], list(range(sample.RECORDS)))
        for i, line in enumerate(got):
            different = sample.difference(written[partition][i], as_record(line))
            assert different is None, f"offset {i}: {different}"
if reader:
    with check("Java reads the same records in the same order"):
        digest = 0
        for records in written:
            digest = sample.digest(enumerate(records), digest)
        done = subprocess.run([*reader, "--bootstrap", checks.bootstrap, "--topic", topic],
                              capture_output=True, text=True, timeout=WAIT)
        equal(done.stdout.strip(), f"records={len(partitions) * sample.RECORDS} digest={digest:08x}", "what Java found")
with check("offsets: earliest and latest"):
    equal(ends(), {(0, sample.RECORDS)})
with check("offsets at a time: exact, in every codec"):
    for time_ms in sample.seek_times():
        want = sample.first_at_or_after(time_ms)
        for found in lines("offsets", topic, "--at", f"@{time_ms}", "--json"):
            expected = (None, None) if want is None else (want, sample.timestamp(want))
            equal((found["offset"], found["timestamp"]), expected, f"answer for {time_ms}")
with check("consume from an offset, a time, and the last three"):
    equal([r["offset"] for r in consume(2, "--from", 333, "--count", 2)], [333, 334])
    at = sample.EPOCH_MS + 123_456
    equal(consume(4, "--from", f"@{at}", "--count", 1)[0]["offset"], sample.first_at_or_after(at))
    equal([r["offset"] for r in consume(1, "--from", -3)], [497, 498, 499])
with check("records delete: the new start, and nothing else is lost"):
    leat("records", "delete", topic, "--before", sample.DELETED)
    equal(ends(), {(sample.DELETED, sample.RECORDS)})
    for partition in partitions:
        got = consume(partition)
        equal([r["offset"] for r in got], list(range(sample.DELETED, sample.RECORDS)))
with check("topic alter: more partitions, another setting; topic delete"):
    scratch = topic + "-scratch"
    leat("topic", "create", scratch, "--partitions", 2)
    leat("topic", "alter", scratch, "--partitions", 4, "--config", "max.message.bytes=123456")
    equal(len(lines("offsets", scratch, "--json")), 4)
    assert "123456" in leat("topic", "describe", scratch)
    leat("topic", "delete", scratch)
    assert scratch not in leat("topic", "list")

checks.finish()
