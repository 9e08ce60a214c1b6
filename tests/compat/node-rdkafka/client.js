// node-rdkafka's callbacks as promises, for both programs.
'use strict'

const Kafka = require('node-rdkafka')

const WAIT_MS = 20_000

// The answer of a call whose last argument is a callback.
const answer = call => new Promise((resolve, reject) => call((error, found) => (error ? reject(error) : resolve(found))))

const connect = client => answer(done => client.connect({ timeout: WAIT_MS }, done))
const disconnect = client => answer(done => client.disconnect(done))

// The name of librdkafka's code, as its own header has it.
const nameOf = error => {
  const found = Object.entries(Kafka.CODES.ERRORS).find(([, code]) => code === error.code)
  return found ? found[0].replace(/^ERR_/, '') : error.name
}

// Sends messages {partition, key, value, timestamp, headers} and gives each its offset, in order of sending.
async function produce(bootstrap, topic, messages, settings = {}, chunk = messages.length) {
  const config = { 'bootstrap.servers': bootstrap, 'linger.ms': 50, 'delivery.timeout.ms': WAIT_MS, dr_cb: true, ...settings }
  const producer = new Kafka.Producer(config)
  await connect(producer)
  producer.setPollInterval(20)
  const offsets = []
  const bytes = value => (value === null ? null : Buffer.from(value))
  try {
    for (let at = 0; at < messages.length; at += chunk) {
      const sent = messages.slice(at, at + chunk)
      const delivered = new Promise((resolve, reject) => {
        let missing = sent.length
        producer.removeAllListeners('delivery-report')
        producer.on('delivery-report', (error, report) => {
          if (error) reject(error)
          else offsets[report.opaque] = report.offset
          if (--missing === 0) resolve()
        })
      })
      sent.forEach((m, i) =>
        producer.produce(topic, m.partition, bytes(m.value), bytes(m.key), Number(m.timestamp), at + i, m.headers))
      await delivered
    }
  } finally {
    await disconnect(producer)
  }
  return offsets
}

module.exports = { Kafka, WAIT_MS, answer, connect, disconnect, nameOf, produce }
