// The records that every program writes and expects back; ../README.md gives the rules in words.
'use strict'

const CODECS = ['None', 'GZIP', 'Snappy', 'LZ4', 'ZSTD']
const RECORDS = 500
const CHUNK = 50
const EPOCH_MS = 1357034400000
const TOPIC_CONFIG = { 'retention.ms': '-1', 'segment.ms': '200000' }
const DELETED = 120

function timestamp(i) {
  const shift = { 2: 3000, 7: -4500 }[i % 10] ?? 0
  return EPOCH_MS + 1000 * i + shift
}

// As kafkajs takes it. It can't send a null header value (its size is taken of a string), so that one is empty here.
function record(partition, i) {
  const key = i % 7 === 0 ? null : i % 11 === 0 ? '' : `key-${i}`
  let value = `value ${partition} ${i}`
  if (i % 14 === 3) value = null
  else if (i % 17 === 0) value = ''
  else if (i % CHUNK === CHUNK - 1) value = `${partition}:${i};`.repeat(4000).slice(0, 20000)
  const headers = [{}, { h: `${i}` }, { a: ['1', '2'], empty: '', null: '' }][i % 3]
  return { partition, key, value, headers, timestamp: `${timestamp(i)}` }
}

const indexes = Array.from({ length: RECORDS }, (_, i) => i)

// What ListOffsets has to answer for a time, by brute force; -1 past the end.
const firstAtOrAfter = ms => indexes.findIndex(i => timestamp(i) >= ms)

function seekTimes() {
  const last = Math.max(...indexes.map(timestamp))
  const inside = [0, 1, 2500, 3500, 5000, 5001, 99999, 100000, 123456, 250000, 400500]
  return [0, EPOCH_MS - 1, ...inside.map(t => EPOCH_MS + t), last, last + 1]
}

module.exports = { CODECS, RECORDS, CHUNK, EPOCH_MS, TOPIC_CONFIG, DELETED, timestamp, record, firstAtOrAfter, seekTimes }
