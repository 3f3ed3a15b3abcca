// An agency's system at its gxbus node, with Node.js and the CloudEvents SDK (npm ci).
//
//   export NODE=https://10.0.1.1:8440 CA=ca.crt TOKEN=gxs_…
//   node agency.mjs publish    the provider's system publishes an event
//   node agency.mjs pull       the consumer's system subscribes, and pulls until it is stopped
//   node agency.mjs query      the consumer's system asks for data
//
//   export SECRET=… ENDPOINT=http://10.0.2.7:8480/events    where the node reaches this machine
//   node agency.mjs webhook    events are brought instead
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { request } from 'node:https'
import { setTimeout as pause } from 'node:timers/promises'
import { CloudEvent, HTTP } from 'cloudevents'

const { NODE, CA, TOKEN, SECRET, ENDPOINT } = process.env
const ca = readFileSync(CA)
const resource = 'enterprise-registration'
const subscription = 'tianhe-registration'
const grant = 'tianhe-registration'
const json = { 'Content-Type': 'application/json' }

// call asks the node, and asks again where it was not reached or is busy. All that is asked
// here may be asked twice: events by their id, writes by their Idempotency-Key.
async function call(method, path, headers = {}, body = undefined) {
  headers = { ...headers, Authorization: `Bearer ${TOKEN}`, 'Idempotency-Key': randomUUID() }
  for (let attempt = 0; ; attempt++) {
    let answer
    try {
      answer = await send(method, path, headers, body)
    } catch (err) {
      if (attempt === 4) throw err
      await pause(1000 * 2 ** attempt)
      continue
    }
    if (answer.status < 300) return answer
    if (![429, 503].includes(answer.status) || attempt === 4) {
      // RFC 9457; code says what it is, errors what is wrong where
      throw Object.assign(new Error(`${answer.status} ${answer.body}`), { code: JSON.parse(answer.body).code })
    }
    await pause(1000 * Number(answer.headers['retry-after'] ?? 2 ** attempt))
  }
}

async function send(method, path, headers, body) {
  const asked = request(`${NODE}/api/v1/${path}`, { method, headers, ca, timeout: 60_000 })
  asked.on('timeout', () => asked.destroy(new Error('no answer in time')))
  asked.end(body)
  const [answer] = await once(asked, 'response')
  return { status: answer.statusCode, headers: answer.headers, body: await text(answer) }
}

async function text(stream) {
  const pieces = []
  for await (const piece of stream) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}

async function publish() {
  const event = new CloudEvent({
    id: `registration-${randomUUID()}`, // keep it: published again, the event is taken once
    source: '/systems/market-registry',
    type: 'cn.gov.sample.enterprise.registered.v1',
    subject: '样例企业',
    data: { enterprise_name: '样例企业有限公司', phone: '19900000001' },
  })
  const { headers, body } = HTTP.structured(event)
  const answer = await call('POST', `resources/${resource}/events`, headers, body)
  console.log(answer.body)
}

async function subscribe() {
  const wanted = { resource, grant, purpose: 'verification' }
  try {
    await call('PUT', `subscriptions/${subscription}`, { ...json, 'If-None-Match': '*' }, JSON.stringify(wanted))
  } catch (err) {
    if (err.code !== 'already-exists') throw err
  }
}

// process puts the event into your database, in one transaction with (source, id): one that
// you have already is passed over.
async function processEvent(event) {
  console.log(event.id, event.type, event.subject, event.data)
}

async function pull() {
  await subscribe()
  for (;;) {
    const answer = await call('GET', `subscriptions/${subscription}/events?limit=100&wait=30`)
    const last = answer.headers['gxbus-last']
    if (!last) continue // nothing waits
    for (const event of HTTP.toEvent(answer)) await processEvent(event)
    // only now: what is not acknowledged comes again
    await call('POST', `subscriptions/${subscription}/ack`, json, `{"last":${last}}`)
  }
}

async function webhook() {
  await subscribe()
  const server = createServer((asked, answer) => {
    endpoint(asked, answer).catch((err) => answer.writeHead(500).end(String(err))) // the node tries again
  })
  await once(server.listen(new URL(ENDPOINT).port), 'listening') // first: the node asks it at once
  const sink = await call('PUT', `subscriptions/${subscription}/sink`, json, JSON.stringify({ url: ENDPOINT, secret: SECRET }))
  const { active, why } = JSON.parse(sink.body)
  if (!active) throw new Error(`the node does not deliver: ${why}`)
}

async function endpoint(asked, answer) {
  if (asked.method === 'OPTIONS') { // HTTP 1.1 Web Hooks for Event Delivery: may it deliver?
    answer.writeHead(200, { 'WebHook-Allowed-Origin': asked.headers['webhook-request-origin'] }).end()
    return
  }
  const body = await text(asked)
  if (!signed(asked.headers, body)) {
    answer.writeHead(401).end()
    return
  }
  await processEvent(HTTP.toEvent({ headers: asked.headers, body }))
  answer.writeHead(204).end() // only now: what is not answered so comes again
}

// signed says whether the node sent this, within five minutes (Standard Webhooks).
function signed(headers, body) {
  const { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': signatures = '' } = headers
  const expected = Buffer.from('v1,' + createHmac('sha256', SECRET).update(`${id}.${at}.${body}`).digest('base64'))
  return Math.abs(Date.now() / 1000 - Number(at)) < 300 &&
    signatures.split(' ').map((one) => Buffer.from(one)).some((one) => one.length === expected.length && timingSafeEqual(one, expected))
}

async function query() {
  const asked = {
    grant, purpose: 'verification', matter: '440106001000', case: '2026-000123',
    parameters: { uscc: '91440300MA5SAMPLE1' },
  }
  const answer = await call('POST', `resources/${resource}/query`, json, JSON.stringify(asked))
  console.log(JSON.parse(answer.body).data)
}

const steps = { publish, pull, webhook, query }
const step = steps[process.argv[2]]
if (!step) {
  console.error('usage: node agency.mjs publish|pull|webhook|query')
  process.exit(2)
}
await step()
