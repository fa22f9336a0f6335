// How a node without a chain learns which one its network is on.
import { describe, expect, test } from 'bun:test'
import { sha256Hex } from '../../../core/chain/canonical.ts'
import { readGenesis } from '../../../core/chain/genesis.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { genesisMemory, type GenesisMemory } from '../../../core/network/genesis/memory.ts'
import { readAnswer } from '../../../core/network/genesis/question.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { FakeChain } from './fakechain.ts'
import { Town, type TownNode } from './town.ts'

const [one, two, light] = ['10.0.0.1', '10.0.0.2', '10.0.0.9'] as const
const port = 13_245

const genesisOf = (name: string) =>
  // An engine and an application that nobody here knows.
  readGenesis(
    { name, timestamp: '2026-01-01T00:00:00.000Z', consensus: 'quux', application: 'bazaar', bazaar: { stalls: 3 } },
    'a test',
  )

class OtherChain extends FakeChain {
  override readonly genesis
  constructor(name: string) {
    super()
    this.genesis = genesisOf(name)
  }
}

const start = (town: Town, peers: readonly string[], memory?: GenesisMemory): TownNode => {
  const settings = { peers: peers.map((host) => ({ host, port })) }
  const node = town.node(light, { chain: undefined, settings, ...(memory && { memory }) })
  node.network.start()
  return node
}

const keeper = (town: Town, host: string, chain = new OtherChain('ours')): TownNode => {
  const node = town.node(host, { chain })
  node.network.start()
  return node
}

const warnings = ({ logged }: TownNode) => logged.filter(({ level }) => level === 'warn')

/** A node that is the test; every connection to it is answered alike. */
function answering(town: Town, host: string, answers: Record<string, JsonObject>): void {
  const stranger = town.listen(host)
  for (const [type, answer] of Object.entries(answers)) stranger.answer(type, () => stranger.say(answer))
}

describe('a node without a chain', () => {
  test('learns the genesis of a node that the operator named, and joins it', async () => {
    const town = new Town()
    const a = keeper(town, one)
    const node = start(town, [one])
    expect(node.network.genesis()).toBeUndefined()
    await town.world.runUntil(() => node.network.peers.size === 1, 5_000)
    expect(node.network.genesis()).toEqual(genesisOf('ours'))
    expect(a.network.peers.all().map(({ isLight }) => isLight)).toEqual([true])
    expect(warnings(node)).toEqual([])
  })

  test('asks until somebody answers, and says once why nobody does', async () => {
    const town = new Town()
    const node = start(town, [one, two])
    await town.world.advance(5 * 60_000)
    expect(node.network.genesis()).toBeUndefined()
    const told = node.logged.filter(({ message }) => message.includes('which chain'))
    expect(told.map(({ fields }) => [fields['peer'], fields['code']])).toEqual([
      [`${one}:${port}`, 'connect-failed'],
      [`${two}:${port}`, 'connect-failed'],
    ])
    keeper(town, two)
    await town.world.runUntil(() => node.network.peers.size === 1, 25_000)
    expect(node.network.genesis()?.name).toBe('ours')
  })

  test('does not believe a named node whose text is not what it says that its chain is, and asks the next', async () => {
    const town = new Town()
    const pong = { type: 'pong', node_id: 'x', chain_id: genesisOf('ours').rules.chainId }
    answering(town, one, {
      ping: pong,
      genesis_request: { type: 'genesis_response', genesis: genesisOf('theirs').text },
    })
    keeper(town, two)
    const node = start(town, [one, two])
    await town.world.runUntil(() => node.network.genesis() !== undefined, 5_000)
    expect(node.network.genesis()?.name).toBe('ours')
    expect(warnings(node)[0]).toMatchObject({
      fields: { peer: `${one}:${port}`, code: 'bad-genesis', detail: expect.stringContaining('SHA-256') },
    })
  })

  test('of two that are on different chains the first one named counts; the other is refused and logged', async () => {
    for (const [first, second] of [
      [one, two],
      [two, one],
    ] as const) {
      const town = new Town()
      keeper(town, first, new OtherChain('ours'))
      const other = keeper(town, second, new OtherChain('theirs'))
      const node = start(town, [first, second])
      await town.world.advance(20_000)
      expect(node.network.genesis()?.name).toBe('ours')
      expect(node.network.peers.all().map(({ connection }) => connection.remoteHost)).toEqual([first])
      expect(warnings(node)).toMatchObject([{ fields: { peer: `${second}:${port}`, code: 'wrong-chain' } }])
      expect(other.loggedCodes()).toContain('wrong-chain')
    }
  })

  test('a restart: it knows its chain before anybody answers, and goes to no other', async () => {
    const storage = new MemoryLedger()
    const before = new Town()
    keeper(before, one)
    const first = start(before, [one], genesisMemory(storage))
    await before.world.runUntil(() => first.network.genesis() !== undefined, 5_000)
    const after = new Town()
    const again = start(after, [one], genesisMemory(storage))
    expect(again.network.genesis()).toEqual(genesisOf('ours'))
    // The node that it was told of is now on another chain.
    keeper(after, one, new OtherChain('theirs'))
    await after.world.advance(60_000)
    expect(again.network.genesis()?.name).toBe('ours')
    expect(again.network.peers.size).toBe(0)
    expect(warnings(again)).toMatchObject([{ fields: { code: 'wrong-chain' } }])
  })

  test('a disk that is full for a while: it takes part, and remembers as soon as it can', async () => {
    const kept: string[] = []
    let full = true
    const memory: GenesisMemory = {
      location: 'a test',
      read: () => kept[0],
      write(text) {
        if (full) throw new Error('storage-full')
        kept.push(text)
      },
    }
    const town = new Town()
    keeper(town, one)
    const node = start(town, [one], memory)
    await town.world.runUntil(() => node.network.peers.size === 1, 5_000)
    await town.world.advance(60_000)
    expect([kept.length, warnings(node).length]).toEqual([0, 1])
    full = false
    await town.world.advance(30_000)
    expect(kept).toEqual([genesisOf('ours').text])
  })

  test('a genesis file is remembered, and may be left out later; that of another chain is refused at the start', () => {
    const storage = new MemoryLedger()
    const memory = genesisMemory(storage)
    const town = new Town()
    const node = town.node(light, { chain: undefined, genesis: genesisOf('ours'), memory })
    node.network.start()
    expect(town.node(light, { chain: undefined, memory }).network.genesis()?.name).toBe('ours')
    const other = () => town.node(light, { chain: undefined, genesis: genesisOf('theirs'), memory })
    expect(other).toThrow(/ours .*--genesis says theirs .*--data-dir/s)
  })

  test('a ledger that was begun is one chain, and what is remembered but cannot be read is damage', () => {
    const genesis = genesisOf('ours')
    const storage = new MemoryLedger()
    storage.begin(genesis, genesis.block, 0)
    const town = new Town()
    const start = (memory: GenesisMemory) => town.node(light, { chain: undefined, memory })
    expect(start(genesisMemory(storage)).network.genesis()?.rules.chainId).toBe(genesis.rules.chainId)
    const damaged = { ...genesisMemory(storage), read: () => '{"name":' }
    expect(() => start(damaged)).toThrow(/cannot be read/)
  })

  test('told of no node and no genesis, it says what to give; told of one, it does not', async () => {
    const town = new Town()
    const node = start(town, [])
    await town.world.advance(60_000)
    expect(warnings(node)).toMatchObject([{ fields: { advice: expect.stringMatching(/--peers.*--genesis/) } }])
    expect(await town.dial(node, keeper(town, one))).toMatchObject({ ok: false, code: 'no-chain' })
  })

  test('stopped while it asks, it asks no more', async () => {
    const town = new Town()
    const silent = town.listen(one)
    const node = start(town, [one])
    await town.world.runUntil(() => silent.heard.length > 0)
    await town.world.settled(node.network.stop())
    await town.world.advance(60_000)
    expect(silent.heard.map(({ type }) => type)).toEqual(['ping', 'genesis_request'])
    expect(node.network.genesis()).toBeUndefined()
  })
})

describe('the text proves itself', () => {
  const { text, rules } = genesisOf('ours')
  const pong = { type: 'pong', chain_id: rules.chainId }
  const response = { type: 'genesis_response', genesis: text }
  test('as it is', () => expect(readAnswer(pong, response)).toMatchObject({ ok: true }))
  const cases: readonly [string, JsonObject, JsonObject, string][] = [
    ['not canonical', { chain_id: sha256Hex(` ${text}`) }, { genesis: ` ${text}` }, 'bad-genesis'],
    ['no JSON', { chain_id: sha256Hex('x') }, { genesis: 'x' }, 'bad-genesis'],
    ['no object', { chain_id: sha256Hex('[]') }, { genesis: '[]' }, 'bad-genesis'],
    ['no genesis', { chain_id: sha256Hex('{}') }, { genesis: '{}' }, 'bad-genesis'],
    ['another', { chain_id: sha256Hex('x') }, { genesis: text }, 'bad-genesis'],
    ['no chain id', { type: 'pong' }, { genesis: text }, 'bad-answer'],
    ['no text', pong, { genesis: {} }, 'bad-answer'],
    ['an error', pong, { type: 'ERROR', code: 'unknown-type', error: 'x' }, 'unknown-type'],
  ]
  test.each(cases)('%s', (_what, its, answer, code) => {
    expect(readAnswer(its, answer)).toMatchObject({ ok: false, code, provable: false })
  })
})
