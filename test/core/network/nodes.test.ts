// Whole nodes that shake hands, on the simulated runtime: plugins, lines and sockets included.
import { describe, expect, test } from 'bun:test'
import { readGenesis } from '../../../core/chain/genesis.ts'
import { LineClient } from '../../plugins/tcp/bench.ts'
import { simRuntime, type World } from '../../sim/runtime.ts'
import { simPort, startSimNode, type SimNode, type SimNodeOptions } from '../../sim/simnode.ts'

const [one, two] = ['10.0.0.1', '10.0.0.2'] as const

const otherGenesis = () =>
  readGenesis(
    { name: 'another', timestamp: '2026-01-01T00:00:00.000Z', consensus: 'instant', gateways: 'any' },
    'a test',
  )

interface Heard {
  readonly level: string
  readonly message: string
  readonly code: unknown
}

/** A node, and what it logged. */
async function start(
  world: World,
  address: string,
  options: SimNodeOptions = {},
): Promise<SimNode & { heard: Heard[] }> {
  const heard: Heard[] = []
  const log = (level: string, message: string, fields?: Record<string, unknown>) =>
    void heard.push({ level, message, code: fields?.['code'] })
  return { ...(await startSimNode(world, address, { log, ...options })), heard }
}

const refusedFor = ({ heard }: { readonly heard: readonly Heard[] }): unknown[] =>
  heard.filter(({ level, message }) => level === 'info' && message.includes('handshake')).map(({ code }) => code)

const dial = (world: World, from: SimNode, to: string) =>
  world.settled(from.node.network.dial({ host: to, port: simPort }))

describe('threats row 18: both sides log the same reason', () => {
  const cases: readonly [string, SimNodeOptions, SimNodeOptions][] = [
    ['wrong-chain', {}, { genesis: otherGenesis() }],
    ['not-allowed', {}, { network: { allow: ['0'.repeat(64)] } }],
    ['not-allowed', { network: { allow: ['0'.repeat(64)] } }, {}],
  ]
  test.each(cases)('%s', async (code, ofOne, ofTwo) => {
    const world = simRuntime({ seed: 5 })
    const [a, b] = [await start(world, one, ofOne), await start(world, two, ofTwo)]
    expect(await dial(world, a, two)).toMatchObject({ ok: false, code })
    await world.advance(1_000)
    expect([refusedFor(a), refusedFor(b)]).toEqual([[code], [code]])
    expect([a.node.network.peers.size, b.node.network.peers.size]).toEqual([0, 0])
  })

  test('self, by its own address', async () => {
    const world = simRuntime({ seed: 5 })
    const a = await start(world, one)
    expect(await dial(world, a, one)).toMatchObject({ ok: false, code: 'self' })
    await world.advance(1_000)
    expect(refusedFor(a)).toEqual(['self', 'self'])
  })
})

test('two nodes that name each other are connected once, whoever was first, and again after one was away', async () => {
  for (const seed of [1, 2, 3]) {
    const world = simRuntime({ seed })
    const options = (to: string): SimNodeOptions => ({ peers: [{ host: to, port: simPort }] })
    const [a, b] = await Promise.all([start(world, one, options(two)), start(world, two, options(one))])
    await world.advance(10_000)
    expect([a.node.network.peers.size, b.node.network.peers.size]).toEqual([1, 1])
    await world.settled(b.node.stop('a test'))
    expect(a.node.network.peers.size).toBe(0)
    const again = await start(world, two, options(one))
    await world.advance(60_000)
    expect([a.node.network.peers.size, again.node.network.peers.size]).toEqual([1, 1])
  }
})

test('threats row 34: a clock an hour off: an alarm, and the two stay connected', async () => {
  const world = simRuntime({ seed: 7 })
  world.host(two).clockOffset = 60 * 60_000
  const [a, b] = [await start(world, one), await start(world, two)]
  expect(await dial(world, a, two)).toMatchObject({ ok: true })
  await world.advance(100_000)
  for (const { heard } of [a, b]) {
    expect(heard.filter(({ code }) => code === 'clock-differs').length).toBe(1)
  }
  expect([a.node.network.peers.size, b.node.network.peers.size]).toEqual([1, 1])
})

test('a peer sends what a client must not: it is promoted on both sides before anything follows', async () => {
  const world = simRuntime({ seed: 9 })
  const a = await start(world, one)
  await start(world, two)
  await dial(world, a, two)
  const [peer] = a.node.network.peers.all()
  const long = { type: 'ping', filling: 'x'.repeat(300 * 1024) }
  expect(await world.settled(peer!.ask(long, 'pong', 20_000))).toMatchObject({ ok: true })
  const client = await world.settled(LineClient.connect(world.host('10.0.0.3'), one, simPort))
  client.send(long)
  await world.runUntil(() => client.lines.length === 1)
  expect(client.codes).toEqual(['too-large'])
})
