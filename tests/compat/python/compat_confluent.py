"""confluent-kafka (librdkafka) against a broker: admin, producer with and without idempotence, consumer by assignment."""

import time

import sample
from checks import Checks, equal, eventually
from confluent_kafka import (OFFSET_BEGINNING, OFFSET_END, TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME, Consumer,
                             KafkaError, KafkaException, Producer, TopicCollection, TopicPartition)
from confluent_kafka.admin import (AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic,
                                   OffsetSpec, ResourceType)

WAIT = 20
checks = Checks("confluent-kafka")
check, topic = checks.check, checks.topic
scratch = topic + "-scratch"
admin = AdminClient({"bootstrap.servers": checks.bootstrap})


def only(futures):
    """The result of a call for one resource."""
    (future,) = futures.values()
    return future.result(WAIT)


def code_of(call):
    try:
        call()
    except KafkaException as error:
        return error.args[0].code()
    return KafkaError.NO_ERROR


def produce(to, records, partition, **settings):
    """Sends in chunks of CHUNK, waits for each, and returns the delivered (offset, timestamp type) in order of sending."""
    delivered = []

    def report(error, message):
        delivered.append(error.name() if error else (message.offset(), message.timestamp()[0]))

    producer = Producer({"bootstrap.servers": checks.bootstrap, "linger.ms": 50, "delivery.timeout.ms": WAIT * 1000, **settings})
    for i, r in enumerate(records):
        producer.produce(to, r.value, r.key, partition, timestamp=r.timestamp, headers=r.headers, on_delivery=report)
        if i % sample.CHUNK == sample.CHUNK - 1:
            producer.flush(WAIT)
    equal(producer.flush(WAIT), 0, "what is left in the producer's queue")
    return delivered


def consumer(**settings):
    return Consumer({"bootstrap.servers": checks.bootstrap, "group.id": "unused", "enable.auto.commit": False,
                     "enable.auto.offset.store": False, "auto.offset.reset": "error", "check.crcs": True, **settings})


def read(from_topic, partition, offset, count, **settings):
    """`count` messages from `offset`; fails where fewer come in time."""
    source, messages, deadline = consumer(**settings), [], time.monotonic() + WAIT
    source.assign([TopicPartition(from_topic, partition, offset)])
    while len(messages) < count:
        assert time.monotonic() < deadline, f"{len(messages)} of {count} records in {WAIT} s"
        for message in source.consume(count - len(messages), 0.5):
            if message.error():
                raise KafkaException(message.error())
            messages.append(message)
    source.close()
    return messages


def as_record(message):
    return sample.Record(message.timestamp()[1], message.key(), message.value(), message.headers() or [])


def list_offsets(spec, partitions):
    futures = admin.list_offsets({TopicPartition(topic, p): spec for p in partitions})
    return [future.result(WAIT).offset for _, future in sorted(futures.items(), key=lambda kv: kv[0].partition)]


with check("describe cluster: an id, a controller among the nodes"):
    cluster = admin.describe_cluster().result(WAIT)
    assert cluster.cluster_id and cluster.nodes
    assert cluster.controller.id in [n.id for n in cluster.nodes]

with check("create topic, with settings"):
    only(admin.create_topics([NewTopic(topic, len(sample.CODECS), config=sample.TOPIC_CONFIG)]))
with check("create topic again: TOPIC_ALREADY_EXISTS"):
    equal(code_of(lambda: only(admin.create_topics([NewTopic(topic, 1)]))), KafkaError.TOPIC_ALREADY_EXISTS)
with check("create topic, validate only: it is not there afterwards"):
    only(admin.create_topics([NewTopic(topic + "-no", 1)], validate_only=True))
    assert topic + "-no" not in admin.list_topics(timeout=WAIT).topics
with check("create topic, bad name: TOPIC_EXCEPTION"):
    equal(code_of(lambda: only(admin.create_topics([NewTopic("a/b", 1)]))), KafkaError.TOPIC_EXCEPTION)
with check("create topic, unknown setting: INVALID_CONFIG"):
    bad = NewTopic(topic + "-no", 1, config={"no.such.setting": "1"})
    equal(code_of(lambda: only(admin.create_topics([bad]))), KafkaError.INVALID_CONFIG)

with check("list topics: partitions, leaders, replicas, in-sync replicas"):
    eventually("topic is listed", lambda: topic in admin.list_topics(timeout=WAIT).topics)
    partitions = admin.list_topics(topic, timeout=WAIT).topics[topic].partitions
    equal(sorted(partitions), list(range(len(sample.CODECS))))
    for p in partitions.values():
        assert p.leader >= 0 and p.leader in p.replicas and p.leader in p.isrs
with check("describe topic: id, not internal"):
    described = only(admin.describe_topics(TopicCollection([topic])))
    equal((described.name, described.is_internal, len(described.partitions)), (topic, False, len(sample.CODECS)))
    assert str(described.topic_id) != "AAAAAAAAAAAAAAAAAAAAAA"

resource = ConfigResource(ResourceType.TOPIC, topic)
with check("describe configs: what was set at creation, and a default"):
    configs = only(admin.describe_configs([resource]))
    for name, value in sample.TOPIC_CONFIG.items():
        equal((configs[name].value, configs[name].is_default), (value, False), name)
    equal((configs["cleanup.policy"].value, configs["cleanup.policy"].is_default), ("delete", True))
with check("alter configs incrementally: set, then back to the default"):
    for op, value in [(AlterConfigOpType.SET, "123456"), (AlterConfigOpType.DELETE, "1048588")]:
        change = ConfigEntry("max.message.bytes", "123456", incremental_operation=op)
        only(admin.incremental_alter_configs([ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])]))
        eventually(f"max.message.bytes is {value}",
                   lambda: only(admin.describe_configs([resource]))["max.message.bytes"].value == value)
with check("alter configs, bad value: INVALID_CONFIG"):
    change = ConfigEntry("retention.ms", "soon", incremental_operation=AlterConfigOpType.SET)
    wrong = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])
    equal(code_of(lambda: only(admin.incremental_alter_configs([wrong]))), KafkaError.INVALID_CONFIG)

for partition, codec in enumerate(sample.CODECS):
    records = [sample.record(partition, i) for i in range(sample.RECORDS)]
    idempotent = partition % 2 == 0
    with check(f"produce, {codec}, {'idempotent' if idempotent else 'acks=all'}: offsets in order"):
        sent = produce(topic, records, partition, **{"compression.type": codec, "enable.idempotence": idempotent})
        equal(sent, [(i, TIMESTAMP_CREATE_TIME) for i in range(sample.RECORDS)])
    with check(f"read back, {codec}: order, keys, values, headers, timestamps"):
        messages = read(topic, partition, 0, sample.RECORDS)
        equal([m.offset() for m in messages], list(range(sample.RECORDS)))
        for i, message in enumerate(messages):
            different = sample.difference(records[i], as_record(message))
            assert different is None, f"offset {i}: {different}"
    with check(f"read from the middle, {codec}"):
        equal([m.offset() for m in read(topic, partition, 333, 3)], [333, 334, 335])

with check("acks=1 and acks=0 are written too"):
    only(admin.create_topics([NewTopic(scratch, 2, config={"message.timestamp.type": "LogAppendTime"})]))
    eventually("scratch is listed", lambda: scratch in admin.list_topics(timeout=WAIT).topics)
    some = [sample.record(0, i) for i in range(20)]
    before = int(time.time() * 1000)
    produce(scratch, some, 0, acks=1)
    produce(scratch, some, 0, acks=0)
    late = read(scratch, 0, 0, 40)
    equal([m.value() for m in late], [r.value for r in some] * 2)
with check("LogAppendTime: type and times are the broker's"):
    for message in late:
        equal(message.timestamp()[0], TIMESTAMP_LOG_APPEND_TIME)
        assert before - 1000 <= message.timestamp()[1] <= time.time() * 1000 + 1000

everything = range(len(sample.CODECS))
with check("list offsets: earliest, latest, newest timestamp"):
    equal(list_offsets(OffsetSpec.earliest(), everything), [0] * len(sample.CODECS))
    equal(list_offsets(OffsetSpec.latest(), everything), [sample.RECORDS] * len(sample.CODECS))
    equal(list_offsets(OffsetSpec.max_timestamp(), everything), [sample.newest()[0]] * len(sample.CODECS))
with check("watermarks"):
    equal(consumer().get_watermark_offsets(TopicPartition(topic, 0), WAIT), (0, sample.RECORDS))
with check("seek by timestamp: exact, in every codec"):
    source = consumer()
    for time_ms in sample.seek_times():
        want = sample.first_at_or_after(time_ms)
        asked = [TopicPartition(topic, p, time_ms) for p in everything]
        got = [tp.offset for tp in source.offsets_for_times(asked, WAIT)]
        equal(got, [OFFSET_END if want is None else want] * len(asked), f"offset for {time_ms}")
    source.close()
with check("read from a timestamp"):
    at = sample.first_at_or_after(sample.EPOCH_MS + 123_456)
    equal(read(topic, 4, at, 1)[0].timestamp()[1], sample.timestamp(at))
with check("read past the end: OFFSET_OUT_OF_RANGE, or a reset to latest"):
    equal(code_of(lambda: read(topic, 0, sample.RECORDS + 10, 1)), KafkaError._AUTO_OFFSET_RESET)
with check("end of partition is told once all is read"):
    source = consumer(**{"enable.partition.eof": True})
    source.assign([TopicPartition(topic, 1, sample.RECORDS - 1)])
    tail = [source.poll(WAIT), source.poll(WAIT)]
    equal([tail[0].error(), tail[1].error().code()], [None, KafkaError._PARTITION_EOF])
    source.close()

with check("delete records: new low watermark, and nothing else is lost"):
    futures = admin.delete_records([TopicPartition(topic, p, sample.DELETED) for p in everything])
    equal([f.result(WAIT).low_watermark for f in futures.values()], [sample.DELETED] * len(sample.CODECS))
    equal(list_offsets(OffsetSpec.earliest(), everything), [sample.DELETED] * len(sample.CODECS))
    for p in everything:
        first = read(topic, p, OFFSET_BEGINNING, 1)[0]
        equal((first.offset(), first.value()), (sample.DELETED, sample.record(p, sample.DELETED).value))
with check("a read below the new start resets to it"):
    equal(read(topic, 3, 5, 1, **{"auto.offset.reset": "earliest"})[0].offset(), sample.DELETED)
with check("a timestamp below the new start finds the start"):
    source = consumer()
    equal(source.offsets_for_times([TopicPartition(topic, 2, sample.EPOCH_MS)], WAIT)[0].offset, sample.DELETED)
    source.close()
with check("delete records past the end: OFFSET_OUT_OF_RANGE"):
    past = [TopicPartition(topic, 0, sample.RECORDS + 1)]
    equal(code_of(lambda: only(admin.delete_records(past))), KafkaError.OFFSET_OUT_OF_RANGE)
with check("delete records to the high watermark: empty, and it goes on from there"):
    equal(only(admin.delete_records([TopicPartition(topic, 1, OFFSET_END)])).low_watermark, sample.RECORDS)
    equal(consumer().get_watermark_offsets(TopicPartition(topic, 1), WAIT), (sample.RECORDS, sample.RECORDS))
    produce(topic, [sample.record(1, 500)], 1)
    equal(read(topic, 1, OFFSET_BEGINNING, 1)[0].offset(), sample.RECORDS)

with check("a record over max.message.bytes: MSG_SIZE_TOO_LARGE"):
    small = NewTopic(scratch + "-small", 1, config={"max.message.bytes": "2000"})
    only(admin.create_topics([small]))
    eventually("small is listed", lambda: small.topic in admin.list_topics(timeout=WAIT).topics)
    big = sample.Record(sample.EPOCH_MS, None, bytes(5000), [])
    equal(produce(small.topic, [big], 0), ["MSG_SIZE_TOO_LARGE"])
with check("add partitions, and write to a new one"):
    only(admin.create_partitions([NewPartitions(scratch, 4)]))
    eventually("four partitions", lambda: len(admin.list_topics(scratch, timeout=WAIT).topics[scratch].partitions) == 4)
    produce(scratch, some, 3)
    equal(len(read(scratch, 3, 0, len(some))), len(some))
with check("fewer partitions: INVALID_PARTITIONS"):
    equal(code_of(lambda: only(admin.create_partitions([NewPartitions(scratch, 2)]))), KafkaError.INVALID_PARTITIONS)
with check("delete topics: gone from the list"):
    for name in [scratch, scratch + "-small"]:
        only(admin.delete_topics([name]))
    eventually("scratch is gone", lambda: scratch not in admin.list_topics(timeout=WAIT).topics)
with check("delete topic again: UNKNOWN_TOPIC_OR_PART"):
    equal(code_of(lambda: only(admin.delete_topics([scratch]))), KafkaError.UNKNOWN_TOPIC_OR_PART)

checks.finish()
