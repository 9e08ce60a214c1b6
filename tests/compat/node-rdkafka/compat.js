// node-rdkafka (librdkafka) against a broker: producer with and without idempotence, consumer by assignment, and what admin it
// has: topics and partitions.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { parseArgs } = require('node:util')
const { check, eventually, finish } = require('./checks')
const { Kafka, WAIT_MS, answer, connect, disconnect, nameOf, produce } = require('./client')
const sample = require('./sample')

const { values: args } = parseArgs({ options: { bootstrap: { type: 'string' } } })
const bootstrap = args.bootstrap ?? process.env.BOOTSTRAP ?? '127.0.0.1:9092'
const topic = `compat-node-rdkafka-${crypto.randomBytes(4).toString('hex')}`
const scratch = `${topic}-scratch`
const admin = Kafka.AdminClient.create({ 'bootstrap.servers': bootstrap })
const partitions = sample.CODECS.map((_, partition) => partition)

async function consuming(settings, body) {
  const consumer = new Kafka.KafkaConsumer(
    { 'bootstrap.servers': bootstrap, 'group.id': 'unused', 'enable.auto.commit': false, 'check.crcs': true },
    { 'auto.offset.reset': 'error', ...settings })
  await connect(consumer)
  try {
    return await body(consumer)
  } finally {
    await disconnect(consumer)
  }
}

// `count` messages from an offset; fails where fewer come in time.
const read = (from, partition, offset, count, settings) => consuming(settings, async consumer => {
  const failed = new Promise((_, reject) => consumer.on('event.error', reject))
  failed.catch(() => {})
  consumer.setDefaultConsumeTimeout(200)
  consumer.assign([{ topic: from, partition, offset }])
  const found = []
  for (const deadline = Date.now() + WAIT_MS; found.length < count; ) {
    assert.ok(Date.now() < deadline, `${found.length} of ${count} records`)
    found.push(...await Promise.race([answer(done => consumer.consume(count - found.length, done)), failed]))
  }
  return found
})

async function refused(name, call) {
  try {
    await call()
  } catch (error) {
    if (error.code === undefined) throw error
    assert.equal(nameOf(error), name)
    return
  }
  assert.fail(`no ${name}`)
}

const metadata = name => consuming({}, consumer => answer(done => consumer.getMetadata({ topic: name, timeout: WAIT_MS }, done)))
const listed = async name => (await metadata()).topics.find(t => t.name === name)?.partitions.length ?? 0

async function create(name, count, config = {}) {
  const wanted = { topic: name, num_partitions: count, replication_factor: -1, config }
  await answer(done => admin.createTopic(wanted, WAIT_MS, done))
  await eventually(`${name} is listed`, async () => (await listed(name)) === count)
}

// In the form of sample.record, where headers are a list with one name each.
const listOf = headers => Object.entries(headers).flatMap(([k, v]) => [v].flat().map(one => ({ [k]: one })))
// What is empty, this client sends as null.
const wanted = (partition, i) => {
  const { key, value, headers, ...rest } = sample.record(partition, i)
  return { ...rest, key: key || null, value: value || null, headers: listOf(headers) }
}
const asRecord = message => {
  const string = b => b?.toString() ?? null
  const headers = (message.headers ?? []).flatMap(h => Object.entries(h).map(([k, v]) => ({ [k]: string(v) })))
  const { partition, key, value, timestamp } = message
  return { partition, key: string(key), value: string(value), headers, timestamp: `${timestamp}` }
}

async function topics() {
  await check('create topic, with settings', () => create(topic, partitions.length, sample.TOPIC_CONFIG))
  await check('create topic again: TOPIC_ALREADY_EXISTS', () => refused('TOPIC_ALREADY_EXISTS', () => create(topic, 1)))
  await check('create topic, bad name: TOPIC_EXCEPTION', () => refused('TOPIC_EXCEPTION', () => create('a/b', 1)))
  await check('create topic, unknown setting: INVALID_CONFIG', () =>
    refused('INVALID_CONFIG', () => create(`${topic}-no`, 1, { 'no.such.setting': '1' })))
  await check('metadata: brokers, leaders, replicas, in-sync replicas', async () => {
    const { brokers, topics } = await metadata(topic)
    assert.ok(brokers.length > 0)
    for (const p of topics[0].partitions) assert.ok(p.replicas.includes(p.leader) && p.isrs.includes(p.leader))
  })
}

async function records() {
  for (const partition of partitions) {
    const codec = sample.CODECS[partition].toLowerCase()
    const messages = Array.from({ length: sample.RECORDS }, (_, i) => wanted(partition, i))
    const idempotent = partition % 2 === 0
    await check(`produce, ${codec}, ${idempotent ? 'idempotent' : 'acks=all'}: offsets in order`, async () => {
      const settings = { 'compression.codec': codec, 'enable.idempotence': idempotent }
      assert.deepEqual(await produce(bootstrap, topic, messages, settings, sample.CHUNK), messages.map((_, i) => i))
    })
    await check(`read back, ${codec}: order, keys, values, headers, timestamps`, async () => {
      const got = await read(topic, partition, 0, sample.RECORDS)
      assert.deepEqual(got.map(m => m.offset), messages.map((_, i) => i))
      got.forEach((m, i) => assert.deepEqual(asRecord(m), messages[i], `offset ${i}`))
    })
    await check(`read from the middle, ${codec}`, async () =>
      assert.deepEqual((await read(topic, partition, 333, 3)).map(m => m.offset), [333, 334, 335]))
  }
  await check('acks=1 and acks=0 are written too', async () => {
    await create(scratch, 2)
    const some = Array.from({ length: 20 }, (_, i) => wanted(0, i))
    for (const acks of [1, 0]) await produce(bootstrap, scratch, some, { 'request.required.acks': acks })
    assert.equal((await read(scratch, 0, 0, 40)).length, 40)
  })
}

async function offsets() {
  await check('watermarks', () => consuming({}, async consumer => {
    for (const partition of partitions) {
      const found = await answer(done => consumer.queryWatermarkOffsets(topic, partition, WAIT_MS, done))
      assert.deepEqual(found, { lowOffset: 0, highOffset: sample.RECORDS })
    }
  }))
  await check('seek by timestamp: exact, in every codec', () => consuming({}, async consumer => {
    for (const ms of sample.seekTimes()) {
      const asked = partitions.map(partition => ({ topic, partition, offset: ms }))
      const found = await answer(done => consumer.offsetsForTimes(asked, WAIT_MS, done))
      // -1 is the end, where nothing is as late.
      for (const p of found) assert.equal(p.offset, sample.firstAtOrAfter(ms), `partition ${p.partition}, for ${ms}`)
    }
  }))
  await check('read past the end: it is an error where it is not to be reset', () =>
    refused('_AUTO_OFFSET_RESET', () => read(topic, 0, sample.RECORDS + 10, 1)))
  await check('read past the end: reset to the earliest', async () =>
    assert.equal((await read(topic, 0, sample.RECORDS + 10, 1, { 'auto.offset.reset': 'earliest' }))[0].offset, 0))
}

async function limits() {
  await check('a record over max.message.bytes: too large, which this client tells by words only', async () => {
    await create(`${scratch}-small`, 1, { 'max.message.bytes': '2000' })
    const big = { ...wanted(0, 1), value: 'x'.repeat(5000) }
    await assert.rejects(produce(bootstrap, `${scratch}-small`, [big]), { message: /message size too large/i })
    await answer(done => admin.deleteTopic(`${scratch}-small`, WAIT_MS, done))
  })
  await check('add partitions, and write to a new one', async () => {
    await answer(done => admin.createPartitions(scratch, 4, WAIT_MS, done))
    await eventually('four partitions', async () => (await listed(scratch)) === 4)
    await produce(bootstrap, scratch, [wanted(3, 1)])
    assert.deepEqual(asRecord((await read(scratch, 3, 0, 1))[0]), wanted(3, 1))
  })
  await check('fewer partitions: INVALID_PARTITIONS', () =>
    refused('INVALID_PARTITIONS', () => answer(done => admin.createPartitions(scratch, 2, WAIT_MS, done))))
  await check('delete topic: gone from the list, and again: UNKNOWN_TOPIC_OR_PART', async () => {
    await answer(done => admin.deleteTopic(scratch, WAIT_MS, done))
    await eventually('scratch is gone', async () => (await listed(scratch)) === 0)
    await refused('UNKNOWN_TOPIC_OR_PART', () => answer(done => admin.deleteTopic(scratch, WAIT_MS, done)))
  })
}

async function main() {
  await topics()
  await records()
  await offsets()
  await limits()
  admin.disconnect()
  finish()
}

main().catch(error => {
  console.error(error)
  process.exit(2)
})
