"""Consumer groups of clients written elsewhere. One client: the life of its groups, from three members to none, with its own
admin. Several clients: groups that mix them. Each NAME=COMMAND starts a member of that client (see member_process.py)."""

import signal
import sys
import time
from dataclasses import dataclass
from unittest.mock import ANY

import sample
from checks import Checks, equal
from member_process import Member, Refused, eventually, offsets_of
from serves import JOIN_GROUP, serves

PARTITIONS = 6
# The smallest that brokers allow unless they are told otherwise.
SESSION_MS = 6000


@dataclass
class Client:
    """What a client can do. Its groups live by the first of the strategies."""

    strategies: list
    static: bool = True
    # Else it commits by itself, again and again, and can't be told to seek.
    commits: bool = True
    # Else a member that is fenced learns it from its next commit.
    told_fenced: bool = True
    # Whether one that is fenced does not know it and comes back, so that the two take the place from each other without an end.
    fights: bool = False
    # What it calls that.
    fenced: str = "FENCED_INSTANCE_ID"
    # Whether its admin deletes committed offsets.
    deletes_offsets: bool = True
    # Whether its admin deletes groups.
    deletes_groups: bool = True
    # Whose admin looks at its groups, where it has none of its own.
    admin: str = None


JAVA = Client(["cooperative-sticky", "range", "roundrobin", "sticky"])
CLIENTS = {
    "java": JAVA,
    "java-3.9": JAVA,
    "java-2.8": JAVA,
    "confluent-kafka": Client(["cooperative-sticky", "range", "roundrobin"], deletes_offsets=False),
    "kafka-python": Client(["cooperative-sticky", "range", "roundrobin", "sticky"], told_fenced=False),
    "franz-go": Client(["cooperative-sticky", "range", "roundrobin", "sticky"]),
    "kafkajs": Client(["RoundRobinAssigner"], static=False, deletes_offsets=False),
    "aiokafka": Client(["range", "roundrobin", "sticky"], fights=True, fenced="CommitFailedError",
                       deletes_offsets=False, deletes_groups=False),
    "sarama": Client(["cooperative-sticky", "range", "roundrobin", "sticky"]),
    "kafka-go": Client(["range", "roundrobin"], static=False),
    "rdkafka": Client(["cooperative-sticky", "range", "roundrobin"], deletes_offsets=False),
    # Its admin makes and deletes topics only. It does not tell librdkafka's words for a fatal error.
    "node-rdkafka": Client(["cooperative-sticky", "range", "roundrobin"], fenced="_FATAL", admin="confluent-kafka",
                           deletes_offsets=False),
    "leat": Client(["cooperative-sticky", "range", "roundrobin", "sticky"]),
    "kcat": Client(["range"], commits=False, admin="confluent-kafka", deletes_offsets=False),
}
# Which clients meet in one group, by which strategy.
MIXED = [
    ("range", ["java", "confluent-kafka", "kafka-python"]),
    ("range", ["kcat", "franz-go", "java-2.8"]),
    ("cooperative-sticky", ["java", "confluent-kafka", "franz-go"]),
    ("range", ["aiokafka", "kafka-go", "sarama"]),
    ("cooperative-sticky", ["sarama", "confluent-kafka", "java"]),
    # Whoever joins first assigns for all, until it leaves.
    ("range", ["leat", "java", "confluent-kafka"]),
    ("roundrobin", ["confluent-kafka", "leat", "java"]),
    ("sticky", ["java", "leat", "franz-go"]),
    ("cooperative-sticky", ["leat", "confluent-kafka", "java"]),
]

checks = Checks("groups", members={"nargs": "+", "metavar": "NAME=COMMAND", "help": f"of {', '.join(CLIENTS)}"})
check, started = checks.check, []
commands = dict(member.split("=", 1) for member in checks.args.members)


def start(client):
    member = Member(commands[client], checks.bootstrap, sys.stderr)
    started.append(member)
    return member


# What may pass by itself, and what some admins keep to once they have heard it.
PASSING = {"NOT_COORDINATOR", "COORDINATOR_NOT_AVAILABLE", "COORDINATOR_LOAD_IN_PROGRESS", "BROKER_TRANSPORT_FAILURE",
           "_TRANSPORT", "_TIMED_OUT", "REQUEST_TIMED_OUT", "NOT_LEADER_OR_FOLLOWER"}
# What may be asked twice.
REPEATED = {"list", "describe", "offsets", "ends", "set-offset", "delete-offset", "delete-group"}


class Admin:
    """A process that looks at groups. Where a broker is lost some give up, or end: then another one is asked, as a person would."""

    def __init__(self, client):
        self.client, self.member = client, start(client)

    def ask(self, *command):
        for _ in range(10):
            try:
                return self.member.ask(*command)
            except (Refused, AssertionError) as error:
                gone = isinstance(error, AssertionError) and self.member.ended
                if command[0] not in REPEATED or not (gone or getattr(error, "name", None) in PASSING):
                    raise
                time.sleep(1)
                self.member.kill()
                self.member = start(self.client)
        return self.member.ask(*command)

    def ask_offsets(self, *command):
        return offsets_of(self.ask(*command))


class Topic:
    """A topic of which record i went to partition i % PARTITIONS, a second after the one before."""

    def __init__(self, admin, name):
        self.admin, self.name, self.written = admin, name, 0

    def create(self):
        self.admin.ask("create", self.name, PARTITIONS)

    def write(self, count, codec="none"):
        """Writes more records and returns them as (partition, offset)."""
        first, self.written = self.written, self.written + count
        equal(self.admin.ask("write", self.name, PARTITIONS, first, self.written, codec), [str(count)], "what was written")
        return {(i % PARTITIONS, i // PARTITIONS) for i in range(first, self.written)}

    def ends(self):
        return self.admin.ask_offsets("ends", self.name, PARTITIONS)

    def at_or_after(self, i):
        """The first offset of each partition at or after the time of record i."""
        return {p: next(j for j in range(i, self.written) if j % PARTITIONS == p) // PARTITIONS for p in range(PARTITIONS)}

    @staticmethod
    def time_of(i):
        return sample.EPOCH_MS + 1000 * i


def join(member, group, topic, strategy, instance="-", session_ms=SESSION_MS):
    member.ask("join", group, topic.name, strategy, instance, session_ms)


def spread(*members):
    """Waits until the members have all partitions, each about as many as the others."""
    def so():
        counts = [len(m.assigned) for m in members]
        return sorted(p for m in members for p in m.assigned) == list(range(PARTITIONS)) and max(counts) - min(counts) <= 1

    eventually(lambda: f"all partitions spread, but {[(m.assigned, m.errors) for m in members]}", so)


def read(records, *members):
    """Waits until the members together have got all these records."""
    def missing():
        return records - {r for m in members for r in m.records}

    eventually(lambda: f"{len(missing())} records are missing, one is {min(missing())}", lambda: not missing())


def described(admin, group):
    """State in lower case, strategy, and the partitions of each member in order."""
    state, strategy, *members = admin.ask("describe", group)
    # kafka-go does not tell the strategy.
    strategy = ANY if strategy == "?" else strategy
    return state.lower().replace("_", ""), strategy, sorted([int(p) for p in m.split(",")] for m in members)


def settled(admin, group, strategy, *members):
    """Waits until the admin sees the group stable, and that its members have what they say."""
    eventually(lambda: f"{described(admin, group)}, the members have {[m.assigned for m in members]}",
               lambda: described(admin, group) == ("stable", strategy, sorted(m.assigned for m in members)))


def still(member, seconds=2):
    """Waits until nothing has changed for a member for a while: a cooperative group looks settled between two of its
    rebalances, of which the last changes nothing. The number of changes by then."""
    while True:
        count = len(member.changes)
        time.sleep(seconds)
        if len(member.changes) == count:
            return count


def refused(name, member, *command):
    try:
        member.ask(*command)
    except Refused as error:
        equal(error.name, name, "the error")
        return
    raise AssertionError(f"no {name}")


class Life:
    """One group from its first members to its deletion, then one for each other strategy, then static members."""

    def __init__(self, name):
        self.name, self.client = name, CLIENTS[name]
        self.group, self.strategy = f"{checks.topic}-{name}", self.client.strategies[0]
        self.admin = Admin(self.client.admin or name)
        self.topic = Topic(self.admin, self.group)
        self.a, self.b, self.c = (start(name) for _ in range(3))
        self.read_uncommitted = set()

    def live(self):
        self.begins()
        self.commits()
        self.one_leaves()
        self.one_is_killed()
        self.restarts()
        self.ends()
        for strategy in self.client.strategies[1:]:
            self.shortly(strategy)
        if self.client.static:
            self.static()
        with check("delete the topic"):
            self.admin.ask("delete", self.topic.name)

    def join(self, member):
        join(member, self.group, self.topic, self.strategy)

    def offsets(self):
        return self.admin.ask_offsets("offsets", self.group)

    def read(self, records, *members):
        """Waits until these are read: where members commit themselves, by each what is in the partitions that it has, so that
        its position is behind them; else by any, for who takes over a partition begins at the other's commit."""
        if self.client.commits:
            for member in members:
                read({r for r in records if r[0] in member.assigned}, member)
        read(records, *members)

    def begins(self):
        members, records = (self.a, self.b, self.c), set()
        with check("create a topic, write with each codec"):
            self.topic.create()
            for codec in sample.CODECS:
                records |= self.topic.write(60, codec)
        with check(f"three members by {self.strategy}: two partitions each, and every record is read"):
            for member in members:
                self.join(member)
            spread(*members)
            self.read(records, *members)
        with check("the admin lists and describes the group: stable, and who has what"):
            assert self.group in self.admin.ask("list")
            settled(self.admin, self.group, self.strategy, *members)

    def commits(self):
        members = (self.a, self.b, self.c)
        with check("commit, sync and async: the admin sees the offsets, and no lag"):
            ends = self.topic.ends()
            for member, how in zip(members, ("sync", "async", "sync")):
                if not self.client.commits:
                    member.ask("commit", how)
                    continue
                # Again, since after an eager rebalance it may read from its commit what it has read before.
                want = {p: ends[p] for p in member.assigned}
                eventually(lambda: f"commits {want}", lambda: member.ask_offsets("commit", how) == want)
            eventually(self.offsets, lambda: self.offsets() == ends)
        with check("lag: what is read and not committed"):
            more = self.topic.write(60)
            self.read(more, *members)
            if self.client.commits:
                self.read_uncommitted = more
                ends, offsets = self.topic.ends(), self.offsets()
                equal({p: ends[p] - offsets[p] for p in ends}, {p: 10 for p in range(PARTITIONS)}, "the lag")

    def uncommitted(self, member):
        return {r for r in self.read_uncommitted if r[0] in member.assigned}

    def one_leaves(self):
        with check("one leaves: two share, what it had not committed is read again"):
            stay = [(m, set(m.assigned), len(m.changes)) for m in (self.a, self.b)]
            again = self.uncommitted(self.c)
            self.c.ask("leave")
            spread(self.a, self.b)
            read(again, self.a, self.b)
            if self.strategy.startswith("cooperative"):
                for member, had, mark in stay:
                    assert had <= set(member.assigned), f"{had} became {member.assigned}"
                    assert not [e for e in member.changes[mark:] if e[0] == "revoked"], "something was taken that had to stay"

    def one_is_killed(self):
        with check("one is killed: when its session is over, the other has all and reads all"):
            again, mark = self.uncommitted(self.b), len(self.a.records)
            self.b.kill()
            more = self.topic.write(60)
            spread(self.a)
            read(more | again, self.a)
            assert again <= set(self.a.records[mark:]), "it did not read again what the other had not committed"

    def restarts(self):
        with check("restart from the commit: what is new, and nothing else"):
            def through():
                self.a.ask("commit", "sync")
                return self.offsets() == self.topic.ends()

            eventually(self.offsets, through)
            self.a.ask("leave")
            more = self.topic.write(60)
            self.c.records.clear()
            self.join(self.c)
            spread(self.c)
            read(more, self.c)
            equal(sorted(self.c.records), sorted(more), "what it read")
        if not self.client.commits:
            return
        with check("seek by timestamp within the group"):
            self.c.records.clear()
            found = self.topic.at_or_after(100)
            equal(self.c.ask_offsets("seek", self.topic.time_of(100)), found, "the offsets found")
            read({(p, o) for p, end in self.topic.ends().items() for o in range(found[p], end)}, self.c)
            assert min(o for p, o in self.c.records if p == 0) == found[0], "it read what is before"

    def ends(self):
        if self.client.deletes_groups:
            with check("a group with members is not deleted: NON_EMPTY_GROUP"):
                refused("NON_EMPTY_GROUP", self.admin, "delete-group", self.group)
        if self.client.deletes_offsets:
            with check("offsets of a subscribed topic are not deleted: GROUP_SUBSCRIBED_TO_TOPIC"):
                refused("GROUP_SUBSCRIBED_TO_TOPIC", self.admin, "delete-offset", self.group, self.topic.name, 0)
        with check("the last leaves: the group is empty, its offsets stay"):
            self.c.ask("leave")
            eventually(lambda: described(self.admin, self.group), lambda: described(self.admin, self.group)[0] == "empty")
            equal(sorted(self.offsets()), list(range(PARTITIONS)), "partitions with an offset")
        with check("the admin sets an offset: a member starts there"):
            self.admin.ask("set-offset", self.group, self.topic.name, 3, 7)
            equal(self.offsets()[3], 7, "offset")
            self.a.records.clear()
            self.join(self.a)
            eventually(lambda: self.a.records, lambda: (3, 7) in self.a.records)
            equal(min(o for p, o in self.a.records if p == 3), 7, "first offset")
            self.a.ask("leave")
        if self.client.deletes_offsets:
            with check("the admin deletes an offset: the others stay"):
                self.admin.ask("delete-offset", self.group, self.topic.name, 0)
                equal(sorted(self.offsets()), list(range(1, PARTITIONS)), "partitions with an offset")
        if self.client.deletes_groups:
            with check("delete the group: gone from the list, and again: GROUP_ID_NOT_FOUND"):
                self.admin.ask("delete-group", self.group)
                assert self.group not in self.admin.ask("list")
                refused("GROUP_ID_NOT_FOUND", self.admin, "delete-group", self.group)

    def shortly(self, strategy):
        with check(f"three members by {strategy}, one leaves"):
            group = f"{self.group}-{strategy}"
            if self.b.process.poll() is not None:
                self.b = start(self.name)
            for member in (self.a, self.b, self.c):
                join(member, group, self.topic, strategy)
            spread(self.a, self.b, self.c)
            equal(described(self.admin, group)[1], strategy, "the strategy")
            self.c.ask("leave")
            spread(self.a, self.b)
            for member in (self.a, self.b):
                member.ask("leave")

    def is_refused(self, member):
        try:
            member.ask("commit", "sync")
        except Refused as error:
            return error.name == self.client.fenced
        return False

    def static(self):
        """Members with group.instance.id. Their sessions are long: what happens is not for want of a heartbeat."""
        group, one, two, again, twin = f"{self.group}-static", *(start(self.name) for _ in range(4))

        def join_as(instance, member):
            join(member, group, self.topic, self.strategy, instance, 30_000)

        with check("static members: one is killed and returns to what it had, the other notices nothing"):
            join_as("one", one)
            join_as("two", two)
            spread(one, two)
            settled(self.admin, group, self.strategy, one, two)
            mark = still(two)
            had = list(one.assigned)
            one.kill()
            join_as("one", again)
            eventually(lambda: f"it had {had}, it has {again.assigned}", lambda: again.assigned == had)
            equal(two.changes[mark:], [], "what the other noticed")
            settled(self.admin, group, self.strategy, again, two)
        with check("a second member of the same instance id fences the first: FENCED_INSTANCE_ID"):
            mark = len(again.changes)
            join_as("one", twin)
            if self.client.fights:
                eventually(lambda: f"it had {had}, the twin got {twin.changes}", lambda: ("assigned", had) in twin.changes)
                eventually(lambda: "nothing happened to the first", lambda: again.changes[mark:] or self.is_refused(again))
                return
            eventually(lambda: f"it had {had}, the twin has {twin.assigned}", lambda: twin.assigned == had)
            if self.client.told_fenced:
                eventually(lambda: f"no error, it has {again.assigned}", lambda: again.errors)
                equal(again.errors[0][0], self.client.fenced, "the error")
            else:
                refused(self.client.fenced, again, "commit", "sync")


def mixed(strategy, names):
    group = f"{checks.topic}-{strategy}-{names[0]}"
    admin, members = Admin("java"), [start(name) for name in names]
    topic = Topic(admin, group)
    with check(f"{', '.join(names)} in one group by {strategy}: partitions are spread, every record is read"):
        topic.create()
        records = topic.write(120)
        for member in members:
            join(member, group, topic, strategy)
        spread(*members)
        read(records, *members)
        settled(admin, group, strategy, *members)
    for gone, name in zip(list(members[:2]), names):
        with check(f"{name} leaves: the others have its partitions"):
            members.remove(gone)
            gone.ask("leave")
            spread(*members)
            read(topic.write(60), *members)
    with check("delete the topic"):
        admin.ask("delete", topic.name)


if not serves(checks.bootstrap, JOIN_GROUP):
    print("groups: skipped, the broker does not serve them")
    checks.finish()
if not set(commands) <= set(CLIENTS):
    sys.exit(f"unknown: {set(commands) - set(CLIENTS)}")
# What is started ends with this program, however it ends.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
try:
    if len(set(commands) - {CLIENTS[c].admin for c in commands}) == 1:
        Life(next(iter(commands))).live()
    else:
        for strategy, names in MIXED:
            if set(names) <= set(commands):
                mixed(strategy, names)
finally:
    for member in started:
        if member.process.poll() is None:
            member.kill()
checks.finish()
