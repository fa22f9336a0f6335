import { describe, expect, test } from 'bun:test'
import type { JsonObject } from '../../../core/chain/json.ts'
import { Council, type RoundMessage } from './council.ts'

const seeds = (count: number) => Array.from({ length: count }, (_, n) => n + 1)
const testMillisecondsMax = 20_000

describe('a council of bft', () => {
  test.each([1, 2, 3, 4, 7])('of %d agrees on every block', async (authorities) => {
    const council = new Council({ seed: authorities, authorities, height: 8 })
    await council.reach()
    expect(council.conflicts()).toEqual([])
    const makers = new Set(council.honest[0]!.chain.map(({ miner_id }) => miner_id))
    expect(makers.size).toBe(authorities)
    for (const { certificate } of council.honest[0]!.chain) {
      const { round, signatures } = certificate as { round: number; signatures: JsonObject }
      expect(round).toBe(0)
      expect(Object.keys(signatures)).toHaveLength(Math.floor((2 * authorities) / 3) + 1)
    }
  })

  test.each(seeds(8))('agrees although every fifth message is lost (seed %d)', async (seed) => {
    const council = new Council({ seed, authorities: 4, height: 8, loss: 0.2, latency: [1, 400] })
    await council.reach()
    expect(council.conflicts()).toEqual([])
  })

  test('is quiet when nothing is to be recorded', async () => {
    const council = new Council({ seed: 1, authorities: 4, height: 2 })
    await council.reach()
    await council.world.advance(5_000)
    const [said, events] = [council.honest.map(({ height }) => height), council.world.events]
    await council.world.advance(60_000)
    expect([council.honest.map(({ height }) => height), council.world.events]).toEqual([said, events])
    expect(
      council.honest[0]!.engine.due({ parent: council.honest[0]!.branch.at(-1)!, at: () => undefined }, 0, 0, 0),
    ).toEqual({
      waitsFor: 'a transaction',
    })
  })

  test('goes on without a proposer that is down: the next round has another one', async () => {
    const council = new Council({ seed: 3, authorities: 4, height: 12 })
    await council.reach(1)
    council.minds[2]!.crash()
    await council.reach()
    const rounds = council.honest[0]!.chain.slice(1).map(({ certificate }) => (certificate as { round: number }).round)
    expect(Math.max(...rounds)).toBe(1)
    expect(council.conflicts()).toEqual([])
    council.minds[2]!.start()
    await council.reach()
    expect(council.minds[2]!.height).toBe(12)
  })

  test('waits for a quorum, says whose word is missing, and goes on when it is back', async () => {
    const council = new Council({ seed: 4, authorities: 4, height: 6 })
    await council.reach(2)
    for (const mind of council.minds.slice(2)) mind.crash()
    await council.world.advance(30_000)
    const { height, engine, branch, context } = council.minds[0]!
    expect(height).toBeLessThan(6)
    const due = engine.due({ parent: branch.at(-1)!, at: (index) => branch[index] }, 1, 0, 0)
    const missing = council.keys.slice(2).map(({ address }) => `${address.slice(0, 4)}...${address.slice(-2)}`)
    for (const name of missing) expect(JSON.stringify(due)).toContain(name)
    expect(JSON.stringify(due)).toContain('3 authorities must be up')
    expect(context.contributed('wait').map((wait) => [wait.name, wait.read()])).toEqual([['bft:round', due as never]])
    for (const mind of council.minds.slice(2)) mind.start()
    await council.reach()
    expect(council.conflicts()).toEqual([])
    expect(context.contributed('wait')[0]!.read()).toBeUndefined()
  })

  test('keeps to a block that some may have decided, whoever proposes next', async () => {
    // Precommits reach nobody but node 0 at first, which may then have decided and be gone.
    let isCut = true
    const passes = (from: { name: string }, to: { name: string }, { votes }: RoundMessage) =>
      !isCut || to.name === '0' || !votes.some(({ step, hash }) => step === 'precommit' && hash !== null)
    const council = new Council({ seed: 5, authorities: 4, height: 1, passes })
    await council.world.advance(900)
    const [first] = council.minds[0]!.chain
    expect(first).toBeDefined()
    expect(council.minds.slice(1).map(({ height }) => height)).toEqual([0, 0, 0])
    council.minds[0]!.crash()
    isCut = false
    await council.world.advance(30_000)
    expect(council.minds.map(({ chain }) => chain[0]?.current_hash)).toEqual(Array(4).fill(first!.current_hash))
    const { round } = council.minds[1]!.chain[0]!.certificate as { round: number }
    expect(round).toBeGreaterThanOrEqual(0)
  })
})

describe('who starts again in the middle of a height', () => {
  test.each(seeds(12))('never contradicts itself, and is of use to the others (seed %d)', async (seed) => {
    const council = new Council({ seed, authorities: 4, height: 10, loss: 0.1, latency: [1, 150] })
    for (let time = 0; time < 40; time++) {
      await council.world.advance(70 + ((seed * 37 + time * 53) % 400))
      const mind = council.minds[(seed + time) % 4]!
      mind.crash()
      mind.start()
      council.sync()
    }
    await council.reach()
    expect(council.conflicts()).toEqual([])
    expect(council.minds.flatMap(({ accused }) => accused)).toEqual([])
  })

  test('all at once: what was held is held again, and decided', async () => {
    // Nobody hears a precommit, so nobody decides, and everybody holds the block.
    let isCut = true
    const passes = (_from: unknown, _to: unknown, { votes }: RoundMessage) =>
      !isCut || !votes.some(({ step }) => step === 'precommit')
    const council = new Council({ seed: 7, authorities: 4, height: 1, passes })
    await council.world.advance(600)
    const held = council.minds.map(({ ledger }) => JSON.parse(ledger.records('bft').get('lock')!) as { hash: string })
    expect(new Set(held.map(({ hash }) => hash)).size).toBe(1)
    expect(council.minds.map(({ height }) => height)).toEqual([0, 0, 0, 0])
    for (const mind of council.minds) mind.crash()
    for (const mind of council.minds) mind.start()
    isCut = false
    await council.reach()
    expect(council.minds.map(({ chain }) => chain[0]!.current_hash)).toEqual(held.map(({ hash }) => hash))
  })

  test('alone', async () => {
    const council = new Council({ seed: 8, authorities: 1, height: 20 })
    for (let time = 0; time < 10; time++) {
      await council.world.advance(130)
      council.minds[0]!.crash()
      council.minds[0]!.start()
    }
    await council.reach()
    expect(council.minds[0]!.height).toBe(20)
  })
})

describe('one of four lies: it votes both ways and proposes two blocks', () => {
  const provenAgainst = (council: Council): Set<string> => {
    const [kind] = council.honest[0]!.context.contributed('evidence')
    const read = council.honest.flatMap(({ accused }) => accused).map((proof) => kind!.read(proof))
    return new Set(read.map((one) => (one.ok ? one.value.address : one.code)))
  }

  test.each(seeds(20))('each to one half of the others, who agree all the same (seed %d)', async (seed) => {
    const loss = seed % 3 === 0 ? 0.1 : 0
    const council = new Council({ seed, authorities: 4, liars: 1, height: 8, loss, latency: [1, 20 + 40 * (seed % 5)] })
    await council.reach()
    expect(council.conflicts()).toEqual([])
    // Whoever hears both can prove it; nobody else is ever accused.
    for (const who of provenAgainst(council)) expect(who).toBe(council.keys[3]!.address)
  })

  test.each(seeds(6))('to everybody, who agree all the same and can prove it (seed %d)', async (seed) => {
    const council = new Council({ seed, authorities: 4, liars: 1, height: 4, openly: true })
    await council.reach()
    expect(council.conflicts()).toEqual([])
    expect(provenAgainst(council)).toEqual(new Set([council.keys[3]!.address]))
  })
})

test(
  'two of four who lie can do it: the tests above would see it',
  async () => {
    let conflicts = 0
    for (const seed of seeds(20)) {
      const council = new Council({ seed, authorities: 4, liars: 2, height: 4 })
      await council.reach().catch(() => undefined)
      conflicts += council.conflicts().length
      if (conflicts > 0) break
    }
    expect(conflicts).toBeGreaterThan(0)
  },
  testMillisecondsMax,
)
