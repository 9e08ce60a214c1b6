// kafkajs against a broker: admin and producer. Its Consumer works in groups only, so what it wrote is read back through the
// Cluster that its Consumer stands on: the same requests, the same decoders.
'use strict'

const assert = require('node:assert/strict')
const crypto = require('node:crypto')
const { parseArgs } = require('node:util')
const { Kafka, CompressionTypes, ConfigResourceTypes, Partitioners, logLevel } = require('kafkajs')
const { check, eventually, finish } = require('./checks')
const codecs = require('./codecs')
const sample = require('./sample')

const { values: args } = parseArgs({ options: { bootstrap: { type: 'string' } } })
const kafka = new Kafka({
  brokers: (args.bootstrap ?? process.env.BOOTSTRAP ?? '127.0.0.1:9092').split(','),
  clientId: 'compat-kafkajs',
  logLevel: logLevel.NOTHING,
  requestTimeout: 10_000,
  retry: { retries: 3 },
})
const topic = `compat-kafkajs-${crypto.randomBytes(4).toString('hex')}`
const scratch = `${topic}-scratch`
const admin = kafka.admin()

// Fails unless the call ends in the protocol's error of this name.
async function refused(type, call) {
  try {
    await call()
  } catch (error) {
    const types = [error, error.cause, ...(error.errors ?? [])].map(e => e?.type)
    assert.ok(types.includes(type), `the error is ${types.filter(Boolean)} (${error.message}), not ${type}`)
    return
  }
  assert.fail(`no ${type}`)
}

// Metadata may know of a topic later than the answer to its creation, so leaders are waited for here: kafkajs gives up too soon.
async function create(name, settings = {}) {
  const { numPartitions = 1, configs = {} } = settings
  const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
  const created = await admin.createTopics({ waitForLeaders: false, topics: [{ topic: name, numPartitions, configEntries }] })
  await eventually(`${name} has leaders`, async () => {
    try {
      const { partitions } = (await admin.fetchTopicMetadata({ topics: [name] })).topics[0]
      return partitions.length === numPartitions && partitions.every(p => p.leader >= 0)
    } catch (error) {
      if (error.type === 'UNKNOWN_TOPIC_OR_PARTITION') return false
      throw error
    }
  })
  return created
}

// Sends in requests of CHUNK records and returns the base offset of each.
async function produce(to, messages, compression, settings = {}, acks = -1) {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, ...settings })
  await producer.connect()
  const offsets = []
  for (let at = 0; at < messages.length; at += sample.CHUNK) {
    const chunk = messages.slice(at, at + sample.CHUNK)
    const answers = await producer.send({ topic: to, acks, compression, messages: chunk })
    offsets.push(...(answers ?? []).map(a => Number(a.baseOffset)))
  }
  await producer.disconnect()
  return offsets
}

// `count` messages from an offset, by kafkajs's own fetch requests.
async function read(from, partition, offset, count) {
  const create = Object.getOwnPropertySymbols(kafka).find(s => s.description === 'private:Kafka:createCluster')
  const cluster = kafka[create]({})
  const found = []
  await cluster.connect()
  try {
    await cluster.addTargetTopic(from)
    const [nodeId] = Object.keys(cluster.findLeaderForPartitions(from, [partition]))
    const broker = await cluster.findBroker({ nodeId })
    for (const deadline = Date.now() + 20_000; found.length < count; ) {
      assert.ok(Date.now() < deadline, `${found.length} of ${count} records in 20 s`)
      const fetchOffset = offset + found.length
      const { responses } = await broker.fetch({
        maxWaitTime: 500, minBytes: 1, maxBytes: 1 << 20, isolationLevel: 0,
        topics: [{ topic: from, partitions: [{ partition, fetchOffset, maxBytes: 1 << 20, currentLeaderEpoch: -1 }] }],
      })
      const { messages } = responses[0].partitions[0]
      // A fetch gives whole batches: those below the offset asked for are the client's to skip.
      found.push(...messages.filter(m => Number(m.offset) >= fetchOffset))
    }
  } finally {
    await cluster.disconnect()
  }
  return found.slice(0, count)
}

// In the form of sample.record, with strings for buffers.
function asRecord(partition, message) {
  const string = b => b?.toString() ?? null
  const headers = Object.entries(message.headers).map(([k, v]) => [k, Array.isArray(v) ? v.map(string) : string(v)])
  return {
    partition, key: string(message.key), value: string(message.value), headers: Object.fromEntries(headers),
    timestamp: message.timestamp,
  }
}

const byPartition = answers => answers.sort((a, b) => a.partition - b.partition).map(a => Number(a.offset))

async function config(name) {
  const asked = { type: ConfigResourceTypes.TOPIC, name: topic }
  const { resources } = await admin.describeConfigs({ resources: [asked], includeSynonyms: true })
  return resources[0].configEntries.find(e => e.configName === name)?.configValue
}

async function topics() {
  await check('describe cluster: an id, a controller among the brokers', async () => {
    const cluster = await admin.describeCluster()
    assert.ok(cluster.clusterId)
    assert.ok(cluster.brokers.some(b => b.nodeId === cluster.controller))
  })
  await check('create topic, with settings; false when it is there', async () => {
    const wanted = { numPartitions: sample.CODECS.length, configs: sample.TOPIC_CONFIG }
    assert.equal(await create(topic, wanted), true)
    assert.equal(await create(topic, wanted), false)
  })
  await check('create topic, validate only: it is not there afterwards', async () => {
    await admin.createTopics({ validateOnly: true, waitForLeaders: false, topics: [{ topic: `${topic}-no` }] })
    assert.ok(!(await admin.listTopics()).includes(`${topic}-no`))
  })
  await check('create topic, bad name: INVALID_TOPIC_EXCEPTION', () =>
    refused('INVALID_TOPIC_EXCEPTION', () => admin.createTopics({ topics: [{ topic: 'a/b' }] })))
  await check('list topics, fetch their metadata', async () => {
    assert.ok((await admin.listTopics()).includes(topic))
    const metadata = await admin.fetchTopicMetadata({ topics: [topic] })
    const { partitions } = metadata.topics[0]
    assert.equal(partitions.length, sample.CODECS.length)
    for (const p of partitions) assert.ok(p.isr.includes(p.leader) && p.replicas.includes(p.leader))
  })
  await check('describe configs: what was set at creation, and a default', async () => {
    for (const [name, value] of Object.entries(sample.TOPIC_CONFIG)) assert.equal(await config(name), value)
    assert.equal(await config('cleanup.policy'), 'delete')
  })
  await check('alter configs as a whole, the older API: the rest goes back to its default', async () => {
    const set = configEntries => admin.alterConfigs({
      resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }],
    })
    const kept = Object.entries(sample.TOPIC_CONFIG).map(([name, value]) => ({ name, value }))
    await set([...kept, { name: 'max.message.bytes', value: '123456' }])
    await eventually('it is set', async () => (await config('max.message.bytes')) === '123456')
    await set(kept)
    await eventually('it is the default', async () => (await config('max.message.bytes')) === '1048588')
    assert.equal(await config('segment.ms'), '200000')
  })
}

async function records() {
  for (const [partition, codec] of sample.CODECS.entries()) {
    const messages = Array.from({ length: sample.RECORDS }, (_, i) => sample.record(partition, i))
    const settings = partition % 2 === 0 ? { idempotent: true, maxInFlightRequests: 1 } : {}
    await check(`produce, ${codec}${settings.idempotent ? ', idempotent' : ''}: offsets in order`, async () => {
      const bases = await produce(topic, messages, CompressionTypes[codec], settings)
      assert.deepEqual(bases, messages.map((_, i) => i).filter(i => i % sample.CHUNK === 0))
    })
    await check(`read back, ${codec}: order, keys, values, headers, timestamps`, async () => {
      const got = await read(topic, partition, 0, sample.RECORDS)
      assert.deepEqual(got.map(m => Number(m.offset)), messages.map((_, i) => i))
      got.forEach((m, i) => assert.deepEqual(asRecord(partition, m), messages[i], `offset ${i}`))
    })
    await check(`read from the middle, ${codec}`, async () => {
      assert.deepEqual((await read(topic, partition, 333, 3)).map(m => m.offset), ['333', '334', '335'])
    })
  }
  await check('acks=1 and acks=0 are written too', async () => {
    await create(scratch, { numPartitions: 2 })
    const some = Array.from({ length: 20 }, (_, i) => sample.record(0, i))
    await produce(scratch, some, CompressionTypes.None, {}, 1)
    await produce(scratch, some, CompressionTypes.None, {}, 0)
    assert.equal((await read(scratch, 0, 0, 40)).length, 40)
  })
}

async function offsets() {
  const everywhere = offset => sample.CODECS.map(() => offset)
  await check('offsets of a topic: low and high', async () => {
    const answers = await admin.fetchTopicOffsets(topic)
    assert.deepEqual(byPartition(answers), everywhere(sample.RECORDS))
    assert.ok(answers.every(a => a.low === '0' && a.high === `${sample.RECORDS}`))
  })
  await check('seek by timestamp: exact, in every codec', async () => {
    for (const ms of sample.seekTimes()) {
      const want = sample.firstAtOrAfter(ms)
      // This client turns "none" into the end offset.
      const expected = everywhere(want < 0 ? sample.RECORDS : want)
      assert.deepEqual(byPartition(await admin.fetchTopicOffsetsByTimestamp(topic, ms)), expected, `for ${ms}`)
    }
  })
  await check('read past the end: OFFSET_OUT_OF_RANGE', () =>
    refused('OFFSET_OUT_OF_RANGE', () => read(topic, 0, sample.RECORDS + 10, 1)))
  await check('delete records: new low offset, and nothing else is lost', async () => {
    const partitions = sample.CODECS.map((_, partition) => ({ partition, offset: `${sample.DELETED}` }))
    await admin.deleteTopicRecords({ topic, partitions })
    assert.ok((await admin.fetchTopicOffsets(topic)).every(a => a.low === `${sample.DELETED}`))
    for (const { partition } of partitions) {
      const [first] = await read(topic, partition, sample.DELETED, sample.RECORDS - sample.DELETED)
      assert.deepEqual(asRecord(partition, first), sample.record(partition, sample.DELETED))
    }
  })
  await check('read below the new start: OFFSET_OUT_OF_RANGE', () =>
    refused('OFFSET_OUT_OF_RANGE', () => read(topic, 3, 5, 1)))
}

async function limits() {
  await check('a record over max.message.bytes: MESSAGE_TOO_LARGE', async () => {
    const small = `${scratch}-small`
    await create(small, { configs: { 'max.message.bytes': '2000' } })
    await refused('MESSAGE_TOO_LARGE', () => produce(small, [{ value: 'x'.repeat(5000) }], CompressionTypes.None))
    await admin.deleteTopics({ topics: [small] })
  })
  await check('add partitions, and write to a new one', async () => {
    await admin.createPartitions({ topicPartitions: [{ topic: scratch, count: 4 }] })
    await eventually('four partitions', async () =>
      (await admin.fetchTopicMetadata({ topics: [scratch] })).topics[0].partitions.length === 4)
    await produce(scratch, [sample.record(3, 1)], CompressionTypes.None)
    assert.equal((await read(scratch, 3, 0, 1))[0].key.toString(), 'key-1')
  })
  await check('fewer partitions: INVALID_PARTITIONS', () =>
    refused('INVALID_PARTITIONS', () => admin.createPartitions({ topicPartitions: [{ topic: scratch, count: 2 }] })))
  await check('delete topic: gone from the list', async () => {
    await admin.deleteTopics({ topics: [scratch] })
    await eventually('scratch is gone', async () => !(await admin.listTopics()).includes(scratch))
  })
  await check('delete topic again: UNKNOWN_TOPIC_OR_PARTITION', () =>
    refused('UNKNOWN_TOPIC_OR_PARTITION', () => admin.deleteTopics({ topics: [scratch] })))
}

async function main() {
  await codecs.ready()
  await admin.connect()
  await topics()
  await records()
  await offsets()
  await limits()
  await admin.disconnect()
  finish()
}

main().catch(error => {
  console.error(error)
  process.exit(2)
})
