"""A group member and admin by aiokafka, told what to do by groups.py. Its admin can't delete groups, or offsets in them."""

import asyncio
import logging

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition, errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from member import EPOCH_MS, WAIT, offsets, say, serve

logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
STRATEGIES = {s.name: s for s in (RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor)}
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)


def run(awaitable):
    return loop.run_until_complete(asyncio.wait_for(awaitable, WAIT))


async def started(make):
    client = make()
    await client.start()
    return client


def checked(topics):
    for topic in topics:
        if topic[1]:
            raise errors.for_code(topic[1])
    return ["done"]


class Member(ConsumerRebalanceListener):
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = run(started(lambda: AIOKafkaAdminClient(bootstrap_servers=bootstrap)))
        self.consumer = None

    @property
    def joined(self):
        return self.consumer is not None

    @staticmethod
    def name_of(error):
        return getattr(error, "message", None) or type(error).__name__

    # Topics and records.

    def create(self, topic, partitions):
        wanted = NewTopic(topic, int(partitions), 1, topic_configs={"retention.ms": "-1"})
        return checked(run(self.admin.create_topics([wanted])).topic_errors)

    def delete(self, topic):
        return checked(run(self.admin.delete_topics([topic])).topic_error_codes)

    def write(self, topic, partitions, first, last, codec):
        async def body():
            producer = await started(lambda: AIOKafkaProducer(
                bootstrap_servers=self.bootstrap, linger_ms=50, enable_idempotence=True,
                compression_type=None if codec == "none" else codec))
            sent = [await producer.send(topic, b"value %d" % i, b"%d" % i, i % int(partitions), EPOCH_MS + 1000 * i)
                    for i in range(int(first), int(last))]
            await producer.flush()
            await asyncio.gather(*sent)
            await producer.stop()
            return ["written", len(sent)]

        return run(body())

    # The member.

    def join(self, group, topic, strategy, instance, session_ms):
        async def body():
            self.consumer = AIOKafkaConsumer(
                bootstrap_servers=self.bootstrap, group_id=group, partition_assignment_strategy=[STRATEGIES[strategy]],
                session_timeout_ms=int(session_ms), heartbeat_interval_ms=300, auto_offset_reset="earliest",
                enable_auto_commit=False, group_instance_id=None if instance == "-" else instance)
            self.consumer.subscribe([topic], listener=self)
            self.starting = loop.create_task(self.consumer.start())  # it waits for its assignment, so for other members
            return ["joining"]

        return run(body())

    async def on_partitions_assigned(self, assigned):
        say("assigned", *sorted(tp.partition for tp in assigned))

    async def on_partitions_revoked(self, revoked):
        if revoked:
            say("revoked", *sorted(tp.partition for tp in revoked))

    def poll(self):
        async def body():
            await asyncio.wait([self.starting], timeout=0.05)
            if not self.starting.done():
                return {}
            self.starting.result()
            return await self.consumer.getmany(timeout_ms=50)

        for records in run(body()).values():
            for r in records:
                say("record", r.partition, r.offset, r.key.decode())

    async def committed(self):
        return {tp.partition: await self.consumer.committed(tp) for tp in self.consumer.assignment()}

    def commit(self, how):
        async def body():
            commit = self.consumer.commit()
            await (commit if how == "sync" else loop.create_task(commit))
            return {p: o for p, o in (await self.committed()).items() if o is not None}

        return ["committed", offsets(run(body()))]

    def seek(self, time_ms):
        found = run(self.consumer.offsets_for_times({tp: int(time_ms) for tp in self.consumer.assignment()}))
        for tp, at in found.items():
            self.consumer.seek(tp, at.offset)
        return ["sought", offsets({tp.partition: at.offset for tp, at in found.items()})]

    def leave(self):
        leaving, self.consumer = self.consumer, None
        self.starting.cancel()
        run(leaving.stop())
        return ["left"]

    # The admin.

    def list(self):
        return ["groups", *(group[0] for group in run(self.admin.list_consumer_groups()))]

    def describe(self, group):
        (answer,) = run(self.admin.describe_consumer_groups([group]))
        error, _, state, _, protocol, found = answer.groups[0][:6]
        if error:
            raise errors.for_code(error)
        members = []
        for member in found:
            assignment = member[-1] and ConsumerProtocolMemberAssignment.decode(member[-1])
            members += [",".join(map(str, sorted(partitions))) for _, partitions in assignment.assignment] if assignment else []
        return ["group", state, protocol or "-", *members]

    def offsets(self, group):
        found = run(self.admin.list_consumer_group_offsets(group))
        return ["offsets", offsets({tp.partition: at.offset for tp, at in found.items()})]

    def ends(self, topic, partitions):
        async def body():
            consumer = await started(lambda: AIOKafkaConsumer(bootstrap_servers=self.bootstrap))
            found = await consumer.end_offsets([TopicPartition(topic, p) for p in range(int(partitions))])
            await consumer.stop()
            return found

        return ["ends", offsets({tp.partition: offset for tp, offset in run(body()).items()})]

    def set_offset(self, group, topic, partition, offset):
        """By a consumer of the group that is no member of it."""

        async def body():
            at = TopicPartition(topic, int(partition))
            consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, group_id=group, enable_auto_commit=False)
            consumer.assign([at])
            await consumer.start()
            await consumer.commit({at: int(offset)})
            await consumer.stop()
            return ["done"]

        return run(body())


serve("aiokafka", Member)
