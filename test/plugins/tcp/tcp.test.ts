// The plugin in virtual time: deadlines, limits and slow readers, each to the millisecond.
import { describe, expect, test } from 'bun:test'
import { simRuntime, type SimOptions } from '../../sim/runtime.ts'
import { FakeChain } from '../../core/network/fakechain.ts'
import { LineClient, startNode, type NodeOptions } from './bench.ts'

const address = '10.0.0.1'

async function simNode(options: NodeOptions = {}, sim: Partial<SimOptions> = {}) {
  const world = simRuntime({ seed: 5, ...sim })
  const node = await startNode(world.host(address), { host: address, ...options })
  const connect = (from = '10.0.0.2') => world.settled(LineClient.connect(world.host(from), address, node.port))
  return { world, node, connect }
}

const ping = { type: 'ping' }

describe('framing', () => {
  test('a line, a line with a return, several at once: one answer each, in order', async () => {
    const { world, connect } = await simNode()
    const client = await connect()
    client.send('{"type":"ping","request_id":1}\n{"type":"ping","request_id":2}\r\n\n')
    client.send('{"type":"ping","request_id":3}\n')
    await world.runUntil(() => client.lines.length === 3)
    expect(client.lines.map((line) => line['request_id'])).toEqual([1, 2, 3])
  })

  test('a last line without a newline counts when the stream ends, and the answer still comes', async () => {
    const { world, connect } = await simNode()
    const client = await connect()
    client.send('{"type":"ping"}')
    client.socket?.finish()
    await world.runUntil(() => client.isClosed)
    expect(client.codes).toEqual(['pong'])
  })

  test('a complete object without a newline is taken after the silence, and not before', async () => {
    const { world, connect } = await simNode({}, { latencyMilliseconds: [0, 0] })
    const client = await connect()
    client.send('{"type":')
    await world.advance(200)
    client.send('"ping"}')
    await world.advance(49)
    expect(client.lines).toEqual([])
    await world.advance(1)
    expect(client.codes).toEqual(['pong'])
    client.send(ping)
    await world.advance(1)
    expect(client.codes).toEqual(['pong', 'pong'])
  })

  test('an object that looks complete in the middle of a string is not taken', async () => {
    const { world, connect } = await simNode()
    const client = await connect()
    client.send('{"type":"}')
    await world.advance(500)
    expect(client.lines).toEqual([])
    client.send('ping"}\n')
    await world.runUntil(() => client.lines.length === 1)
    expect(client.codes).toEqual(['unknown-type'])
  })
})

describe('threats row 19', () => {
  test('a line that does not end is cut at the limit, with a coded reason, though it goes on', async () => {
    const { world, connect } = await simNode({ limits: { client_message_bytes_max: 1_000 } })
    const client = await connect()
    client.send(new Uint8Array(500_000).fill(0x61))
    await world.runUntil(() => client.isClosed)
    expect(client.codes).toEqual(['too-large'])
    const next = await connect()
    next.send(ping)
    await world.runUntil(() => next.lines.length === 1)
    expect(next.codes).toEqual(['pong'])
  })

  test('one byte a second: the message must be whole 15 s after its first byte', async () => {
    const { world, connect } = await simNode({}, { latencyMilliseconds: [0, 0] })
    const client = await connect()
    for (let second = 0; second < 15; second++) {
      client.send('x')
      await world.advance(1_000)
      expect(client.codes).toEqual(second < 14 ? [] : ['too-slow'])
    }
    await world.runUntil(() => client.isClosed)
  })

  test('an honest line every 10 s for ten minutes is slow, but fine; silence ends after 60 s', async () => {
    const { world, connect } = await simNode()
    const client = await connect()
    for (let i = 1; i <= 60; i++) {
      client.send(ping)
      await world.advance(10_000)
    }
    expect(client.codes).toEqual(Array.from({ length: 60 }, () => 'pong'))
    await world.advance(51_000)
    expect(client.codes.at(-1)).toBe('idle')
    expect(client.isClosed).toBe(true)
  })

  test('empty lines keep nobody connected', async () => {
    const { world, connect } = await simNode()
    const client = await connect()
    for (let i = 0; i < 61; i++) {
      client.send('\n')
      await world.advance(1_000)
    }
    expect(client.codes).toEqual(['idle'])
  })
})

describe('threats row 21', () => {
  const grown = (): FakeChain => {
    const chain = new FakeChain()
    for (let i = 0; i < 10; i++) chain.grow(30_000)
    return chain
  }
  const request = { type: 'block_request', from: 0, to: 10 }
  const isDropped = (logged: readonly string[]) => logged.some((line) => line.includes('does not read'))

  test('a reader that never reads is asked nothing more, and dropped after a while; others are served', async () => {
    const { world, node, connect } = await simNode({ chain: grown(), limits: { send_queue_bytes_max: 4_000_000 } })
    const client = await connect()
    client.socket!.pause()
    for (let i = 0; i < 100; i++) client.send(request)
    await world.advance(14_000)
    expect(isDropped(node.logged)).toBe(false)
    const next = await connect()
    next.send(ping)
    await world.runUntil(() => next.lines.length === 1)
    await world.runUntil(() => isDropped(node.logged), 2_000)
    client.socket!.resume()
    await world.runUntil(() => client.isClosed)
    expect(client.lines.length).toBeLessThan(3)
  })

  test('a client that sends far ahead and reads gets every answer', async () => {
    const { world, connect } = await simNode({ chain: grown(), limits: { send_queue_bytes_max: 1_000_000 } })
    const client = await connect()
    for (let i = 0; i < 50; i++) client.send({ ...request, request_id: i })
    await world.runUntil(() => client.lines.length === 50)
    expect(client.lines.map(({ request_id }) => request_id)).toEqual([...Array(50).keys()])
  })
})

test('a slow reader gets all of a large answer', async () => {
  const chain = new FakeChain()
  for (let i = 0; i < 20; i++) chain.grow(100_000)
  const { world, connect } = await simNode({ chain })
  const client = await connect()
  client.send({ type: 'block_request', from: 1, to: 20 })
  for (let i = 0; i < 30; i++) {
    client.socket!.pause()
    await world.advance(40)
    client.socket!.resume()
    await world.advance(10)
  }
  await world.runUntil(() => client.lines.length === 1)
  expect((client.lines[0]!['blocks'] as unknown[]).length).toBe(20)
})

describe('connections', () => {
  test('only so many from one address; one that leaves makes room', async () => {
    const { world, connect } = await simNode()
    const clients = [await connect(), await connect(), await connect()]
    const fourth = await connect()
    await world.runUntil(() => fourth.isClosed)
    expect(fourth.codes).toEqual(['too-many-connections'])
    const elsewhere = await connect('10.0.0.3')
    elsewhere.send(ping)
    await world.runUntil(() => elsewhere.lines.length === 1)
    clients[0]!.socket!.destroy()
    await world.advance(50)
    const fifth = await connect()
    fifth.send(ping)
    await world.runUntil(() => fifth.lines.length === 1)
    expect(fifth.codes).toEqual(['pong'])
  })

  test('a node that listens on loopback counts no addresses, but has a limit altogether', async () => {
    const { world, node } = await simNode({ host: '127.0.0.1', limits: { connections_max: 5 } })
    const connect = () => world.settled(LineClient.connect(world.host(address), '127.0.0.1', node.port))
    const clients: LineClient[] = []
    for (let i = 0; i < 5; i++) clients.push(await connect())
    const sixth = await connect()
    await world.runUntil(() => sixth.isClosed)
    expect(sixth.codes).toEqual(['too-many-connections'])
    for (const client of clients) client.send(ping)
    await world.runUntil(() => clients.every((client) => client.lines.length === 1))
  })

  test('a crowd that is turned away keeps nobody out who may come in', async () => {
    const { world, connect } = await simNode({ limits: { connections_max: 10 } })
    const crowd: Promise<LineClient>[] = []
    for (let i = 0; i < 100; i++) crowd.push(connect('10.6.6.6'))
    await Promise.all(crowd)
    const honest = await connect()
    honest.send(ping)
    await world.runUntil(() => honest.lines.length === 1)
    expect(honest.codes).toEqual(['pong'])
  })

  test('a thousand connections that ping at once are all answered', async () => {
    const { world, node } = await simNode({ host: '127.0.0.1' }, { latencyMilliseconds: [0, 3] })
    const host = world.host(address)
    const clients = Array.from({ length: 1_000 }, () => new LineClient())
    for (const client of clients) {
      void client.open(host, '127.0.0.1', node.port)
      client.send(ping)
    }
    await world.runUntil(() => clients.every((client) => client.lines.length === 1))
  })

  test('at the end of the node, what was answered is sent and everything is closed', async () => {
    const { world, node, connect } = await simNode()
    const client = await connect()
    client.send(ping)
    await world.runUntil(() => node.logged.length > 0 && client.lines.length === 1)
    await world.settled(node.stop())
    await world.runUntil(() => client.isClosed)
    expect(node.transport.address()).toBeUndefined()
    const refused = connect().catch((error: { code: string }) => error.code)
    expect(await world.settled(refused)).toBe('connect-failed')
  })
})
