"""aiokafka, on asyncio, against a broker: its admin, its producer (idempotent), its consumer by assignment."""

import asyncio
import logging

import sample
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition, errors
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from checks import Checks, equal, eventually

WAIT = 20
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
checks = Checks("aiokafka")
check, topic = checks.check, checks.topic
scratch = topic + "-scratch"
everything = [TopicPartition(topic, p) for p in range(len(sample.CODECS))]
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)


def run(awaitable):
    return loop.run_until_complete(asyncio.wait_for(awaitable, WAIT))


async def started():
    client = AIOKafkaAdminClient(bootstrap_servers=checks.bootstrap, request_timeout_ms=WAIT * 1000)
    await client.start()
    return client


def accepted(awaitable):
    """Its admin raises the error of some answers, and hands out the others, each API with a name of its own for the topics."""
    response = run(awaitable)
    topics = next(getattr(response, n) for n in ("topic_errors", "topic_error_codes", "responses") if hasattr(response, n))
    for topic in topics:
        if topic[1]:
            raise errors.for_code(topic[1])


def refused(error, call):
    """Fails unless `call` ends in the exception that stands for the protocol's error."""
    try:
        call()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


async def produce(to, records, partition, codec="none", **settings):
    """Sends in chunks of CHUNK, waits for each, and returns the offsets in order of sending."""
    name = None if codec == "none" else codec
    producer = AIOKafkaProducer(bootstrap_servers=checks.bootstrap, linger_ms=50, compression_type=name,
                                **{"enable_idempotence": True, **settings})
    await producer.start()
    try:
        offsets = []
        for begin in range(0, len(records), sample.CHUNK):
            sent = [await producer.send(to, r.value, r.key, partition, r.timestamp, r.headers)
                    for r in records[begin:begin + sample.CHUNK]]
            await producer.flush()
            # With acks=0 the answer is that there is none.
            offsets += [found and found.offset for found in await asyncio.gather(*sent)]
        return offsets
    finally:
        await producer.stop()


async def consuming(body):
    """What `body` makes of a consumer that is in no group."""
    consumer = AIOKafkaConsumer(bootstrap_servers=checks.bootstrap, auto_offset_reset="none")
    await consumer.start()
    try:
        return await body(consumer)
    finally:
        await consumer.stop()


def read(partition, offset, count):
    """`count` records from `offset`; fails where fewer come in time."""

    async def body(consumer):
        consumer.assign([partition])
        if offset is None:
            await consumer.seek_to_beginning(partition)
        else:
            consumer.seek(partition, offset)
        records = []
        while len(records) < count:
            found = await consumer.getmany(timeout_ms=500, max_records=count - len(records))
            records += found.get(partition, [])
        return records

    return run(consuming(body))


def as_record(r):
    return sample.Record(r.timestamp, r.key, r.value, [tuple(h) for h in r.headers])


def topic_config(name):
    (answer,) = run(admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))
    return {config[0]: config[1] for config in answer.resources[0][4]}[name]


def partitions(name):
    return len(run(admin.describe_topics([name]))[0]["partitions"])


admin = run(started())
with check("describe cluster: a controller among the brokers"):
    cluster = run(admin.describe_cluster())
    assert cluster["controller_id"] in [b["node_id"] for b in cluster["brokers"]]
with check("create topics, with settings"):
    accepted(admin.create_topics([NewTopic(topic, len(sample.CODECS), 1, topic_configs=sample.TOPIC_CONFIG)]))
    accepted(admin.create_topics([NewTopic(scratch, 2, 1)]))
with check("create topic again: TopicAlreadyExistsError"):
    refused(errors.TopicAlreadyExistsError, lambda: accepted(admin.create_topics([NewTopic(topic, 1, 1)])))
with check("list and describe topics"):
    eventually("both are listed", lambda: {topic, scratch} <= set(run(admin.list_topics())))
    (described,) = run(admin.describe_topics([topic]))
    equal([p["partition"] for p in described["partitions"]], list(range(len(sample.CODECS))))
    for p in described["partitions"]:
        assert p["leader"] in p["isr"] and p["leader"] in p["replicas"]
with check("describe configs: what was set at creation, and a default"):
    for name, value in sample.TOPIC_CONFIG.items():
        equal(topic_config(name), value, name)
    equal(topic_config("cleanup.policy"), "delete")
with check("alter configs as a whole: what is not named goes back to its default"):
    for more, value in (({"max.message.bytes": "123456"}, "123456"), ({}, "1048588")):
        run(admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={**sample.TOPIC_CONFIG, **more})]))
        eventually(f"max.message.bytes is {value}", lambda: topic_config("max.message.bytes") == value)

for partition, codec in enumerate(sample.CODECS):
    records = [sample.record(partition, i, null=b"") for i in range(sample.RECORDS)]
    at = everything[partition]
    with check(f"produce, {codec}: offsets in order"):
        equal(run(produce(topic, records, partition, codec)), list(range(sample.RECORDS)))
    with check(f"read back, {codec}: order, keys, values, headers, timestamps"):
        got = read(at, None, sample.RECORDS)
        equal([r.offset for r in got], list(range(sample.RECORDS)))
        for i, r in enumerate(got):
            different = sample.difference(records[i], as_record(r))
            assert different is None, f"offset {i}: {different}"
    with check(f"read from the middle, {codec}"):
        equal([r.offset for r in read(at, 333, 3)], [333, 334, 335])

some = [sample.record(0, i, null=b"") for i in range(20)]
with check("acks=1 and acks=0 are written too, without idempotence"):
    for acks in (1, 0):
        run(produce(scratch, some, 0, acks=acks, enable_idempotence=False))
    equal(len(read(TopicPartition(scratch, 0), 0, 40)), 40)
with check("list offsets: earliest and latest"):
    equal(run(consuming(lambda c: c.beginning_offsets(everything))), dict.fromkeys(everything, 0))
    equal(run(consuming(lambda c: c.end_offsets(everything))), dict.fromkeys(everything, sample.RECORDS))
with check("seek by timestamp: exact offset and timestamp, in every codec"):
    for time_ms in sample.seek_times():
        want = sample.first_at_or_after(time_ms)
        found = run(consuming(lambda c: c.offsets_for_times(dict.fromkeys(everything, time_ms))))
        for tp in everything:
            got = found[tp] and (found[tp].offset, found[tp].timestamp)
            equal(got, None if want is None else (want, sample.timestamp(want)), f"answer for {time_ms}")
with check("read past the end: OffsetOutOfRangeError"):
    refused(errors.OffsetOutOfRangeError, lambda: read(everything[0], sample.RECORDS + 10, 1))
with check("delete records: new low watermark, and nothing else is lost"):
    low = run(admin.delete_records({tp: RecordsToDelete(before_offset=sample.DELETED) for tp in everything}))
    equal(low, dict.fromkeys(everything, sample.DELETED))
    for partition, tp in enumerate(everything):
        got = read(tp, None, sample.RECORDS - sample.DELETED)
        equal(as_record(got[0]), sample.record(partition, sample.DELETED, null=b""), "first record")
with check("a record over max.message.bytes: MessageSizeTooLargeError"):
    small = scratch + "-small"
    accepted(admin.create_topics([NewTopic(small, 1, 1, topic_configs={"max.message.bytes": "2000"})]))
    eventually("it is listed", lambda: small in run(admin.list_topics()))
    big = [sample.Record(sample.EPOCH_MS, None, bytes(5000), [])]
    refused(errors.MessageSizeTooLargeError, lambda: run(produce(small, big, 0)))
with check("add partitions, and write to a new one"):
    accepted(admin.create_partitions({scratch: NewPartitions(4)}))
    eventually("four partitions", lambda: partitions(scratch) == 4)
    run(produce(scratch, some, 3))
    equal(len(read(TopicPartition(scratch, 3), 0, len(some))), len(some))
with check("fewer partitions: InvalidPartitionsError"):
    refused(errors.InvalidPartitionsError, lambda: accepted(admin.create_partitions({scratch: NewPartitions(2)})))
with check("delete topics: gone from the list; again: UnknownTopicOrPartitionError"):
    accepted(admin.delete_topics([scratch, small]))
    eventually("they are gone", lambda: not {scratch, small} & set(run(admin.list_topics())))
    refused(errors.UnknownTopicOrPartitionError, lambda: accepted(admin.delete_topics([scratch])))

run(admin.close())
checks.finish()
