// Does what wrk.lua does, where there is no wrk: reads {url, connections, seconds, timeout, plan} from stdin.
import { readFileSync } from 'node:fs'
import autocannon from 'autocannon'

const { url, connections, seconds, timeout, plan } = JSON.parse(readFileSync(0, 'utf8'))
const counts = { deleted: 0, sent: 0, refused: 0, empty: 0, complaint: '' }
const times = []
let ids = []
let turn = 0
let before = false
let nextId = plan.first_id
let nextKey = 0

const calls = plan.tokens.map((token) => ({ ...plan.headers, ...(token && { authorization: token }) }))

function next(request) {
  const headers = { ...calls[turn++ % calls.length] }
  if (plan.key !== null) headers['idempotency-key'] = `"${plan.key}${nextKey++ % plan.keys}"`
  const named = nextId === null ? plan.delete : plan.first
  const id = nextId === null ? ids.pop() : nextId++
  before = id === undefined ? !before : before
  const { method, path, body } = id !== undefined ? named : (before && plan.before) || plan.first
  const put = (text) => (id === undefined ? text : text?.replace('%s', id))
  return { ...request, method, path: put(path), body: put(body) ?? undefined, headers }
}

function take(status, body) {
  if (status < 200 || status > 299 || body === 'false') {
    counts.refused += 1
    counts.complaint = `${status} ${body.slice(0, 200)}`
  } else if (body === '' || body === 'true') {
    counts.deleted += 1
  } else if (plan.before && /^\[\d+\]$/.test(body)) {
    counts.sent += 1
  } else if (body.includes('"outcome":')) {
    counts.deleted += [...body.matchAll(/"outcome":\s*"acked"/g)].length
  } else {
    const member = plan.settles ? /"receipt":\s*("[^"]*")/g : /"msg_id":\s*(\d+)/g
    const found = [...body.matchAll(member)].map((match) => match[1])
    ids = ids.concat(plan.settles ? found.join() || [] : found)
    counts.empty += found.length ? 0 : 1
  }
}

const each = { setupRequest: next, ...(plan.delete && { onResponse: take }) }
const run = autocannon({ url, connections, duration: seconds, timeout, requests: [each] })
run.on('response', (_client, _status, _bytes, milliseconds) => times.push(milliseconds * 1000))
const result = await run

times.sort((a, b) => a - b)
const percentile = (part) => Math.round(times[Math.max(0, Math.ceil(times.length * part) - 1)] ?? 0)
const summary = {
  requests: times.length,
  microseconds: Math.round(result.duration * 1e6),
  p50: percentile(0.5),
  p95: percentile(0.95),
  p99: percentile(0.99),
  connect: 0,
  read: result.errors - result.timeouts,
  write: 0,
  status: result.non2xx,
  timeout: result.timeouts,
  ...counts,
}
console.log(`RESULT ${JSON.stringify(summary)}`)
