// A group member by node-rdkafka that does what ../python/groups.py tells it line by line; the words are in ../README.md. Its
// admin has no groups, so another client's looks at them.
'use strict'

const readline = require('node:readline')
const { parseArgs } = require('node:util')
const { Kafka, WAIT_MS, answer, connect, disconnect, nameOf } = require('./client')

const { values: args } = parseArgs({ options: { bootstrap: { type: 'string' } } })
let consumer
let polling

const say = (...words) => console.log(words.join(' '))
const numbers = found => found.map(p => p.partition).toSorted((a, b) => a - b)
const join = found => found.filter(p => p.offset >= 0).map(p => `${p.partition}:${p.offset}`).join(' ')

const failure = error => `${nameOf(error)} ${error.message.replaceAll('\n', ' ')}`

// What the default does, and tells it: the assignment is known only after the call.
function rebalanced(error, partitions) {
  const cooperative = this.rebalanceProtocol() === 'COOPERATIVE'
  if (error.code === Kafka.CODES.ERRORS.ERR__ASSIGN_PARTITIONS) {
    if (cooperative) this.incrementalAssign(partitions)
    else this.assign(partitions)
    say('assigned', ...numbers(this.assignments()))
  } else {
    if (partitions.length > 0) say('revoked', ...numbers(partitions))
    if (cooperative) this.incrementalUnassign(partitions)
    else this.unassign()
  }
}

async function poll(from) {
  while (consumer === from) {
    const messages = await answer(done => from.consume(100, done)).catch(error => {
      if (consumer === from) lost(error)
      return []
    })
    for (const m of messages) say('record', m.partition, m.offset, m.key)
  }
}

function lost(error) {
  // What is not fatal librdkafka mends by itself.
  if (consumer && error.code === Kafka.CODES.ERRORS.ERR__FATAL) {
    say('lost', failure(error))
    commands.leave()
  }
}

const committed = () => answer(done => consumer.committed(consumer.assignments(), WAIT_MS, done))

const commands = {
  async join(group, topic, strategy, instance, sessionMs) {
    const settings = instance === '-' ? {} : { 'group.instance.id': instance }
    const joining = new Kafka.KafkaConsumer({
      'bootstrap.servers': args.bootstrap, 'group.id': group, 'partition.assignment.strategy': strategy,
      'session.timeout.ms': Number(sessionMs), 'heartbeat.interval.ms': 300, 'enable.auto.commit': false,
      rebalance_cb: rebalanced, ...settings,
    }, { 'auto.offset.reset': 'earliest' })
    joining.setDefaultConsumeTimeout(50)
    joining.on('event.error', lost)
    await connect(joining)
    joining.subscribe([topic])
    consumer = joining
    polling = poll(joining)
    return 'joining'
  },
  async commit(how) {
    if (how === 'sync') {
      consumer.commitSync(null)
      return `committed ${join(await committed())}`
    }
    consumer.commit()
    // The answer is handed to nobody unless it is asked for by the configuration.
    const deadline = Date.now() + WAIT_MS
    const done = async () => join(await committed()) === join(consumer.position(consumer.assignments()))
    while (!(await done()) && Date.now() < deadline);
    return `committed ${join(await committed())}`
  },
  async seek(ms) {
    const asked = consumer.assignments().map(({ topic, partition }) => ({ topic, partition, offset: Number(ms) }))
    const found = await answer(done => consumer.offsetsForTimes(asked, WAIT_MS, done))
    for (const p of found) await answer(done => consumer.seek(p, WAIT_MS, done))
    return `sought ${join(found)}`
  },
  async leave() {
    const leaving = consumer
    consumer = undefined
    await polling
    await disconnect(leaving)
    return 'left'
  },
}

async function main() {
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
