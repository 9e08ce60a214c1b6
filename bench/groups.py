#!/usr/bin/env python3
"""Consumer groups, fetch sessions and compaction: what they cost Leat, and Apache Kafka where it has the same. One line per figure.
Needs release builds of `leat` and of this crate's `groups`, Java and Maven. Run it by `just bench-groups`."""

import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
LEAT, GROUPS, KAFKA = BUILT / "leat", BUILT / "groups", ROOT / "tests/compat/apache-kafka"
# One partition of committed offsets, so that one coordinator has all the work.
COMMON = ["offsets.topic.num.partitions=1", "max.connections=20000"]
DURABLE = ["log.flush.interval.messages=1"]


def sets(settings):
    return [word for setting in settings for word in ("--set", setting)]


class Leat:
    name = "Leat"

    def __init__(self, folder, settings):
        self.folder, self.settings, self.address = folder / "leat", settings, "127.0.0.1:0"
        self.start()

    def start(self):
        command = [LEAT, "broker", "--data-dir", self.folder, "--listen", self.address, "--http-listen", "",
                   *sets(COMMON + self.settings)]
        self.log = open(self.folder.with_suffix(".log"), "a")
        environment = {k: v for k, v in os.environ.items() if not k.startswith("LEAT_")}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=environment)
        self.address = self.process.stdout.readline().strip().removeprefix("bootstrap=")
        self.pid = self.process.pid

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()


class Kafka:
    name = "Kafka"

    def __init__(self, folder, settings):
        self.folder, self.settings = folder / "kafka", settings
        self.start()

    def start(self):
        said = subprocess.check_output([KAFKA, "start", "--dir", self.folder, *sets(COMMON + self.settings)], text=True)
        self.address, self.pid = said.strip().removeprefix("bootstrap="), int((self.folder / "pid").read_text())

    def stop(self, how=signal.SIGTERM):
        subprocess.run([KAFKA, "stop", "--dir", self.folder, *(["--kill"] if how == signal.SIGKILL else [])], check=True)


def measure(broker, figure, *words):
    command = [GROUPS, "--bootstrap-server", broker.address, "--broker-pid", str(broker.pid), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    said = done.stdout.strip() if done.returncode == 0 else f"failed: {done.stderr.strip()}"
    if figure:
        print(f"{figure} | {broker.name} | {said}", flush=True)


def topic(broker, name, partitions, *configs):
    words = [word for config in configs for word in ("--config", config)]
    subprocess.run([LEAT, "topic", "create", name, "--partitions", str(partitions), *words, "-b", broker.address], check=True,
                   stdout=subprocess.DEVNULL)


def run(kind, settings, what):
    with tempfile.TemporaryDirectory() as folder:
        broker = kind(Path(folder), settings)
        try:
            what(broker)
        finally:
            broker.stop()


def commits(figure):
    def what(broker):
        topic(broker, "topic", 1)
        for clients in (1, 64):
            measure(broker, f"commits, {figure}, {clients} clients", "commits", "topic", clients, 10)
    return what


def idle(broker):
    measure(broker, "a rebalance of 100 members", "rebalance", 100, 20)
    measure(broker, "1,000 groups of 10 members, idle", "idle", 1000, 10, 20)


def quick(broker):
    topic(broker, "wide", 1000)
    time.sleep(5)
    measure(broker, "an empty fetch in a session over 1,000 partitions", "session", "wide", 1000, 20_000)
    measure(broker, None, "fill", "wide", 1000, 1000)
    broker.stop(signal.SIGKILL)
    broker.start()
    measure(broker, "kill -9 and start: from the first answer until 1,000,000 offsets are loaded", "loaded", "wide", "fill-999")


LIMIT = "log.cleaner.io.max.bytes.per.second"
RATE, SLICE_S, PAIRS, KEYED = 1000, int(os.environ.get("SLICE", 2)), int(os.environ.get("PAIRS", 24)), int(os.environ.get("KEYED", 500_000))


def slice_of(broker):
    """What a record waits for its answer, in a slice of a steady load: median and p99, in microseconds."""
    command = [LEAT, "bench", "produce", "beside", "-b", broker.address, "--rate", str(RATE), "--records", str(RATE * SLICE_S),
               "--size", "100", "-X", "linger.ms=0", "--json"]
    found = json.loads(subprocess.check_output(command))["latency"]
    return found["p50_us"], found["p99_us"]


def passes(broker, name):
    log = broker.folder.with_suffix(".log").read_text()
    return [tuple(map(int, found)) for found in re.findall(rf"compacted partition={name}-0 .*?before=(\d+) .*?took_ms=(\d+)", log)]


def settle():
    """Waits until the disk has done what large files that were written or deleted leave it to do."""
    os.sync()
    time.sleep(4)


def compaction(broker):
    """Short slices of a steady load in pairs, one with a compaction beside it and one without, in an order that changes; what
    happens on the machine meanwhile meets both. Told: the ratio within each pair, its median and how far that may be off."""
    topic(broker, "beside", 1)
    slice_of(broker)
    pairs, rates = [], []
    for turn in range(PAIRS):
        name = f"keyed-{turn}"
        topic(broker, name, 1, "cleanup.policy=compact", "segment.bytes=67108864", "min.cleanable.dirty.ratio=0.01",
              "min.compaction.lag.ms=9000000000000000")
        measure(broker, None, "keyed", name, KEYED, KEYED // 10)
        settle()
        before = slice_of(broker) if turn % 2 else None
        subprocess.run([LEAT, "topic", "alter", name, "--config", "min.compaction.lag.ms=0", "-b", broker.address], check=True,
                       stdout=subprocess.DEVNULL)
        beside = slice_of(broker)
        for _ in range(25):
            if done := passes(broker, name):
                break
            time.sleep(0.2)
        subprocess.run([LEAT, "topic", "delete", name, "-b", broker.address], check=True, stdout=subprocess.DEVNULL)
        settle()
        alone = before or slice_of(broker)
        pairs.append((alone, beside))
        rates += [size / took / 1000 for size, took in done]
        print(f"  {turn}: alone p50 {alone[0]:.0f} p99 {alone[1]:.0f}, beside p50 {beside[0]:.0f} p99 {beside[1]:.0f} us; "
              + ", ".join(f"{size / 1e6:.0f} MB in {took} ms" for size, took in done), file=sys.stderr, flush=True)
    tell(pairs, "produce")
    if rates:
        print(f"compaction | Leat | {statistics.median(rates):.0f} MB/s of log ({min(rates):.0f} to {max(rates):.0f})", flush=True)


def throttled(rate):
    """The same with compaction that goes on all the time, at a rate or at none: the rate is what changes between the slices."""
    def what(broker):
        def at(bytes_per_second):
            subprocess.run([LEAT, "config", "broker", "--config", f"{LIMIT}={bytes_per_second}", "-b", broker.address], check=True,
                           stdout=subprocess.DEVNULL)
            # By then every pass has looked at it.
            time.sleep(0.4)
            return slice_of(broker)
        topic(broker, "beside", 1)
        # Twice what is read and written in all slices at the rate.
        logs = [f"keyed-{n}" for n in range(1 + 2 * PAIRS * (SLICE_S + 1) * rate // (KEYED * 900))]
        for name in logs:
            topic(broker, name, 1, "cleanup.policy=compact", "segment.bytes=67108864", "min.cleanable.dirty.ratio=0.01")
            measure(broker, None, "keyed", name, KEYED, KEYED // 10)
        settle()
        slice_of(broker)
        pairs = []
        for turn in range(PAIRS):
            alone = at(1) if turn % 2 else None
            beside = at(rate)
            pairs.append((alone or at(1), beside))
        moved = sum(size for name in logs for size, _ in passes(broker, name))
        print(f"  {moved / 1e6:.0f} MB of log in passes that have ended", file=sys.stderr)
        assert not all(passes(broker, name) for name in logs), "compaction had nothing left to do"
        tell(pairs, f"at {rate / 1e6:.0f} MB/s read and written: produce")
    return what


def tell(pairs, what):
    """The median of the ratios within pairs, for p50 and for p99."""
    for at, which in ((0, "p50"), (1, "p99")):
        ratios = [beside[at] / alone[at] for alone, beside in pairs]
        drawn = sorted(statistics.median(random.choices(ratios, k=len(ratios))) for _ in range(10_000))
        print(f"compaction | Leat | {what} {which} beside it / alone: median of {len(ratios)} pairs {statistics.median(ratios):.2f}, "
              f"95 % within {drawn[250]:.2f} to {drawn[9750]:.2f}; alone {statistics.median(a[at] for a, _ in pairs):.0f} us",
              flush=True)


only = sys.argv[1:]
if not only or "groups" in only:
    for kind in (Kafka, Leat):
        run(kind, DURABLE + ["group.initial.rebalance.delay.ms=0"], commits("synced"))
        if kind is Kafka:
            run(kind, ["group.initial.rebalance.delay.ms=0"], commits("page cache"))
        # All members of a new group come within the delay, so that nobody has to join twice.
        run(kind, ["group.initial.rebalance.delay.ms=3000"], idle)
        run(kind, ["group.initial.rebalance.delay.ms=0"], quick)
for word in only or ["compaction"]:
    # `compaction=BYTES` throttles it to so many a second.
    if word.startswith("compaction"):
        rate = int(word.partition("=")[2] or 0)
        run(Leat, ["log.cleaner.backoff.ms=500", *([f"{LIMIT}=1"] if rate else [])], throttled(rate) if rate else compaction)
