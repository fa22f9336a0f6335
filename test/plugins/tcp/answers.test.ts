// Answers to a side that is slow to take them: sessions on real connections, in virtual time.
import { describe, expect, test } from 'bun:test'
import { decline, found, type Connection, type Inbox } from '../../../core/index.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { Session } from '../../../core/network/session.ts'
import { simRuntime } from '../../sim/runtime.ts'
import { LineClient } from './bench.ts'
import { startTransport } from './transport.ts'

const MiB = 1024 * 1024
const [here, there] = ['10.0.0.1', '10.0.0.2'] as const

/** Answers `ask` with 1 MiB, made when it is sent; hears `news`, works on `work`; counts them, and the answers that came. */
class Talker {
  connection: Connection | undefined
  made = 0
  news = 0
  worked = 0
  readonly answered: unknown[] = []

  session(connection: Connection): Session {
    this.connection = connection
    return new Session({
      connection,
      limits: { requests_in_flight_max: 256 },
      log: { debug() {}, info() {}, warn() {}, error() {} },
      handle: (message) => this.#handle(message),
      isPeer: () => true,
      broken: () => false,
      closed: () => {},
    })
  }

  get inbox(): Inbox {
    return { connected: (connection) => found(this.session(connection)) }
  }

  #handle({ type, request_id: id }: JsonObject) {
    if (type === 'news') this.news++
    if (type === 'work') return Promise.resolve().then(() => void this.worked++)
    if (type === 'answer') this.answered.push(id)
    if (type !== 'ask') return undefined
    return { make: () => ({ type: 'answer', text: 'x'.repeat(MiB), made: ++this.made }) }
  }
}

async function pair() {
  const world = simRuntime({ seed: 5 })
  const [near, far] = [new Talker(), new Talker()]
  const a = await startTransport(world.host(here), { host: here, inbox: near.inbox })
  const b = await startTransport(world.host(there), { host: there, inbox: far.inbox })
  await world.settled(a.transport.dial!(there, b.port, (connection) => near.session(connection)))
  await world.runUntil(() => far.connection !== undefined)
  near.connection!.promote()
  far.connection!.promote()
  return { world, near, far, a, b }
}

const ids = (count: number): number[] => [...Array(count).keys()]

describe('answers to a peer', () => {
  test('both ask for 64 MiB at once, and tell much: all is answered in order, no queue overflows', async () => {
    const { world, near, far } = await pair()
    for (const id of ids(64)) {
      for (const { connection } of [near, far]) {
        connection!.send({ type: 'ask', request_id: id })
        for (let i = 0; i < 20; i++) connection!.send({ type: 'news' })
      }
    }
    await world.runUntil(() => near.answered.length === 64 && far.answered.length === 64)
    expect([near.answered, far.answered]).toEqual([ids(64), ids(64)])
    expect([near.news, far.news]).toEqual([64 * 20, 64 * 20])
  })

  test('both are slow to take, and have much in work for each other: neither waits for the other for ever', async () => {
    const { world, near, far } = await pair()
    for (const { connection } of [near, far]) {
      for (const id of ids(4)) connection!.send({ type: 'ask', request_id: id })
      for (let i = 0; i < 1_000; i++) connection!.send({ type: 'work' })
    }
    await world.runUntil(() => near.answered.length === 4 && far.answered.length === 4)
    await world.runUntil(() => near.worked === 1_000 && far.worked === 1_000)
  })

  test('they are not made before there is room, and what else comes is heard meanwhile', async () => {
    const { world, near, far } = await pair()
    near.connection!.pause()
    for (const id of ids(100)) near.connection!.send({ type: 'ask', request_id: id })
    for (let i = 0; i < 1_000; i++) near.connection!.send({ type: 'news' })
    await world.advance(5_000)
    expect(far.made).toBeLessThanOrEqual(2)
    expect(far.news).toBe(1_000)
    near.connection!.resume()
    await world.runUntil(() => near.answered.length === 100)
    expect(near.answered).toEqual(ids(100))
  })

  test('one that asks without end and takes nothing is read no further, and dropped after 15 s', async () => {
    const { world, near, far, b } = await pair()
    near.connection!.pause()
    for (const id of ids(2_000)) near.connection!.send({ type: 'ask', request_id: id })
    near.connection!.send({ type: 'news' })
    await world.advance(14_000)
    expect([far.made <= 2, far.news]).toEqual([true, 0])
    await world.runUntil(() => b.logged.some((line) => line.includes('does not read')), 2_000)
  })
})

test('a client that asks far ahead behind a slow answer gets all of it', async () => {
  const world = simRuntime({ seed: 5 })
  const slow = Promise.withResolvers<void>()
  const talker = new Talker()
  const inbox: Inbox = {
    connected: (connection) =>
      found(
        new Session({
          connection,
          limits: { requests_in_flight_max: 256 },
          log: { debug() {}, info() {}, warn() {}, error() {} },
          handle: async ({ request_id: id }) => {
            if (id === 0) await slow.promise
            return { make: () => ({ type: 'answer', text: 'x'.repeat(MiB), made: ++talker.made }) }
          },
          isPeer: () => true,
          broken: () => false,
          closed: () => {},
        }),
      ),
  }
  const node = await startTransport(world.host(here), { host: here, inbox })
  const client = await world.settled(LineClient.connect(world.host(there), here, node.port))
  for (const id of ids(40)) client.send({ type: 'ask', request_id: id })
  await world.advance(1_000)
  expect(talker.made).toBe(0)
  slow.resolve()
  await world.runUntil(() => client.lines.length === 40)
  expect(client.lines.map(({ request_id: id }) => id)).toEqual(ids(40))
})

test('threats row 23: a client that only sends what is refused has one such request in work at a time', async () => {
  const world = simRuntime({ seed: 5 })
  const begun: ((isGood: boolean) => void)[] = []
  const inbox: Inbox = {
    connected: (connection) =>
      found(
        new Session({
          connection,
          limits: { requests_in_flight_max: 256 },
          log: { debug() {}, info() {}, warn() {}, error() {} },
          handle: async () => {
            const isGood = await new Promise<boolean>((settle) => begun.push(settle))
            return isGood ? { message: { type: 'good' } } : { refusal: decline('no-good', 'as asked') }
          },
          isPeer: () => false,
          broken: () => false,
          closed: () => {},
        }),
      ),
  }
  const node = await startTransport(world.host(here), { host: here, inbox })
  const client = await world.settled(LineClient.connect(world.host(there), here, node.port))
  const inWork = async (): Promise<number> => {
    await world.advance(100)
    return begun.length
  }
  const settleAll = (isGood: boolean): void => begun.splice(0).forEach((settle) => settle(isGood))
  for (const id of ids(200)) client.send({ type: 'ask', request_id: id })
  for (let round = 0; round < 10; round++) {
    expect(await inWork()).toBe(1)
    settleAll(false)
  }
  for (const expected of [1, 2, 4, 8, 16, 32]) {
    expect(await inWork()).toBe(expected)
    settleAll(true)
  }
})
