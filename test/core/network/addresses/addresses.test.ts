import { describe, expect, test } from 'bun:test'
import { formatTimestamp } from '../../../../core/chain/timestamp.ts'
import type { NodeRecord } from '../../../../core/plugin.ts'
import { at, nodeId, Town } from './town.ts'

const record = (number: number, where: string, more: Partial<NodeRecord> = {}): NodeRecord => ({
  node_id: nodeId(number),
  ...at(where),
  node_type: 'full',
  status: 'active',
  last_seen: Date.UTC(2026, 10, 20),
  ...more,
})
/** An address of a provider of its own: another /16 for each number. */
const apart = (number: number): string => `${20 + (number % 60)}.${Math.floor(number / 60)}.1.1:13245`
const statusOf = (town: Town, number: number): string | undefined => town.table.get(nodeId(number))?.status

describe('peers that the operator named', () => {
  test('are dialled first, wherever they are, and remembered when they were reached', async () => {
    const town = new Town({ settings: { peers: [at('127.0.0.1:4000'), at('10.0.0.7:80')] } })
    town.house('127.0.0.1:4000', 1)
    town.house('10.0.0.7:80', 2)
    town.module.start!()
    await town.world.advance(1_000)
    expect(town.connected()).toEqual(['127.0.0.1:4000', '10.0.0.7:80'])
    expect(town.table.get(nodeId(1))).toMatchObject({ host: '127.0.0.1', port: 4_000, status: 'active' })
  })

  test('a name is resolved at each attempt, and what it resolved to is dialled', async () => {
    const town = new Town({ settings: { peers: [at('seed.example:13245')] } })
    const answers = [['8.8.8.8'], ['9.9.9.9', '9.9.9.10']]
    const asked: string[] = []
    Object.assign(town.parts.runtime, {
      resolve: (name: string) => {
        asked.push(name)
        return Promise.resolve(answers[Math.min(asked.length, 2) - 1]!)
      },
    })
    town.house('9.9.9.9:13245', 1)
    town.module.start!()
    await town.world.runUntil(() => town.peers.size === 1)
    expect(new Set(asked)).toEqual(new Set(['seed.example']))
    // Of several addresses each gets its turn.
    expect(town.dials.map(({ to }) => to)).toEqual(['8.8.8.8:13245', '9.9.9.10:13245', '9.9.9.9:13245'])
  })

  test('one that went away is dialled again within 2 s, and for ever, at most 20 s apart', async () => {
    const town = new Town({ settings: { peers: [at('8.8.8.8:13245')] } })
    const house = town.house('8.8.8.8:13245', 1)
    town.module.start!()
    await town.world.advance(60_000)
    expect(town.peers.size).toBe(1)
    house.refuses = 'connect-failed'
    town.dials.length = 0
    const leftAt = town.world.elapsed
    town.leave(1)
    await town.world.runUntil(() => town.dials.length > 0)
    expect(town.world.elapsed - leftAt).toBeLessThan(2_000)
    await town.world.advance(24 * 60 * 60_000)
    const gaps = town.dials.slice(1).map((dial, i) => dial.at - town.dials[i]!.at)
    expect(Math.max(...gaps)).toBeLessThan(20_000)
    expect(gaps.length).toBeLessThan((24 * 60 * 60) / 10)
    delete house.refuses
    await town.world.runUntil(() => town.peers.size === 1, 20_000)
  })

  test('one that sends us away at once is not dialled at full speed', async () => {
    const town = new Town({ settings: { peers: [at('8.8.8.8:13245')] } })
    town.house('8.8.8.8:13245', 1)
    town.module.start!()
    for (let i = 0; i < 60; i++) {
      await town.world.advance(1_000)
      if (town.peers.size > 0) town.leave(1, 'too-many-peers')
    }
    expect(town.dials.length).toBeLessThan(12)
  })

  test('one that is this node itself is dialled once', async () => {
    const town = new Town({ settings: { peers: [at('8.8.8.8:13245')] } })
    town.house('8.8.8.8:13245', 1, { refuses: 'self' })
    town.module.start!()
    const other = town.inbound(2, '9.9.9.9')
    town.say({ type: 'peer_list', peers: ['8.8.8.8:13245'] }, other)
    await town.world.advance(600_000)
    expect(town.dialsTo('8.8.8.8:13245')).toBe(1)
  })

  test('one that is a peer already is not dialled until it leaves', async () => {
    const town = new Town({ settings: { peers: [at('8.8.8.8:13245')] } })
    town.house('8.8.8.8:13245', 1)
    town.inbound(1, '8.8.8.8', '8.8.8.8:13245')
    town.module.start!()
    await town.world.advance(600_000)
    expect(town.dialsTo('8.8.8.8:13245')).toBe(1)
    town.leave(1)
    await town.world.runUntil(() => town.dialsTo('8.8.8.8:13245') === 2, 2_000)
  })

  test('one that has no peer, and is a peer all the same, is told once that its key may be elsewhere', async () => {
    const town = new Town({ settings: { peers: [at('8.8.8.8:13245'), at('8.8.8.9:13245')] } })
    town.house('8.8.8.8:13245', 1, { refuses: 'duplicate' })
    town.house('8.8.8.9:13245', 2, { refuses: 'duplicate' })
    town.module.start!()
    const told = () => town.logged.filter((line) => line.includes('is its key elsewhere?')).length
    // The first time it may be a connection that is just being made, or that has just ended.
    await town.world.advance(20_000)
    expect(told()).toBe(0)
    await town.world.advance(180_000)
    expect(told()).toBe(1)
  })

  test('why one is no peer is said once', async () => {
    const town = new Town({ settings: { peers: [at('8.8.8.8:13245')] } })
    town.house('8.8.8.8:13245', 1, { refuses: 'wrong-chain' })
    town.module.start!()
    await town.world.advance(600_000)
    expect(town.logged.filter((line) => line.includes('wrong-chain')).length).toBe(1)
    expect(town.dials.length).toBeLessThan(15)
  })
})

describe('finding others', () => {
  test('nodes that know one bootstrap learn of each other within seconds', async () => {
    const town = new Town({ settings: { peers: [at(apart(1))] } })
    town.house(apart(1), 1, { tells: [2, 3, 4, 5].map(apart) })
    for (const i of [2, 3, 4, 5]) town.house(apart(i), i)
    town.module.start!()
    await town.world.runUntil(() => town.peers.size === 5, 3_000)
    // What was reached is known; the bootstrap's word alone is not enough.
    expect(town.table.size).toBe(5)
  })

  test('a bootstrap that knows nobody yet is asked again soon', async () => {
    let known: readonly string[] = []
    const town = new Town({ settings: { peers: [at(apart(1))] } })
    town.house(apart(1), 1, { tells: () => known })
    town.house(apart(2), 2)
    town.module.start!()
    await town.world.advance(1_500)
    known = [apart(2)]
    await town.world.runUntil(() => town.peers.size === 2, 3_000)
  })

  test('where an inbound peer says it listens is tested before it is handed on', async () => {
    const town = new Town()
    town.house('8.8.8.8:4000', 1)
    town.module.start!()
    town.inbound(1, '8.8.8.8', '8.8.8.8:4000')
    town.inbound(2, '9.9.9.9', '9.9.9.9:4000')
    expect(town.table.size).toBe(0)
    await town.world.advance(5_000)
    expect(statusOf(town, 1)).toBe('active')
    expect(statusOf(town, 2)).toBeUndefined()
    expect(town.say({ type: 'peer_list' }, undefined)).toHaveProperty('make')
    expect(listOf(town)).toEqual(['8.8.8.8:4000'])
  })

  test('known nodes come back from the table; the old ones that were not reached do not', async () => {
    const nodes = [
      record(1, apart(1)),
      record(2, apart(2), { status: 'unreachable', last_seen: Date.UTC(2026, 8, 1) }),
      record(9_999, '8.0.0.1:13245'),
    ]
    const town = new Town({ nodes })
    town.house(apart(1), 1)
    town.module.start!()
    await town.world.advance(5_000)
    expect(town.connected()).toEqual([apart(1)])
    expect(town.dialsTo(apart(2))).toBe(0)
    expect(town.dialsTo('8.0.0.1:13245')).toBe(0)
    expect(town.table.has(nodeId(2))).toBe(false)
  })

  test('a known node that does not answer is not handed on; when it does, it is again', async () => {
    const town = new Town({ nodes: [record(1, apart(1))] })
    town.module.start!()
    await town.world.advance(10_000)
    expect(statusOf(town, 1)).toBe('unreachable')
    expect(listOf(town)).toEqual([])
    town.house(apart(1), 1)
    await town.world.runUntil(() => town.peers.size === 1, 600_000)
    expect(listOf(town)).toEqual([apart(1)])
  })

  test('back-off: an address that does not answer is dialled less and less, and a candidate forgotten', async () => {
    const town = new Town({ nodes: [record(1, apart(1))] })
    town.module.start!()
    const peer = town.inbound(2, '9.9.9.9')
    town.say({ type: 'peer_list', peers: [apart(3)] }, peer)
    await town.world.advance(60 * 60_000)
    expect(town.dialsTo(apart(1))).toBeGreaterThan(8)
    expect(town.dialsTo(apart(1))).toBeLessThan(30)
    expect(town.dialsTo(apart(3))).toBe(6)
  })

  test('a node whose key changed, or that moved, stands in the table once', async () => {
    const town = new Town({ nodes: [record(1, apart(1)), record(2, apart(2))] })
    town.house(apart(1), 3)
    town.house(apart(5), 2)
    town.module.start!()
    await town.world.advance(2_000)
    expect(town.table.has(nodeId(1))).toBe(false)
    town.say({ type: 'peer_list', peers: [apart(5)] }, town.inbound(4, '9.9.9.9'))
    await town.world.advance(5_000)
    const hosts = Object.fromEntries([...town.table.values()].map(({ node_id: id, host }) => [id, host]))
    expect(hosts).toEqual({ [nodeId(3)]: at(apart(1)).host, [nodeId(2)]: at(apart(5)).host })
  })

  test('a full disk keeps nobody from being a peer', async () => {
    let full = true
    const town = new Town({ settings: { peers: [at(apart(1))] }, full: () => full })
    town.house(apart(1), 1)
    town.module.start!()
    await town.world.runUntil(() => town.peers.size === 1)
    expect(town.table.size).toBe(0)
    expect(town.logged.filter((line) => line.startsWith('the table nodes')).length).toBe(1)
    full = false
    town.leave(1)
    await town.world.runUntil(() => town.table.size === 1)
  })

  test('the table is written when something changed, and seldom otherwise', async () => {
    const town = new Town({ settings: { peers: [1, 2, 3].map((i) => at(apart(i))) } })
    for (const i of [1, 2, 3]) town.house(apart(i), i)
    town.module.start!()
    await town.world.advance(60 * 60_000)
    expect(town.peers.size).toBe(3)
    expect(town.writes).toBeLessThan(30)
    expect(town.table.get(nodeId(1))!.last_seen).toBeGreaterThan(town.parts.runtime.clock.now() - 700_000)
  })

  test('a peer that comes and goes is not a write each time', async () => {
    const town = new Town({ nodes: [record(1, apart(1))] })
    town.module.start!()
    for (let i = 0; i < 100; i++) {
      town.inbound(1, '8.8.8.8')
      await town.world.advance(1_000)
      town.leave(1)
      await town.world.advance(100)
    }
    expect(town.writes).toBeLessThan(20)
  })

  test('the last peer is gone: dials at once', async () => {
    const town = new Town({ nodes: [record(1, apart(1)), record(2, apart(2))] })
    town.house(apart(1), 1)
    town.house(apart(2), 2, { refuses: 'too-many-peers' })
    town.module.start!()
    await town.world.advance(30_000)
    delete town.houses.get(apart(2))!.refuses
    town.houses.delete(apart(1))
    town.leave(1)
    await town.world.runUntil(() => town.connected().includes(apart(2)), 2_000)
  })
})

const listOf = (town: Town): unknown => {
  const answer = town.say({ type: 'peer_list' }, undefined)
  return answer !== undefined && 'make' in answer ? answer.make()['peers'] : undefined
}

describe('threats row 17: made-up addresses', () => {
  const madeUp = (from: number, count: number): string[] =>
    Array.from({ length: count }, (_, i) => {
      const n = from + i
      return `${11 + (n % 80)}.${(n >> 7) & 255}.${(n >> 3) & 255}.${n & 255}:${2_000 + (n % 60_000)}`
    })

  test('100,000 from one peer: few are kept, few are dialled', async () => {
    const town = new Town()
    town.module.start!()
    const peer = town.inbound(1, '9.9.9.9')
    let sent = 0
    while (sent < 100_000) {
      town.say({ type: 'peer_list', peers: madeUp(sent, 1_000) }, peer)
      sent += 1_000
      await town.world.advance(10_000)
    }
    // 1,000 s: 30 dials a minute at the most, whatever is told.
    expect(town.dials.length).toBeLessThan(530)
    const perSecond = Map.groupBy(town.dials, (dial) => Math.floor(dial.at / 1_000))
    expect(Math.max(...[...perSecond.values()].map((dials) => dials.length))).toBeLessThanOrEqual(16)
    expect(town.table.size).toBe(0)
    expect(listOf(town)).toEqual([])
  })

  test('at full speed: one message in 10 s is looked at, and nobody is penalised', async () => {
    const town = new Town()
    town.module.start!()
    const peer = town.inbound(1, '9.9.9.9')
    for (let i = 0; i < 100; i++) {
      const answer = town.say({ type: 'peer_list', peers: madeUp(i * 1_000, 1_000) }, peer)
      expect(answer === undefined || !('refusal' in answer)).toBe(true)
    }
    await town.world.advance(200)
    expect(town.dials.length).toBeLessThanOrEqual(16)
    await town.world.advance(600_000)
    expect(new Set(town.dials.map(({ to }) => to)).size).toBeLessThanOrEqual(64)
  })

  test('only allowed networks are dialled, and names never', async () => {
    const town = new Town()
    town.module.start!()
    const peer = town.inbound(1, '9.9.9.9')
    const bad = ['127.0.0.1:6379', '10.0.0.1:13245', '169.254.169.254:8080', '[::1]:13245', '[fd00::1]:13245']
    const worse = ['localhost:13245', 'metadata.google.internal:8080', '8.8.8.8:25', '[::ffff:7f00:1]:13245']
    town.say({ type: 'peer_list', peers: [...bad, ...worse, '8.8.4.4:13245'] }, peer)
    await town.world.advance(600_000)
    expect(new Set(town.dials.map(({ to }) => to))).toEqual(new Set(['8.8.4.4:13245']))
    expect(town.logged.filter((line) => line.includes('--dial-networks')).length).toBe(1)
  })

  test('what is no list is not taken; whoever sent it is told, and not banned', () => {
    const town = new Town()
    const peer = town.inbound(1, '9.9.9.9')
    const bad = [madeUp(0, 1_001), ['8.8.4.4'], ['8.8.4.4:0'], ['8.8.4.4:99999'], ['a b:1'], ['::1:13245']]
    for (const peers of bad) {
      const other = town.inbound(2, '9.9.9.8')
      expect(town.say({ type: 'peer_list', peers }, other)).toMatchObject({ refusal: { provable: false } })
      town.leave(2)
    }
    const nodes = [{ node_id: nodeId(3), host: '8.8.4.4', port: 1.5 }]
    expect(town.say({ type: 'node_list', nodes }, peer)).toMatchObject({ refusal: { provable: false } })
  })

  test('clients are answered, and what they tell is not taken', async () => {
    const town = new Town()
    town.module.start!()
    expect(town.say({ type: 'peer_list', peers: ['8.8.8.8:13245'] }, undefined)).toHaveProperty('make')
    expect(town.say({ type: 'node_list', nodes: [{ host: '8.8.8.8', port: 13_245 }] }, undefined)).toBeUndefined()
    await town.world.advance(60_000)
    expect(town.dials).toEqual([])
  })

  test('two nodes that tell each other do not answer for ever', () => {
    const town = new Town()
    const peer = town.inbound(1, '9.9.9.9')
    expect(town.say({ type: 'peer_list', peers: [] }, peer)).toHaveProperty('make')
    expect(town.say({ type: 'peer_list', peers: [] }, peer)).toBeUndefined()
    expect(town.say({ type: 'peer_list' }, peer)).toHaveProperty('make')
  })
})

describe('eclipse', () => {
  /** All of them answer, and know each other: 4,000 addresses in one network. */
  const hostile = (number: number): string => `66.66.${number >> 8}.${number & 255}:13245`
  const placesOf = (town: Town, prefix: string): number => town.connected().filter((it) => it.startsWith(prefix)).length

  test('one /16 gets 2 of the 8 places, however many nodes it has', async () => {
    const town = new Town({ settings: { peers: [at(apart(1))] } })
    const all = Array.from({ length: 4_000 }, (_, i) => hostile(i))
    const some = (): readonly string[] => Array.from({ length: 100 }, () => all[Math.floor(dice() * all.length)]!)
    const dice = diceOf(town)
    for (const [i, where] of all.entries()) town.house(where, 100 + i, { tells: some })
    const honest = [2, 3, 4].map(apart)
    for (const [i, where] of honest.entries()) town.house(where, 2 + i)
    town.house(apart(1), 1, { tells: [...all.slice(0, 60), ...honest] })
    town.module.start!()
    await town.world.advance(20 * 60_000)
    // Places stay free rather than go to it; a third one may be on a visit.
    expect(placesOf(town, '66.66.')).toBeLessThanOrEqual(3)
    for (const where of honest) expect(town.connected()).toContain(where)
    expect([...town.table.values()].filter(({ host }) => host.startsWith('66.66.')).length).toBeLessThanOrEqual(64)
  })

  test('many networks, told of by one peer: honest nodes that are known come first', async () => {
    const honest = Array.from({ length: 8 }, (_, i) => record(i + 1, apart(i + 1)))
    const town = new Town({ nodes: honest })
    for (let i = 1; i <= 8; i++) town.house(apart(i), i)
    const swarm = Array.from({ length: 500 }, (_, i) =>
      `${100 + (i % 20)}.${i}.1.1:13245`.replace(/\.(\d{3,})\./, (_m, n) => `.${Number(n) & 255}.`),
    )
    for (const [i, where] of swarm.entries()) town.house(where, 1_000 + i, { tells: swarm })
    const attacker = town.inbound(999, '66.66.1.1', undefined, swarm)
    town.module.start!()
    town.say({ type: 'peer_list', peers: swarm.slice(0, 100) }, attacker)
    await town.world.advance(10 * 60_000)
    for (let i = 1; i <= 8; i++) expect(town.connected()).toContain(apart(i))
  })

  test('a peer that is lost is visited again soon, though all places are taken', async () => {
    const town = new Town({ nodes: Array.from({ length: 12 }, (_, i) => record(i + 1, apart(i + 1))) })
    for (let i = 1; i <= 12; i++) town.house(apart(i), i)
    town.module.start!()
    await town.world.advance(5_000)
    const [first] = town.peers.all()
    const where = `${first!.connection.remoteHost}:13245`
    const house = town.houses.get(where)!
    house.refuses = 'connect-slow'
    town.leave(house.number)
    await town.world.advance(5 * 60_000)
    expect(town.peers.all().length).toBeGreaterThanOrEqual(8)
    delete house.refuses
    await town.world.runUntil(() => town.connected().includes(where), 60_000)
  })

  test('the book stays within its limit, and one source cannot empty it of others', async () => {
    const town = new Town({ limits: { known_addresses_max: 100, outbound_peers: 1 }, settings: { peers: [] } })
    town.module.start!()
    const quiet = town.inbound(1, '70.1.1.1')
    town.say({ type: 'peer_list', peers: [2, 3, 4].map(apart) }, quiet)
    for (const i of [2, 3, 4]) town.house(apart(i), i)
    for (let n = 0; n < 30; n++) {
      const loud = town.inbound(100 + n, `80.${n}.1.1`)
      town.say({ type: 'peer_list', peers: Array.from({ length: 100 }, (_, i) => `${130 + n}.${i}.1.1:13245`) }, loud)
      await town.world.advance(100)
    }
    await town.world.runUntil(() => [2, 3, 4].some((i) => town.connected().includes(apart(i))), 30 * 60_000)
  })
})

const diceOf = (town: Town) => (): number => {
  const [a, b] = town.parts.runtime.random(2)
  return (a! * 256 + b!) / 65_536
}

describe('bans', () => {
  test('a ban by the operator closes the peer within about a second; it is not dialled; freed, it comes back', async () => {
    const town = new Town({ settings: { peers: [at(apart(1))] } })
    town.house(apart(1), 1)
    town.module.start!()
    await town.world.advance(20_000)
    const now = formatTimestamp(town.parts.runtime.clock.now())
    const write = (line: object) =>
      town.parts.runtime.files.appendText('/data/node.bans', `${JSON.stringify(line)}\n`, 0o600)
    write({ ban: nodeId(1), reason: 'by the operator', at: now })
    await town.world.advance(1_100)
    expect(town.peers.size).toBe(0)
    expect(statusOf(town, 1)).toBe('banned')
    const dials = town.dials.length
    await town.world.advance(600_000)
    expect(town.dials.length).toBe(dials)
    write({ free: nodeId(1) })
    await town.world.runUntil(() => town.peers.size === 1, 20_000)
    expect(statusOf(town, 1)).toBe('active')
  })

  test('an IP address that is banned is not dialled, whoever is there', async () => {
    const town = new Town()
    town.house('8.8.8.8:13245', 1)
    town.parts.bans.ban('8.8.8.8', 'spam')
    town.module.start!()
    town.say({ type: 'peer_list', peers: ['8.8.8.8:13245'] }, town.inbound(2, '9.9.9.9'))
    await town.world.advance(600_000)
    expect(town.dials).toEqual([])
  })
})

test('stopped, it dials nobody and leaves no timer', async () => {
  const town = new Town({ settings: { peers: [at(apart(1))] } })
  town.house(apart(1), 1)
  town.module.start!()
  await town.world.advance(5_000)
  await town.module.stop!()
  town.leave(1)
  const dials = town.dials.length
  await town.world.advance(600_000)
  expect(town.dials.length).toBe(dials)
})
