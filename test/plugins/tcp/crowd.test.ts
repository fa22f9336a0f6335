// Who may stay without having said anything, and who is counted as one. In virtual time.
import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { sourceOf } from '../../../plugins/tcp/source.ts'
import { simRuntime } from '../../sim/runtime.ts'
import { LineClient } from './bench.ts'
import { startTransport, type TransportOptions } from './transport.ts'

const address = '10.0.0.1'

async function server(options: TransportOptions = {}) {
  const world = simRuntime({ seed: 5, latencyMilliseconds: [0, 0] })
  const host = options.host ?? '127.0.0.1'
  const node = await startTransport(world.host(address), options)
  const connect = (from = address) => world.settled(LineClient.connect(world.host(from), host, node.port))
  const crowd = (size: number): Promise<LineClient[]> => Promise.all(Array.from({ length: size }, () => connect()))
  return { world, node, connect, crowd }
}

const open = (clients: readonly LineClient[]): number => clients.filter(({ isClosed }) => !isClosed).length
const reasons = (clients: readonly LineClient[]): unknown[] => [...new Set(clients.flatMap(({ codes }) => codes))]

describe('threats row 19: a crowd that says nothing', () => {
  test('a thousand idle and five hundred slow connections are gone after 5 s, each with a reason', async () => {
    const { world, node, crowd } = await server()
    const idle = await crowd(1_000)
    const slow = await crowd(500)
    for (let second = 0; second < 5; second++) {
      for (const client of slow) client.send('x')
      await world.advance(999)
      expect(open([...idle, ...slow])).toBe(1_500)
      await world.advance(second === 4 ? 0 : 1)
    }
    await world.advance(1)
    await world.runUntil(() => open([...idle, ...slow]) === 0, 10)
    expect([reasons(idle), reasons(slow)]).toEqual([['idle'], ['too-slow']])
    expect(node.visitors.length).toBe(1_500)
  })

  test('one who types into nc has a minute, and 15 s for a line that was begun', async () => {
    const { world, connect, crowd } = await server()
    const others = await crowd(62)
    const [typist, slow] = [await connect(), await connect()]
    slow.send('{"type"')
    await world.advance(14_999)
    expect(open([slow, typist, ...others])).toBe(64)
    await world.advance(2)
    expect(slow.codes).toEqual(['too-slow'])
    await world.advance(40_000)
    typist.send({ type: 'ping' })
    await world.advance(4_900)
    expect(open(others)).toBe(62)
    await world.advance(200)
    expect([open(others), reasons(others), open([typist])]).toEqual([0, ['idle'], 1])
  })

  test('who has said something is not of the crowd', async () => {
    const { world, node, connect, crowd } = await server()
    const talker = await connect()
    talker.send({ type: 'ping' })
    await world.runUntil(() => node.visitors[0]!.messages.length === 1)
    const silent = await crowd(200)
    await world.advance(5_000)
    await world.runUntil(() => open(silent) === 0, 10)
    expect(open([talker])).toBe(1)
    // The crowd is gone: who comes now has a minute again.
    const next = await connect()
    await world.advance(50_000)
    expect(open([next])).toBe(1)
  })

  test('one after the other, for long: nobody stays longer than 5 s while there are too many', async () => {
    const { world, connect } = await server({ limits: { silent_connections_max: 10 } })
    const clients: LineClient[] = []
    for (let i = 0; i < 300; i++) {
      clients.push(await connect())
      await world.advance(100)
      expect(open(clients)).toBeLessThanOrEqual(51)
    }
    expect(open(clients)).toBeGreaterThan(45)
  })

  test('connections that this node opened itself are not counted', async () => {
    const { world, node, connect } = await server({ limits: { silent_connections_max: 1 } })
    const other = await world.settled(startTransport(world.host('10.0.0.2'), { host: '10.0.0.2' }))
    const dialled: unknown[] = []
    for (let i = 0; i < 3; i++) {
      await world.settled(
        node.transport.dial!('10.0.0.2', other.port, () => {
          const handlers = { message() {}, broken: (code: string) => dialled.push(code), finished() {}, closed() {} }
          return handlers
        }),
      )
    }
    const client = await connect()
    await world.advance(10_000)
    expect([dialled, open([client])]).toEqual([[], 1])
  })
})

describe('who is counted as one', () => {
  test.each([
    ['10.1.2.3', '10.1.2.3'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::ffff:a01:203', '10.1.2.3'],
    ['::1', '0:0:0:0::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:DB8:0:0:1:2:3:4', '2001:db8:0:0::/64'],
    ['2001:db8:0:1::', '2001:db8:0:1::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['64:ff9b::192.0.2.33', '64:ff9b:0:0::/64'],
  ])('%s is %s', (host, source) => expect(sourceOf(host)).toBe(source))

  test('of IPv6 the first 64 bits decide, however it is written', () => {
    const group = fc.integer({ min: 0, max: 0xffff })
    const groups = fc.array(group, { minLength: 8, maxLength: 8 })
    const written = (parts: readonly number[]) => parts.map((part) => part.toString(16)).join(':')
    fc.assert(
      fc.property(groups, groups, (a, b) => {
        fc.pre(a.slice(0, 5).some((part) => part > 0)) // Otherwise it may be an IPv4 address.
        const sameNetwork = [...a.slice(0, 4), ...b.slice(4)]
        expect(sourceOf(written(sameNetwork))).toBe(sourceOf(written(a)))
        const short = new URL(`http://[${written(a)}]/`).hostname.slice(1, -1)
        expect(sourceOf(short)).toBe(sourceOf(written(a)))
        expect(sourceOf(written(a)) === sourceOf(written(b))).toBe(a.slice(0, 4).join() === b.slice(0, 4).join())
      }),
    )
  })

  test('connections of one /64 share what one address may have; another /64 has its own', async () => {
    const host = '2001:db8::1'
    const world = simRuntime({ seed: 5 })
    const node = await startTransport(world.host(host), { host })
    const connect = (from: string) => world.settled(LineClient.connect(world.host(from), host, node.port))
    const clients: LineClient[] = []
    for (let i = 1; i <= 3; i++) clients.push(await connect(`2001:db8:0:1::${i}`))
    const fourth = await connect('2001:db8:0:1:ffff::4')
    await world.runUntil(() => fourth.isClosed)
    expect(fourth.codes).toEqual(['too-many-connections'])
    await connect('2001:db8:0:2::1')
    expect(node.visitors.length).toBe(4)
    clients[0]!.socket!.destroy()
    await world.advance(50)
    await connect('2001:db8:0:1::9')
    await world.advance(50)
    expect(node.visitors.length).toBe(5)
  })
})
