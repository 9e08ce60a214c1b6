"""A group member and admin by confluent-kafka (librdkafka), told what to do by groups.py."""

import time

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec
from member import EPOCH_MS, WAIT, offsets, say, serve


def only(futures):
    """The result of a call for one resource."""
    (future,) = futures.values()
    return future.result(WAIT)


def plain(partitions):
    for tp in partitions:
        if tp.error:
            raise KafkaException(tp.error)
    return {tp.partition: tp.offset for tp in partitions}


class Member:
    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        self.consumer = None

    @property
    def joined(self):
        return self.consumer is not None

    @staticmethod
    def name_of(error):
        if "Static consumer fenced" in str(error):
            return "FENCED_INSTANCE_ID"  # librdkafka's own code says no more than that it is fatal
        return error.args[0].name() if isinstance(error, KafkaException) else type(error).__name__

    # Topics and records.

    def create(self, topic, partitions):
        only(self.admin.create_topics([NewTopic(topic, int(partitions), config={"retention.ms": "-1"})]))
        return ["done"]

    def delete(self, topic):
        only(self.admin.delete_topics([topic]))
        return ["done"]

    def write(self, topic, partitions, first, last, codec):
        failed = []
        producer = Producer({"bootstrap.servers": self.bootstrap, "compression.type": codec, "linger.ms": 50})
        for i in range(int(first), int(last)):
            producer.produce(topic, f"value {i}", f"{i}", i % int(partitions), timestamp=EPOCH_MS + 1000 * i,
                             on_delivery=lambda error, _: error and failed.append(error))
        assert producer.flush(WAIT) == 0 and not failed, failed
        return ["written", int(last) - int(first)]

    # The member.

    def join(self, group, topic, strategy, instance, session_ms):
        settings = {} if instance == "-" else {"group.instance.id": instance}
        self.cooperative = strategy.startswith("cooperative")
        self.consumer = Consumer({
            "bootstrap.servers": self.bootstrap, "group.id": group, "partition.assignment.strategy": strategy,
            "session.timeout.ms": int(session_ms), "heartbeat.interval.ms": 300, "auto.offset.reset": "earliest",
            "enable.auto.commit": False, **settings})
        self.consumer.subscribe([topic], on_assign=self.on_assign, on_revoke=self.on_revoke)
        return ["joining"]

    def on_assign(self, consumer, added):
        # librdkafka assigns after this call, unless the call does: the answer has to come after both.
        (consumer.incremental_assign if self.cooperative else consumer.assign)(added)
        say("assigned", *sorted(tp.partition for tp in consumer.assignment()))

    def on_revoke(self, consumer, taken):
        if taken:
            say("revoked", *sorted(tp.partition for tp in taken))

    def poll(self):
        for message in self.consumer.consume(100, 0.05):
            if message.error():
                raise KafkaException(message.error())
            say("record", message.partition(), message.offset(), message.key().decode())

    def commit(self, how):
        if how == "sync":
            self.consumer.commit(asynchronous=False)
        else:
            self.consumer.commit(asynchronous=True)
            # The answer is handed to poll, and to nobody: librdkafka tells it to a callback of the configuration only.
            deadline = time.monotonic() + WAIT
            while self.committed() != self.position() and time.monotonic() < deadline:
                self.poll()
        return ["committed", offsets(self.committed())]

    def committed(self):
        return plain(self.consumer.committed(self.consumer.assignment(), WAIT))

    def position(self):
        return plain(self.consumer.position(self.consumer.assignment()))

    def seek(self, time_ms):
        asked = [TopicPartition(tp.topic, tp.partition, int(time_ms)) for tp in self.consumer.assignment()]
        found = self.consumer.offsets_for_times(asked, WAIT)
        for tp in found:
            self.consumer.seek(tp)
        return ["sought", offsets(plain(found))]

    def leave(self):
        leaving, self.consumer = self.consumer, None
        leaving.close()
        return ["left"]

    # The admin.

    def list(self):
        listed = self.admin.list_consumer_groups().result(WAIT)
        return ["groups", *(g.group_id for g in listed.valid)]

    def describe(self, group):
        about = only(self.admin.describe_consumer_groups([group]))
        members = [",".join(str(p) for p in sorted(tp.partition for tp in m.assignment.topic_partitions)) for m in about.members]
        return ["group", about.state.name, about.partition_assignor or "-", *members]

    def offsets(self, group):
        found = only(self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]))
        return ["offsets", offsets(plain(found.topic_partitions))]

    def ends(self, topic, partitions):
        futures = self.admin.list_offsets({TopicPartition(topic, p): OffsetSpec.latest() for p in range(int(partitions))})
        return ["ends", offsets({tp.partition: f.result(WAIT).offset for tp, f in futures.items()})]

    def set_offset(self, group, topic, partition, offset):
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, int(partition), int(offset))])
        plain(only(self.admin.alter_consumer_group_offsets([wanted])).topic_partitions)
        return ["done"]

    def delete_group(self, group):
        only(self.admin.delete_consumer_groups([group]))
        return ["done"]


serve("confluent-kafka", Member)
