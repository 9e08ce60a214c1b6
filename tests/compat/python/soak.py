"""A soak of consumer groups: five clients in ten groups, whose members are killed and added every few seconds, on a broker that
is killed every minute. Each group must get every record, its commits never go back, none is stuck, and the broker's memory
stays flat. `../soak` starts it; what a member is told is in ../README.md."""

import argparse
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path

from confluent_kafka import Producer
from kafka.admin import KafkaAdminClient
from member_process import Member, Refused

TOPIC, PARTITIONS = "soak", 6
SESSION_MS = 6000
RECORDS_PER_S = 100
MEMBERS_MIN, MEMBERS_MAX = 1, 3
# How long a group may stand still: longer than a broker's restart, a session and a client's own time-out together.
STUCK_S = 120
# Seconds between two changes of one group: of ten groups, one every three seconds.
CHANGE_S = (15, 45)
LIFE_S = 60

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--minutes", type=float, default=30)
parser.add_argument("--leat", required=True, metavar="PATH", help="the broker's program")
parser.add_argument("--folder", metavar="DIR", help="keep the logs and the data here")
parser.add_argument("members", nargs="+", metavar="NAME=COMMAND")
args = parser.parse_args()
commands = dict(member.split("=", 1) for member in args.members)
begun = time.monotonic()
stopping = threading.Event()
happened = Counter()  # by what
wrong = []


def tell(*words):
    print(f"{time.monotonic() - begun:7.1f} s ", *words, flush=True)


def fail(*words):
    wrong.append(" ".join(map(str, words)))
    tell("WRONG", *words)


class Broker:
    """One at a time, always at the same port and on the same data."""

    def __init__(self, folder):
        self.folder, self.peaks, self.lives = folder, [], 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.bootstrap = f"127.0.0.1:{free.getsockname()[1]}"
        self.start()

    def start(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("LEAT_")}
        command = [args.leat, "broker", "--listen", self.bootstrap, "--data-dir", self.folder / "data",
                   "--http-listen", "", "--set", "group.initial.rebalance.delay.ms=0",
                   # What a start reads and holds is what no checkpoint covers: with this, the same from the first minutes on.
                   "--set", "leat.checkpoint.interval.bytes=262144"]
        with open(self.folder / "broker.log", "a") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("bootstrap="), f"the broker says {line!r}"
        self.lives, self.since = self.lives + 1, time.monotonic()

    def resident_mib(self):
        """Its own memory, and that with the files that it has mapped: indexes, which the kernel may drop."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = dict(line.split(":") for line in status.splitlines())
        return [int(found[name].split()[0]) / 1024 for name in ("RssAnon", "VmRSS")]

    def look(self):
        """Ends a life that is over, and sees that the broker did not end by itself."""
        if self.process.poll() is not None:
            fail("the broker ended by itself with", self.process.returncode)
            self.start()
        elif time.monotonic() - self.since > LIFE_S and not stopping.is_set():
            self.peaks.append(self.resident_mib())
            self.process.kill()
            self.process.wait()
            happened["broker killed"] += 1
            self.start()
            tell(f"the broker was killed at {self.peaks[-1][0]:.1f} MiB, {self.peaks[-1][1]:.1f} with files;", dict(happened))

    def stop(self):
        self.peaks.append(self.resident_mib())
        self.process.terminate()
        return self.process.wait(20)


class Writer(threading.Thread):
    """Writes at a steady rate, idempotently, whatever becomes of the broker."""

    def __init__(self, bootstrap):
        super().__init__(daemon=True)
        self.written = [{} for _ in range(PARTITIONS)]  # offset to key, of what was acknowledged
        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 20,
                                  "message.timeout.ms": 120_000, "log_level": 0})

    def acknowledged(self, error, message):
        if error:
            fail("a record was not written:", error)
        elif self.written[message.partition()].setdefault(message.offset(), message.key()) != message.key():
            fail("two records were acknowledged at", message.partition(), message.offset())

    def run(self):
        count = 0
        while not stopping.is_set():
            self.producer.poll(0)
            due = int((time.monotonic() - begun) * RECORDS_PER_S)
            for count in range(count, due):
                self.producer.produce(TOPIC, f"value {count}", str(count), count % PARTITIONS, on_delivery=self.acknowledged)
            count = max(count, due)
            time.sleep(0.02)
        left = self.producer.flush(120)
        if left:
            fail(left, "records were never acknowledged")

    def ends(self):
        return [max(offsets, default=-1) + 1 for offsets in self.written]


class Delivered:
    """What the members of a group got, in the place of a member's own list."""

    def __init__(self):
        self.records = [bytearray() for _ in range(PARTITIONS)]
        self.count = 0

    def append(self, record):
        partition, offset = record
        seen = self.records[partition]
        if len(seen) <= offset:
            seen.extend(bytes(offset + 1000 - len(seen)))
        seen[offset] = 1
        self.count += 1

    def missing(self, ends):
        return [(p, o) for p, end in enumerate(ends) for o in range(end) if o >= len(self.records[p]) or not self.records[p][o]]


class Group(threading.Thread):
    """Has its members commit, kills some, starts others."""

    def __init__(self, name, kinds, strategy, bootstrap, log):
        super().__init__(daemon=True)
        self.group, self.kinds, self.strategy, self.bootstrap, self.log = name, kinds, strategy, bootstrap, log
        self.delivered, self.members, self.resting = Delivered(), [], []
        self.committed, self.moved = defaultdict(int), time.monotonic()
        self.longest_s, self.closing = 0, False
        self.random = random.Random(name)

    def run(self):
        for _ in range(2):
            self.add()
        due = self.next_change()
        while not stopping.is_set():
            if time.monotonic() > due:
                self.change()
                due = self.next_change()
            self.commit()
            time.sleep(self.random.uniform(0.5, 2))
        # The last ones read and commit all that is left.
        while not self.closing:
            self.commit()
            time.sleep(0.5)

    def next_change(self):
        return time.monotonic() + self.random.uniform(*CHANGE_S)

    def change(self):
        if len(self.members) >= MEMBERS_MAX or (len(self.members) > MEMBERS_MIN and self.random.random() < 0.5):
            member = self.members.pop(self.random.randrange(len(self.members)))
            if self.random.random() < 0.5:
                member.kill()
                happened["member killed"] += 1
            elif self.ask(member, "leave"):
                self.resting.append(member)
                happened["member left"] += 1
        else:
            self.add()

    def add(self):
        if self.resting:
            member = self.resting.pop()
        else:
            member = Member(commands[self.random.choice(self.kinds)], self.bootstrap, self.log)
            member.records = self.delivered
        if self.ask(member, "join", self.group, TOPIC, self.strategy, "-", SESSION_MS):
            self.members.append(member)
            happened["member joined"] += 1

    def ask(self, member, *command):
        """False where the member is of no use any more."""
        try:
            member.ask(*command)
        except Refused as error:
            happened[f"{command[0]} refused: {error.name}"] += 1
        except AssertionError:
            # It began while there was no broker, or its client hangs.
            happened[f"{command[0]} not answered, the member {'has ended' if member.ended else 'was killed'}"] += 1
            member.kill()
            return False
        return True

    def commit(self):
        for member in list(self.members):
            if member.errors:
                # It has left, for an error that it could do nothing about.
                happened[f"lost: {member.errors[0][0]}"] += 1
                member.errors.clear()
                self.members.remove(member)
                self.resting.append(member)
            elif not self.ask(member, "commit", self.random.choice(["sync", "async"])):
                self.members.remove(member)
        while len(self.members) < MEMBERS_MIN and not self.closing:
            self.add()
            time.sleep(0.1)

    def observe(self, offsets):
        """What the broker says is committed."""
        now = time.monotonic()
        for partition, offset in offsets.items():
            if offset < self.committed[partition]:
                fail(self.group, "partition", partition, "went back from", self.committed[partition], "to", offset)
            elif offset > self.committed[partition]:
                self.moved = now
            self.committed[partition] = offset
        self.longest_s = max(self.longest_s, now - self.moved)

    def close(self):
        self.closing = True
        self.join(60)
        for member in self.members + self.resting:
            member.kill()


class Watcher(threading.Thread):
    """Asks again and again what is committed, by an admin of its own for each life of the broker (librdkafka's does not
    outlive one: its calls time out, then an assertion fails)."""

    def __init__(self, bootstrap, groups):
        super().__init__(daemon=True)
        self.bootstrap, self.groups, self.looked, self.admin = bootstrap, groups, 0, None

    def run(self):
        while True:
            try:
                self.admin = self.admin or KafkaAdminClient(bootstrap_servers=self.bootstrap, request_timeout_ms=5000)
                for group in self.groups:
                    found = self.admin.list_group_offsets(group.group)[group.group]
                    group.observe({tp.partition: at.offset for tp, at in found.items() if at.offset >= 0})
                    self.looked += 1
            except Exception as error:  # there is no broker just now, or its coordinator is being loaded
                happened[f"offsets not told: {type(error).__name__}"] += 1
                self.admin = None
            time.sleep(0.3)


def flat(peaks):
    """Whether what it took at the ends of the later lives is about what it took at those of the earlier ones."""
    third = max(1, len(peaks) // 3)
    for what, values in zip(("with mapped files", "without"), reversed(list(zip(*peaks)))):
        first, last = statistics.median(values[:third]), statistics.median(values[-third:])
        tell(f"RSS at the end of each life, MiB, {what}: first third {first:.1f}, last third {last:.1f}, most {max(values):.1f}")
    return last < 1.25 * first + 8


def main(folder):
    broker = Broker(folder)
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    admin.create_topics({TOPIC: {"num_partitions": PARTITIONS, "configs": {"retention.ms": "-1"}}}, wait_for_metadata=True)
    admin.close()
    log = open(folder / "members.log", "w")
    kinds = list(commands)
    cooperative = [kind for kind in kinds if kind != "aiokafka"]
    made = [(kind, [kind], "range" if kind == "aiokafka" else "cooperative-sticky") for kind in kinds]
    made += [(f"all-{strategy}-{i}", kinds, strategy) for strategy in ("range", "roundrobin") for i in (1, 2)]
    made += [("most-cooperative-sticky", cooperative, "cooperative-sticky")]
    groups = [Group(f"soak-{name}", of, strategy, broker.bootstrap, log) for name, of, strategy in made]
    writer, watcher = Writer(broker.bootstrap), Watcher(broker.bootstrap, groups)
    for thread in (writer, watcher, *groups):
        thread.start()
    try:
        while time.monotonic() - begun < 60 * args.minutes:
            broker.look()
            for group in groups:
                if time.monotonic() - group.moved > STUCK_S:
                    fail(group.group, f"stands still since {STUCK_S} s")
                    group.moved = time.monotonic()
            time.sleep(0.5)
        stopping.set()
        writer.join(130)
        ends = writer.ends()
        deadline = time.monotonic() + STUCK_S
        while any([group.committed[p] for p in range(PARTITIONS)] != ends for group in groups):
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)
        for group in groups:
            at, missing = [group.committed[p] for p in range(PARTITIONS)], group.delivered.missing(ends)
            tell(f"{group.group}: {group.delivered.count} delivered of {sum(ends)}, stood still for {group.longest_s:.0f} s at most")
            if at != ends:
                fail(group.group, "has committed", at, "of", ends, "and has", [m.assigned for m in group.members])
            if missing:
                fail(group.group, "never got", len(missing), "records, one is", missing[0])
        holes = sum(end - len(offsets) for end, offsets in zip(ends, writer.written))
        if holes:
            # Acknowledged to a request whose answer the kill took, and again to nobody: they are in the log all the same.
            tell(holes, "offsets below the end were not told to the writer")
    finally:
        for group in groups:
            group.close()
        code = broker.stop()
    if code != 0:
        fail("the broker ended with", code)
    if not flat(broker.peaks):
        fail("the broker's memory grew")
    tell(f"{sum(ends)} records, {broker.lives} lives of the broker, {watcher.looked} looks at committed offsets;", dict(happened))
    print("failed: " + "; ".join(wrong) if wrong else "passed", flush=True)
    return 1 if wrong else 0


# What is started ends with this program, however it ends.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
with tempfile.TemporaryDirectory() as temporary:
    chosen = Path(args.folder or temporary)
    chosen.mkdir(parents=True, exist_ok=True)
    code = main(chosen)
sys.stdout.flush()
os._exit(code)
