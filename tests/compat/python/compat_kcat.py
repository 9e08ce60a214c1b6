"""kcat (Debian's package) against a broker. It has no admin calls, so its topics are made by the broker on first use,
and one run gives all its records the same headers and no timestamps: what it reads is checked, not set."""

import json
import subprocess
import time

import sample
from checks import Checks, equal, eventually

WAIT = 20
COUNT = 300
checks = Checks("kcat")
check = checks.check


def kcat(*args, text=None, fails=False):
    """Standard output of one run; its standard error is in the failure."""
    command = [checks.tool, "-b", checks.bootstrap, *map(str, args)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=WAIT)
    assert (done.returncode != 0) == fails, f"exit {done.returncode} of {' '.join(command)}: {done.stderr}"
    return done.stdout


def read(topic, *args):
    """One dict per record, as `kcat -J` prints it, to the end of the partitions."""
    return [json.loads(line) for line in kcat("-C", "-t", topic, "-e", "-q", "-J", *args).splitlines()]


def listed(topic):
    topics = json.loads(kcat("-L", "-J"))["topics"]
    return next((t for t in topics if t["topic"] == topic), None)


lines = "".join(f"key-{i}\tvalue {i}\n" if i % 5 else f"key-{i}\t\n" for i in range(COUNT))

with check("list: brokers and a controller"):
    about = json.loads(kcat("-L", "-J"))
    assert about["brokers"] and about["controllerid"] in [b["id"] for b in about["brokers"]]

for codec in sample.CODECS:
    topic = f"{checks.topic}-{codec}"
    before = int(time.time() * 1000)
    with check(f"produce, {codec}: the topic is made on first use"):
        # -Z: an empty value is null; -X: idempotent as Java's producer is
        kcat("-P", "-t", topic, "-p", 0, "-K", "\t", "-Z", "-z", codec, "-H", "h=1", "-H", "h=2", "-H", "empty=",
             "-X", "enable.idempotence=true", "-X", "allow.auto.create.topics=true", text=lines)
    with check(f"read back, {codec}: order, keys, values, headers, timestamps"):
        got = read(topic, "-p", 0, "-o", "beginning", "-c", COUNT)
        equal([m["offset"] for m in got], list(range(COUNT)))
        equal([m["key"] for m in got], [f"key-{i}" for i in range(COUNT)])
        equal([m["payload"] for m in got], [f"value {i}" if i % 5 else None for i in range(COUNT)])
        equal([m["headers"] for m in got], [["h", "1", "h", "2", "empty", ""]] * COUNT)
        for m in got:
            assert m["tstype"] == "create" and before - 1000 <= m["ts"] <= time.time() * 1000 + 1000

topic = f"{checks.topic}-lz4"
with check("list: the topic, its leader and in-sync replicas"):
    eventually("topic is listed", lambda: listed(topic))
    for p in listed(topic)["partitions"]:
        assert p["leader"] in [r["id"] for r in p["isrs"]]
with check("read the last five, and from an offset"):
    equal([m["offset"] for m in read(topic, "-p", 0, "-o", -5)], list(range(COUNT - 5, COUNT)))
    equal([m["offset"] for m in read(topic, "-p", 0, "-o", 123, "-c", 2)], [123, 124])
with check("read from the end: nothing"):
    equal(read(topic, "-p", 0, "-o", "end"), [])
with check("query offsets by time: exact"):
    times = [m["ts"] for m in read(topic, "-p", 0, "-o", "beginning")]
    for asked in {times[0] - 1, times[0], times[COUNT // 2], times[-1]}:
        want = next(i for i, t in enumerate(times) if t >= asked)
        equal(kcat("-Q", "-t", f"{topic}:0:{asked}").split(), [topic, "[0]", "offset", str(want)], f"answer for {asked}")
    past = kcat("-Q", "-t", f"{topic}:0:{max(times) + 1}")
    assert past.split()[-1] in ("-1", str(COUNT)), past
with check("read between two times"):
    between = read(topic, "-p", 0, "-o", f"s@{times[0]}", "-o", f"e@{max(times) + 1}")
    equal([m["offset"] for m in between], list(range(COUNT)))
with check("produce with acks=0 and acks=1, without idempotence"):
    for acks in (0, 1):
        kcat("-P", "-t", topic, "-p", 0, "-X", f"acks={acks}", text="one\ntwo\n")
    eventually("all four are there", lambda: len(read(topic, "-p", 0, "-o", COUNT)) == 4)
with check("a partition that is not there is an error"):
    kcat("-C", "-t", topic, "-p", 999, "-o", "beginning", "-e", fails=True)

checks.finish()
