"""kafka-python, an implementation of the protocol in Python alone, against a broker: admin, producer, assigned consumer."""

import logging
import time

import sample
from checks import Checks, equal, eventually
from kafka import KafkaConsumer, KafkaProducer, TopicPartition, errors
from kafka.admin import ConfigResource, KafkaAdminClient, OffsetSpec

WAIT = 20
logging.getLogger("kafka").setLevel(logging.ERROR)
checks = Checks("kafka-python")
check, topic = checks.check, checks.topic
scratch = topic + "-scratch"
admin = KafkaAdminClient(bootstrap_servers=checks.bootstrap, request_timeout_ms=WAIT * 1000)
everything = [TopicPartition(topic, p) for p in range(len(sample.CODECS))]


def refused(error, call):
    """Fails unless `call` ends in the exception that stands for the protocol's error."""
    try:
        call()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


def produce(to, records, partition, **settings):
    """Sends in chunks of CHUNK, waits for each, and returns the offsets in order of sending."""
    producer = KafkaProducer(bootstrap_servers=checks.bootstrap, linger_ms=50, **settings)
    futures = []
    for i, r in enumerate(records):
        futures.append(producer.send(to, r.value, r.key, r.headers, partition, r.timestamp))
        if i % sample.CHUNK == sample.CHUNK - 1:
            producer.flush(WAIT)
    producer.flush(WAIT)
    offsets = [f.get(WAIT).offset for f in futures]
    producer.close()
    return offsets


def consumer(**settings):
    settings = {"auto_offset_reset": "none", **settings}
    return KafkaConsumer(bootstrap_servers=checks.bootstrap, group_id=None, enable_auto_commit=False, **settings)


def read(partition, offset, count, **settings):
    """`count` records from `offset`; fails where fewer come in time."""
    source, records, deadline = consumer(**settings), [], time.monotonic() + WAIT
    source.assign([partition])
    if offset is None:
        source.seek_to_beginning(partition)
    else:
        source.seek(partition, offset)
    while len(records) < count:
        assert time.monotonic() < deadline, f"{len(records)} of {count} records in {WAIT} s"
        records += source.poll(500, count - len(records)).get(partition, [])
    source.close()
    return records


def as_record(r):
    return sample.Record(r.timestamp, r.key, r.value, [tuple(h) for h in r.headers])


def topic_config(name):
    return admin.describe_configs([ConfigResource("TOPIC", topic)], config_filter="all")["topic"][topic][name]


with check("describe cluster: an id, a controller among the brokers"):
    cluster = admin.describe_cluster()
    assert cluster["cluster_id"]
    assert cluster["controller_id"] in [b["broker_id"] for b in cluster["brokers"]]
with check("create topic, with settings"):
    admin.create_topics({topic: {"num_partitions": len(sample.CODECS), "configs": sample.TOPIC_CONFIG}}, wait_for_metadata=True)
with check("create topic again: TopicAlreadyExistsError"):
    refused(errors.TopicAlreadyExistsError, lambda: admin.create_topics({topic: {"num_partitions": 1}}))
with check("create topic, validate only: it is not there afterwards"):
    admin.create_topics({topic + "-no": {"num_partitions": 1}}, validate_only=True)
    assert topic + "-no" not in admin.list_topics()
with check("create topic with an explicit assignment"):
    node = cluster["brokers"][0]["broker_id"]
    admin.create_topics({scratch: {"assignments": {0: [node], 1: [node]}}}, wait_for_metadata=True)
with check("list and describe topics"):
    assert {topic, scratch} <= set(admin.list_topics())
    (described,) = admin.describe_topics([topic])
    equal([p["partition_index"] for p in described["partitions"]], list(range(len(sample.CODECS))))
    for p in described["partitions"]:
        assert p["leader_id"] in p["isr_nodes"] and p["leader_id"] in p["replica_nodes"]
with check("describe topic partitions, page by page"):
    pages = admin.describe_topic_partitions([topic], response_partition_limit=2)
    assert topic in str(pages)
with check("describe configs: what was set at creation, and a default"):
    for name, value in sample.TOPIC_CONFIG.items():
        equal(topic_config(name)["value"], value, name)
    equal(topic_config("cleanup.policy")["value"], "delete")
with check("alter configs incrementally: set, then back to the default"):
    admin.alter_configs([ConfigResource("TOPIC", topic, {"max.message.bytes": "123456"})])
    eventually("it is set", lambda: topic_config("max.message.bytes")["value"] == "123456")
    admin.reset_configs([ConfigResource("TOPIC", topic, ["max.message.bytes"])])
    eventually("it is the default", lambda: topic_config("max.message.bytes")["value"] == "1048588")
with check("alter configs as a whole, the older API"):
    admin.alter_configs([ConfigResource("TOPIC", scratch, {"retention.bytes": "1000000"})], incremental=False)

for partition, codec in enumerate(sample.CODECS):
    records = [sample.record(partition, i, null=b"") for i in range(sample.RECORDS)]
    at = everything[partition]
    with check(f"produce, {codec}: offsets in order"):
        name = None if codec == "none" else codec
        sent = produce(topic, records, partition, compression_type=name, enable_idempotence=partition % 2 == 0)
        equal(sent, list(range(sample.RECORDS)))
    with check(f"read back, {codec}: order, keys, values, headers, timestamps"):
        got = read(at, 0, sample.RECORDS)
        equal([r.offset for r in got], list(range(sample.RECORDS)))
        for i, r in enumerate(got):
            different = sample.difference(records[i], as_record(r))
            assert different is None, f"offset {i}: {different}"
    with check(f"read from the middle, {codec}"):
        equal([r.offset for r in read(at, 333, 3)], [333, 334, 335])

with check("acks=1 and acks=0 are written too"):
    some = [sample.record(0, i, null=b"") for i in range(20)]
    produce(scratch, some, 0, acks=1, enable_idempotence=False)
    produce(scratch, some, 0, acks=0, enable_idempotence=False)
    equal([r.value for r in read(TopicPartition(scratch, 0), 0, 40)], [r.value for r in some] * 2)
with check("list offsets: earliest, latest, newest timestamp"):
    source = consumer()
    equal(source.beginning_offsets(everything), {tp: 0 for tp in everything})
    equal(source.end_offsets(everything), {tp: sample.RECORDS for tp in everything})
    newest = admin.list_partition_offsets({tp: OffsetSpec.MAX_TIMESTAMP for tp in everything})
    equal({(o.offset, o.timestamp) for o in newest.values()}, {sample.newest()})
with check("seek by timestamp: exact, in every codec"):
    for time_ms in sample.seek_times():
        want = sample.first_at_or_after(time_ms)
        for tp, got in source.offsets_for_times({tp: time_ms for tp in everything}).items():
            answer = None if got is None else (got.offset, got.timestamp)
            equal(answer, None if want is None else (want, sample.timestamp(want)), f"{tp.partition} at {time_ms}")
    source.close()
with check("read past the end: OffsetOutOfRangeError"):
    refused(errors.OffsetOutOfRangeError, lambda: read(everything[0], sample.RECORDS + 10, 1))

with check("delete records: new low watermark, and nothing else is lost"):
    answer = admin.delete_records({tp: sample.DELETED for tp in everything})
    equal([a["low_watermark"] for a in answer.values()], [sample.DELETED] * len(everything))
    source = consumer()
    equal(source.beginning_offsets(everything), {tp: sample.DELETED for tp in everything})
    source.close()
    for p, tp in enumerate(everything):
        first = read(tp, None, 1)[0]
        equal((first.offset, first.value), (sample.DELETED, sample.record(p, sample.DELETED).value))
with check("a read below the new start resets to it"):
    equal(read(everything[3], 5, 1, auto_offset_reset="earliest")[0].offset, sample.DELETED)
with check("describe log dirs: the topic's partitions have a size"):
    assert topic in str(admin.describe_log_dirs([topic]))

with check("a record over max.message.bytes: MessageSizeTooLargeError"):
    small = scratch + "-small"
    admin.create_topics({small: {"num_partitions": 1, "configs": {"max.message.bytes": "2000"}}}, wait_for_metadata=True)
    big = [sample.Record(sample.EPOCH_MS, None, bytes(5000), [])]
    refused(errors.MessageSizeTooLargeError, lambda: produce(small, big, 0))
with check("add partitions, and write to a new one"):
    admin.create_partitions({scratch: 4})
    eventually("four partitions", lambda: len(admin.describe_topics([scratch])[0]["partitions"]) == 4)
    produce(scratch, some, 3)
    equal(len(read(TopicPartition(scratch, 3), 0, len(some))), len(some))
with check("fewer partitions: InvalidPartitionsError"):
    refused(errors.InvalidPartitionsError, lambda: admin.create_partitions({scratch: 2}))
with check("delete topics: gone from the list"):
    admin.delete_topics([scratch, scratch + "-small"])
    eventually("scratch is gone", lambda: scratch not in admin.list_topics())
with check("delete topic again: UnknownTopicOrPartitionError"):
    refused(errors.UnknownTopicOrPartitionError, lambda: admin.delete_topics([scratch]))

checks.finish()
