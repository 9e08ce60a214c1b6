// One line per check, a total at the end, a non-zero exit on any failure.
'use strict'

const assert = require('node:assert/strict')

let passed = 0
let failed = 0

async function check(name, body) {
  let timer
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('no answer in 30 s')), 30_000) })
  try {
    await Promise.race([body(), late])
    passed++
    console.log(`ok   ${name}`)
  } catch (error) {
    failed++
    console.log(`FAIL ${name}: ${`${error.name}: ${error.message}`.replaceAll('\n', ' ').slice(0, 400)}`)
  } finally {
    clearTimeout(timer)
  }
}

async function eventually(what, condition) {
  for (const deadline = Date.now() + 15_000; !(await condition()); ) {
    assert.ok(Date.now() < deadline, `not within 15 s: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}

function finish() {
  console.log(`${passed} passed, ${failed} failed`)
  process.exit(failed === 0 ? 0 : 1)
}

module.exports = { check, eventually, finish }
