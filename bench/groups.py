#!/usr/bin/env python3
"""Consumer groups, fetch sessions and compaction: what they cost Leat, and Apache Kafka where it has the same. One line per figure.
Needs release builds of `leat` and of this crate's `groups`, Java and Maven. Run it by `just bench-groups`."""

import json
import os
import re
import signal
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


def latency(broker):
    command = [LEAT, "bench", "latency", "beside", "-b", broker.address, "--rate", "1000", "--seconds", "20", "--json"]
    found = json.loads(subprocess.check_output(command))["latency"]
    return found["p50_us"], found["p99_us"]


def compaction(broker):
    """A log of 1 GB, ten records to a key, is compacted beside a steady load on another topic."""
    topic(broker, "beside", 1)
    latency(broker)
    for turn in range(2):
        name = f"keyed-{turn}"
        topic(broker, name, 1, "cleanup.policy=compact", "segment.bytes=67108864", "min.cleanable.dirty.ratio=0.01",
              "min.compaction.lag.ms=86400000")
        measure(broker, None, "keyed", name, 1_000_000, 100_000)
        time.sleep(5)
        alone = latency(broker)
        subprocess.run([LEAT, "topic", "alter", name, "--config", "min.compaction.lag.ms=0", "-b", broker.address], check=True,
                       stdout=subprocess.DEVNULL)
        beside = latency(broker)
        log = broker.folder.with_suffix(".log").read_text()
        passes = re.findall(rf"compacted partition={name}-0 .*?before=(\d+) after=(\d+) .*?took_ms=(\d+)", log)
        mb, ms = sum(int(before) for before, _, _ in passes) / 1e6, sum(int(took) for _, _, took in passes)
        print(f"compaction | Leat | {mb:.0f} MB in {ms / 1000:.1f} s: {mb / max(ms, 1) * 1000:.0f} MB/s; end to end beside it, us: "
              f"p50 {alone[0]:.0f} to {beside[0]:.0f}, p99 {alone[1]:.0f} to {beside[1]:.0f}", flush=True)


only = sys.argv[1:]
if not only or "groups" in only:
    for kind in (Kafka, Leat):
        run(kind, DURABLE + ["group.initial.rebalance.delay.ms=0"], commits("synced"))
        if kind is Kafka:
            run(kind, ["group.initial.rebalance.delay.ms=0"], commits("page cache"))
        # All members of a new group come within the delay, so that nobody has to join twice.
        run(kind, ["group.initial.rebalance.delay.ms=3000"], idle)
        run(kind, ["group.initial.rebalance.delay.ms=0"], quick)
if not only or "compaction" in only:
    run(Leat, ["log.cleaner.backoff.ms=500"], compaction)
