// A group member and admin by kafkajs that does what ../python/groups.py tells it line by line; the words are in ../README.md.
'use strict'

const readline = require('node:readline')
const { parseArgs } = require('node:util')
const { Kafka, CompressionTypes, AssignerProtocol, Partitioners, logLevel } = require('kafkajs')
const codecs = require('./codecs')
const sample = require('./sample')

const { values: args } = parseArgs({ options: { bootstrap: { type: 'string' } } })
const kafka = new Kafka({ brokers: args.bootstrap.split(','), clientId: 'compat-kafkajs', logLevel: logLevel.NOTHING })
const admin = kafka.admin()
let consumer
let topic
let assigned = []
let positions = new Map()

const say = (...words) => console.log(words.join(' '))
const join = offsets => offsets.map(([p, o]) => `${p}:${o}`).join(' ')

// The protocol's name of an error is its type, which some errors keep in a cause or in a list.
function failure(error) {
  const types = [error, error.cause, ...(error.groups ?? []).map(g => g.error)].map(e => e?.type)
  return `${types.find(Boolean) ?? error.name} ${error.message.replaceAll('\n', ' ')}`
}

const commands = {
  async create(name, numPartitions) {
    const configEntries = [{ name: 'retention.ms', value: '-1' }]
    await admin.createTopics({ topics: [{ topic: name, numPartitions: Number(numPartitions), configEntries }] })
    return 'done'
  },
  async delete(name) {
    await admin.deleteTopics({ topics: [name] })
    return 'done'
  },
  async write(name, partitions, from, to, codec) {
    // A send that fails in one partition is tried again in all: without idempotence the others would have it twice.
    const settings = { idempotent: true, maxInFlightRequests: 1 }
    const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner, ...settings })
    const messages = []
    for (let i = Number(from); i < Number(to); i++) {
      const timestamp = `${sample.EPOCH_MS + 1000 * i}`
      messages.push({ partition: i % partitions, key: `${i}`, value: `value ${i}`, timestamp })
    }
    const compression = CompressionTypes[sample.CODECS.find(name => name.toLowerCase() === codec)]
    await producer.connect()
    await producer.send({ topic: name, compression, messages })
    await producer.disconnect()
    return `written ${messages.length}`
  },

  async join(groupId, name, strategy, instance, sessionMs) {
    const settings = { sessionTimeout: Number(sessionMs), heartbeatInterval: 300, maxWaitTimeInMs: 100 }
    const joining = kafka.consumer({ groupId, ...settings })
    consumer = joining
    topic = name
    positions = new Map()
    joining.on(joining.events.GROUP_JOIN, ({ payload }) => {
      assigned = (payload.memberAssignment[topic] ?? []).toSorted((a, b) => a - b)
      say('assigned', ...assigned)
    })
    joining.on(joining.events.CRASH, ({ payload }) => say('lost', failure(payload.error)))
    await joining.connect()
    await joining.subscribe({ topic, fromBeginning: true })
    await joining.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        positions.set(partition, Number(message.offset) + 1)
        say('record', partition, message.offset, message.key)
      },
    })
    return 'joining'
  },
  // One kind of commit only: it is answered when the broker has it.
  async commit() {
    const mine = [...positions].filter(([partition]) => assigned.includes(partition))
    await consumer.commitOffsets(mine.map(([partition, offset]) => ({ topic, partition, offset: `${offset}` })))
    return `committed ${join(mine)}`
  },
  async seek(ms) {
    const found = await admin.fetchTopicOffsetsByTimestamp(topic, Number(ms))
    const mine = found.filter(({ partition }) => assigned.includes(partition))
    for (const { partition, offset } of mine) consumer.seek({ topic, partition, offset })
    return `sought ${join(mine.map(({ partition, offset }) => [partition, offset]))}`
  },
  async leave() {
    const leaving = consumer
    consumer = undefined
    await leaving.disconnect()
    assigned = []
    return 'left'
  },

  async list() {
    return `groups ${(await admin.listGroups()).groups.map(g => g.groupId).join(' ')}`
  },
  async describe(group) {
    const [about] = (await admin.describeGroups([group])).groups
    const members = about.members.map(m => {
      const { assignment } = AssignerProtocol.MemberAssignment.decode(m.memberAssignment) ?? { assignment: {} }
      return Object.values(assignment).flat().toSorted((a, b) => a - b).join(',')
    })
    return ['group', about.state, about.protocol || '-', ...members].join(' ')
  },
  async offsets(groupId) {
    const topics = await admin.fetchOffsets({ groupId })
    const found = topics.flatMap(t => t.partitions).filter(p => p.offset !== '-1')
    return `offsets ${join(found.map(p => [p.partition, p.offset]))}`
  },
  async ends(name) {
    return `ends ${join((await admin.fetchTopicOffsets(name)).map(p => [p.partition, p.high]))}`
  },
  async 'set-offset'(groupId, name, partition, offset) {
    await admin.setOffsets({ groupId, topic: name, partitions: [{ partition: Number(partition), offset }] })
    return 'done'
  },
  async 'delete-group'(group) {
    await admin.deleteGroups([group])
    return 'done'
  },
}

async function main() {
  await codecs.ready()
  await admin.connect()
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [name, ...words] = line.split(' ')
    try {
      say(await commands[name](...words))
    } catch (error) {
      say('error', failure(error))
    }
  }
  if (consumer) await commands.leave()
  process.exit(0)
}

main()
