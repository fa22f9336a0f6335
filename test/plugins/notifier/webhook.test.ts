import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { Webhook } from 'standardwebhooks'
import type { JsonObject } from '../../../core/index.ts'
import { bunRuntime } from '../../../core/bun.ts'
import { isWebhookSecret, postWebhook } from '../../../plugins/notifier/webhook.ts'
import { eventually } from '../../support/eventually.ts'
import type { ChainWorld } from '../../support/chainworld.ts'
import vectors from '../../vectors/standard-webhooks/vectors.json'
import { inShort, metric, notify, worldOf } from './world.ts'

const [vector] = vectors.sign as [(typeof vectors.sign)[0]]
const cases = vectors.verify_rules.map((rule) => rule.case)

interface Posted {
  readonly headers: Record<string, string>
  readonly body: string
}
const posted: Posted[] = []
let answers: (count: number) => Response = () => new Response(null, { status: 204 })
const server = Bun.serve({
  port: 0,
  hostname: '127.0.0.1',
  async fetch(request) {
    posted.push({ headers: Object.fromEntries(request.headers), body: await request.text() })
    return answers(posted.length)
  },
})
const url = `http://127.0.0.1:${server.port}/blocks`
afterAll(() => server.stop(true))
afterEach(() => {
  posted.length = 0
  answers = () => new Response(null, { status: 204 })
})

describe('vectors of Standard Webhooks', () => {
  test('what is posted bears the signature of the signing vector', async () => {
    const real = bunRuntime()
    const runtime = { ...real, clock: { ...real.clock, now: () => vector.timestamp * 1_000 + 999 } }
    const news = { id: vector.id, timestamp: '', line: vector.payload, frame: () => new Uint8Array() }
    const way = { scheme: 'http', url, authorization: undefined } as const
    await postWebhook({ runtime, way, news, secret: vector.secret, millisecondsMax: 5_000 })
    expect(posted[0]!.body).toBe(vector.payload)
    expect(posted[0]!.headers).toMatchObject({
      'webhook-id': vector.id,
      'webhook-timestamp': String(vector.timestamp),
      'webhook-signature': vector.signature,
      'content-type': 'application/json',
    })
  })

  const now = Math.floor(Date.now() / 1_000)
  const secret = vector.secret
  const signedAt = (at: number, payload = vector.payload) => ({
    'webhook-id': vector.id,
    'webhook-timestamp': String(at),
    'webhook-signature': new Webhook(secret).sign(vector.id, new Date(at * 1_000), payload),
  })
  const good = signedAt(now)
  const without = (name: keyof typeof good) => Object.fromEntries(Object.entries(good).filter(([one]) => one !== name))
  const takes = (headers: Record<string, string>, payload = vector.payload, key = secret): boolean => {
    try {
      new Webhook(key).verify(payload, headers)
      return true
    } catch {
      return false
    }
  }
  const rule = (name: string) => vectors.verify_rules.find((one) => one.case === name)!
  const checks: Record<string, () => boolean> = {
    'empty secret / prefix only': () => isWebhookSecret('') || isWebhookSecret('whsec_'),
    'missing webhook-id': () => takes(without('webhook-id')),
    'missing webhook-timestamp': () => takes(without('webhook-timestamp')),
    'non-numeric timestamp': () => takes({ ...good, 'webhook-timestamp': 'soon' }),
    'missing webhook-signature': () => takes(without('webhook-signature')),
    'wrong signature': () => takes({ ...good, 'webhook-signature': rule('wrong signature').value! }),
    'signature cut to 8 chars': () => takes({ ...good, 'webhook-signature': good['webhook-signature'].slice(0, 8) }),
    'empty signature': () => takes({ ...good, 'webhook-signature': rule('empty signature').value! }),
    'timestamp older than 300 s': () => takes(signedAt(now - vectors.tolerance_seconds - 5)),
    'timestamp newer than 300 s': () => takes(signedAt(now + vectors.tolerance_seconds + 60)),
    'several space-separated signatures, one right': () => {
      const { decoy } = rule('several space-separated signatures, one right')
      return takes({ ...good, 'webhook-signature': `v1,${decoy} ${good['webhook-signature']}` })
    },
    'secret with and without whsec_ prefix': () =>
      takes(good) &&
      takes(good, vector.payload, secret.replace('whsec_', '')) &&
      isWebhookSecret(secret.replace('whsec_', '')),
    'empty payload signed properly': () => takes(signedAt(now, ''), ''),
  }
  test.each(cases)('%s', (name) => {
    expect(checks[name]!() ? 'accept' : rule(name).expect.split(' ')[0]!).toBe(rule(name).expect.split(' ')[0]!)
    expect(checks[name]!()).toBe(rule(name).expect === 'accept')
  })
})

describe('a webhook', () => {
  let world: ChainWorld
  beforeAll(async () => void (world = await worldOf(3)))
  afterAll(() => world.dispose())

  test('is told in order, each message until it is answered with 2xx, under one id and with one body', async () => {
    answers = (count) =>
      [new Response(null, { status: 500 }), Response.redirect('/other', 308), new Response('x', { status: 404 })][
        count - 1
      ] ?? new Response('thanks')
    const target = url.replace('//', '//shop:pass%20word@')
    const running = await notify(world, { targets: [target], webhook_secret: vector.secret })
    await eventually(() => metric(running, 'notifier_deliveries_total', url) === 3, 'all is delivered')
    await running.stop()
    const told = posted.map(({ body }) => inShort(JSON.parse(body) as JsonObject))
    expect(told).toEqual(['confirmed 1', 'confirmed 1', 'confirmed 1', 'confirmed 1', 'confirmed 2', 'confirmed 3'])
    expect(new Set(posted.slice(0, 4).map(({ body }) => body)).size).toBe(1)
    for (const { headers, body } of posted) {
      const message = new Webhook(vector.secret).verify(body, headers) as JsonObject
      expect(headers['webhook-id']).toBe(message['id'] as string)
      expect(headers['authorization']).toBe(`Basic ${btoa('shop:pass word')}`)
    }
    // threats row 32: nothing that is secret is in the log, the figures or the ledger.
    const shown = JSON.stringify([running.lines, world.storage.records('notifier').list('', undefined, 100)])
    expect(shown).not.toMatch(/pass|MfKQ9r8GK/)
    expect(running.lines[0]?.message).toBe(
      `${url} cannot be told (nothing is lost, it is tried again until it works): 127.0.0.1:${server.port} answered 500, expected 2xx`,
    )
  })

  test('that never answers does not keep the node from stopping', async () => {
    const stuck = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Promise<never>(() => {}) })
    const target = `http://127.0.0.1:${stuck.port}/`
    const running = await notify(world, { targets: [target], webhook_secret: vector.secret, answer_timeout: 60 })
    await eventually(() => stuck.pendingRequests > 0, 'it was called')
    const began = performance.now()
    await running.stop()
    expect(performance.now() - began).toBeLessThan(1_500)
    await stuck.stop(true)
  })
})
