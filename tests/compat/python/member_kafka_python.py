"""A group member and admin by kafka-python, told what to do by groups.py."""

import logging
import time

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition, errors
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.structs import OffsetAndMetadata
from member import EPOCH_MS, WAIT, offsets, say, serve

logging.getLogger("kafka").setLevel(logging.CRITICAL)
STRATEGIES = {s.name: s for s in (RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor,
                                  CooperativeStickyAssignor)}


def checked(answers):
    """The answers of a call for several partitions or groups, each an error class or its name."""
    for error in dict(answers).values():
        error = getattr(errors, error, None) if isinstance(error, str) else error
        if error not in (None, errors.NoError):
            raise error()
    return ["done"]


class Member(ConsumerRebalanceListener):
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = KafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=WAIT * 1000)
        self.consumer = None

    @property
    def joined(self):
        return self.consumer is not None

    @staticmethod
    def name_of(error):
        return getattr(error, "message", None) or type(error).__name__

    # Topics and records.

    def create(self, topic, partitions):
        wanted = {"num_partitions": int(partitions), "configs": {"retention.ms": "-1"}}
        self.admin.create_topics({topic: wanted}, wait_for_metadata=True)
        return ["done"]

    def delete(self, topic):
        self.admin.delete_topics([topic])
        return ["done"]

    def write(self, topic, partitions, first, last, codec):
        producer = KafkaProducer(bootstrap_servers=self.bootstrap, linger_ms=50,
                                 compression_type=None if codec == "none" else codec)
        sent = [producer.send(topic, b"value %d" % i, b"%d" % i, None, i % int(partitions), EPOCH_MS + 1000 * i)
                for i in range(int(first), int(last))]
        producer.flush(WAIT)
        for future in sent:
            future.get(WAIT)
        producer.close()
        return ["written", len(sent)]

    # The member.

    def join(self, group, topic, strategy, instance, session_ms):
        self.consumer = KafkaConsumer(
            bootstrap_servers=self.bootstrap, group_id=group, partition_assignment_strategy=[STRATEGIES[strategy]],
            session_timeout_ms=int(session_ms), heartbeat_interval_ms=300, auto_offset_reset="earliest",
            enable_auto_commit=False, group_instance_id=None if instance == "-" else instance)
        self.consumer.subscribe([topic], listener=self)
        return ["joining"]

    def on_partitions_assigned(self, assigned):
        say("assigned", *sorted(tp.partition for tp in self.consumer.assignment()))

    def on_partitions_revoked(self, revoked):
        if revoked:
            say("revoked", *sorted(tp.partition for tp in revoked))

    def poll(self):
        # Longer than a rebalance takes: where a poll ends during one, 3.0.12 may forget it and stay without partitions.
        for records in self.consumer.poll(1000).values():
            for r in records:
                say("record", r.partition, r.offset, r.key.decode())

    def commit(self, how):
        if how == "sync":
            self.consumer.commit()
        else:
            future = self.consumer.commit_async()
            deadline = time.monotonic() + WAIT
            while not future.is_done and time.monotonic() < deadline:
                self.poll()
            if not future.succeeded():
                raise future.exception or errors.KafkaTimeoutError()
        committed = {tp.partition: self.consumer.committed(tp) for tp in self.consumer.assignment()}
        return ["committed", offsets({p: o for p, o in committed.items() if o is not None})]

    def seek(self, time_ms):
        found = self.consumer.offsets_for_times({tp: int(time_ms) for tp in self.consumer.assignment()})
        for tp, at in found.items():
            self.consumer.seek(tp, at.offset)
        return ["sought", offsets({tp.partition: at.offset for tp, at in found.items()})]

    def leave(self):
        leaving, self.consumer = self.consumer, None
        leaving.close()
        return ["left"]

    # The admin.

    def list(self):
        return ["groups", *(g["group_id"] for g in self.admin.list_groups())]

    def describe(self, group):
        about = self.admin.describe_groups([group])[group]
        members = []
        for m in about["members"]:
            topics = (m["member_assignment"] or {"assigned_partitions": []})["assigned_partitions"]
            members.append(",".join(str(p) for t in topics for p in sorted(t["partitions"])))
        return ["group", about["group_state"], about["protocol_data"] or "-", *members]

    def offsets(self, group):
        found = self.admin.list_group_offsets(group)[group]
        return ["offsets", offsets({tp.partition: at.offset for tp, at in found.items()})]

    def ends(self, topic, partitions):
        asked = {TopicPartition(topic, p): OffsetSpec.LATEST for p in range(int(partitions))}
        return ["ends", offsets({tp.partition: at.offset for tp, at in self.admin.list_partition_offsets(asked).items()})]

    def set_offset(self, group, topic, partition, offset):
        wanted = {TopicPartition(topic, int(partition)): OffsetAndMetadata(int(offset), "", -1)}
        return checked(self.admin.alter_group_offsets(group, wanted))

    def delete_offset(self, group, topic, partition):
        return checked(self.admin.delete_group_offsets(group, [TopicPartition(topic, int(partition))]))

    def delete_group(self, group):
        return checked(self.admin.delete_groups([group]))


serve("kafka-python", Member)
