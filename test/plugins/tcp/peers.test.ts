// What holds for connections between nodes: opened by this node, or made a peer's. In virtual time.
import { describe, expect, test } from 'bun:test'
import type { JsonObject } from '../../../core/chain/json.ts'
import { simRuntime, type SimOptions } from '../../sim/runtime.ts'
import { LineClient } from './bench.ts'
import { startTransport, Visitor, type TransportOptions } from './transport.ts'

const [here, there] = ['10.0.0.1', '10.0.0.2'] as const
const KiB = 1024
const MiB = 1024 * KiB

/** Two nodes, and a connection that the first one opened. */
async function pair(options: TransportOptions = {}, sim: Partial<SimOptions> = {}) {
  const world = simRuntime({ seed: 5, ...sim })
  const a = await world.settled(startTransport(world.host(here), { host: here, ...options }))
  const b = await world.settled(startTransport(world.host(there), { host: there, ...options }))
  const dial = async (port = b.port): Promise<Visitor> => {
    let visitor: Visitor | undefined
    await world.settled(
      a.transport.dial!(there, port, (connection) => {
        visitor = new Visitor(connection)
        return visitor
      }),
    )
    return visitor!
  }
  return { world, a, b, dial }
}

/** The two ends of one connection, both promoted. */
async function peers(options: TransportOptions = {}, sim: Partial<SimOptions> = {}) {
  const net = await pair(options, sim)
  const near = await net.dial()
  await net.world.runUntil(() => net.b.visitors.length === 1)
  const far = net.b.visitors[0]!
  near.connection.promote()
  far.connection.promote()
  return { ...net, near, far }
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error: { code?: string }) => error.code,
  )

/** A message of about so many bytes. */
const bulk = (bytes: number): JsonObject => ({ type: 'bulk', text: 'x'.repeat(bytes) })

describe('dial', () => {
  test('both ends hear of one connection; messages go both ways', async () => {
    const { world, b, dial } = await pair()
    const near = await dial()
    await world.runUntil(() => b.visitors.length === 1)
    const far = b.visitors[0]!
    expect([near.connection.outbound, far.connection.outbound]).toEqual([true, false])
    expect([near.connection.remoteHost, near.connection.remotePort]).toEqual([there, b.port])
    expect(far.connection.remoteHost).toBe(here)
    near.connection.send({ type: 'there' })
    far.connection.send({ type: 'back' })
    await world.runUntil(() => near.messages.length === 1 && far.messages.length === 1)
    expect([far.messages[0], near.messages[0]]).toEqual([{ type: 'there' }, { type: 'back' }])
    near.connection.close('enough')
    await world.runUntil(() => near.isClosed && far.isClosed)
  })

  test('what is sent while it is accepted goes out first', async () => {
    const { world, a, b } = await pair()
    const accept = (connection: Visitor['connection']) => {
      connection.send({ type: 'handshake' })
      return new Visitor(connection)
    }
    await world.settled(a.transport.dial!(there, b.port, accept))
    await world.runUntil(() => b.visitors[0]?.messages.length === 1)
    expect(b.visitors[0]!.messages).toEqual([{ type: 'handshake' }])
  })

  test('nobody listens: connect-failed. Nobody answers: connect-slow after 5 s, and nobody is bothered later', async () => {
    const { world, a } = await pair()
    const accept = (connection: Visitor['connection']) => new Visitor(connection)
    expect(await world.settled(codeOf(a.transport.dial!(there, 1, accept)))).toBe('connect-failed')
    const far = simRuntime({ seed: 5, latencyMilliseconds: [6_000, 6_000] })
    const slow = await far.settled(startTransport(far.host(here), { host: here }))
    const other = await far.settled(startTransport(far.host(there), { host: there }))
    let accepted = 0
    const code = codeOf(
      slow.transport.dial!(there, other.port, (connection) => {
        accepted++
        return new Visitor(connection)
      }),
    )
    let isOver = false
    void code.then(() => (isOver = true))
    await far.advance(4_999)
    expect(isOver).toBe(false)
    await far.advance(1)
    expect(await code).toBe('connect-slow')
    await far.advance(60_000)
    expect(accepted).toBe(0)
    expect(other.visitors.every(({ isClosed }) => isClosed)).toBe(true)
  })

  test('connections that this node opened are not counted for the other address', async () => {
    const { world, a, dial } = await pair({ limits: { connections_per_host_max: 2, connections_max: 3 } })
    await dial()
    await dial()
    const third = await dial()
    await world.runUntil(() => third.isClosed)
    expect(third.messages).toMatchObject([{ type: 'ERROR', code: 'too-many-connections' }])
    const connect = () => world.settled(LineClient.connect(world.host(there), here, a.port))
    const clients = [await connect(), await connect()]
    await world.advance(100)
    expect([a.visitors.length, ...clients.map(({ isClosed }) => isClosed)]).toEqual([2, false, false])
  })

  test('who accepts throws: dial throws the same, and nothing stays open', async () => {
    const { world, a, b } = await pair()
    const error = new Error('thrown by who accepts')
    const dialled = a.transport.dial!(there, b.port, () => {
      throw error
    })
    expect(await world.settled(dialled.catch((thrown: unknown) => thrown))).toBe(error)
    await world.runUntil(() => b.visitors.length === 1 && b.visitors[0]!.isClosed)
    const stopped = a.stop()
    await world.advance(0)
    await stopped // Nothing was left that had to be waited for.
  })

  test('at the end what was sent is flushed, and nothing is dialled any more', async () => {
    const { world, a, b, dial } = await pair()
    const near = await dial()
    await world.runUntil(() => b.visitors.length === 1)
    near.connection.send({ type: 'last words' })
    const late = codeOf(a.transport.dial!(there, b.port, (connection) => new Visitor(connection)))
    const stopped = a.stop()
    expect(await codeOf(a.transport.dial!(there, b.port, (connection) => new Visitor(connection)))).toBe(
      'connect-failed',
    )
    await world.settled(stopped)
    expect(await world.settled(late)).toBe('connect-failed')
    await world.runUntil(() => b.visitors.every(({ isClosed }) => isClosed))
    expect(b.visitors[0]!.messages).toEqual([{ type: 'last words' }])
    expect(near.isClosed).toBe(true)
  })
})

describe('promoted', () => {
  test('a message may be as long as a peer’s; before, only as long as a client’s', async () => {
    const { world, near, far } = await peers({ limits: { peer_message_bytes_max: MiB } })
    near.connection.send(bulk(900 * KiB))
    await world.runUntil(() => far.messages.length === 1)
    near.connection.send(bulk(MiB))
    await world.runUntil(() => near.isClosed)
    expect(far.reason).toBe(`too-large: a message is at most ${MiB} bytes long`)

    const { world: other, b, dial } = await pair()
    const stranger = await dial()
    stranger.connection.send(bulk(900 * KiB))
    await other.runUntil(() => stranger.isClosed)
    expect(b.visitors[0]!.reason).toBe(`too-large: a message is at most ${256 * KiB} bytes long`)
  })

  test('a long message that was begun before is finished after', async () => {
    const { world, b, dial } = await pair()
    const near = await dial()
    near.connection.send(bulk(200 * KiB))
    near.connection.send(bulk(300 * KiB))
    await world.runUntil(() => b.visitors.length === 1)
    b.visitors[0]!.heard = () => b.visitors[0]!.connection.promote()
    await world.runUntil(() => b.visitors[0]!.messages.length === 2)
  })

  test('only what comes from the other side keeps it: 60 s of its silence end it, whatever is sent to it', async () => {
    const { world, near, far } = await peers({}, { latencyMilliseconds: [0, 0] })
    for (let second = 0; second < 60; second += 10) {
      expect(near.reason).toBeUndefined()
      near.connection.send({ type: 'ping' })
      await world.advance(10_000)
    }
    expect(near.reason).toBe('idle: no message for 60 s')
    expect(far.messages.length).toBe(7) // The last one says why.
  })

  test('a client that is sent something is kept', async () => {
    const { world, b, dial } = await pair({}, { latencyMilliseconds: [0, 0] })
    await dial()
    await world.runUntil(() => b.visitors.length === 1)
    for (let second = 0; second < 120; second += 10) {
      b.visitors[0]!.connection.send({ type: 'news' })
      await world.advance(10_000)
    }
    expect(b.visitors[0]!.reason).toBeUndefined()
  })
})

describe('threats row 21, peers', () => {
  test('two peers that have much for each other and both read get all of it', async () => {
    const { world, near, far } = await peers()
    for (let i = 0; i < 12; i++) {
      near.connection.send(bulk(MiB))
      far.connection.send(bulk(MiB))
    }
    expect([near.connection.full, far.connection.full]).toEqual([true, true])
    await world.runUntil(() => near.messages.length === 12 && far.messages.length === 12)
    expect([near.connection.full, far.connection.full]).toEqual([false, false])
    expect([near.rooms > 0, far.rooms > 0]).toEqual([true, true])
    await world.advance(20_000)
    expect([near.isClosed, far.isClosed]).toEqual([false, false])
  })

  test('one that was full when it became a peer is read from again', async () => {
    const { world, b, dial } = await pair()
    const near = await dial()
    await world.runUntil(() => b.visitors.length === 1)
    const far = b.visitors[0]!
    near.connection.pause()
    for (let i = 0; i < 4; i++) far.connection.send(bulk(MiB))
    near.connection.send({ type: 'handshake_ack' })
    await world.advance(100)
    expect(far.messages).toEqual([])
    far.connection.promote()
    await world.runUntil(() => far.messages.length === 1)
  })

  test('one that takes nothing for 15 s is dropped, though it goes on sending', async () => {
    const { world, b, near, far } = await peers()
    near.connection.pause()
    for (let i = 0; i < 4; i++) far.connection.send(bulk(MiB))
    for (let second = 0; second < 14; second++) {
      near.connection.send({ type: 'ping' })
      await world.advance(1_000)
    }
    expect(far.messages.length).toBe(14)
    expect(far.isClosed).toBe(false)
    await world.advance(1_100)
    expect(far.isClosed).toBe(true)
    expect(b.logged.some((line) => line.includes('does not read'))).toBe(true)
  })

  test('one whose queue is full is dropped at once', async () => {
    const { world, near, far } = await peers()
    near.connection.pause()
    for (let i = 0; i < 15; i++) far.connection.send(bulk(MiB))
    await world.advance(10)
    expect(far.isClosed).toBe(false)
    far.connection.send(bulk(2 * MiB))
    expect(far.isClosed).toBe(true)
  })
})
