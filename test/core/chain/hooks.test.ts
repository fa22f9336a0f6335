// Engines and finalities that throw: whatever they fail at, what is written is whole, and the chain goes on when they do.
import { describe, expect, test } from 'bun:test'
import { auditLedger } from '../../../core/chain/audit.ts'
import { accepted, type Consensus } from '../../../core/index.ts'
import { makeBlock, makeTransaction } from '../../support/blocks.ts'
import { eventually } from '../../support/eventually.ts'
import { genesis, lab, labEngine, ToldFinality, type Lab } from './lab.ts'

type Call = (...args: never[]) => unknown

/** Calls what it is told to, or throws what a plugin throws by mistake. */
class Fuse {
  blown = false
  hits = 0
  wrap<T extends Call>(call: T): T {
    const wrapped = (...args: never[]): unknown => {
      if (!this.blown) return call(...args)
      this.hits++
      throw new TypeError('undefined is not an object')
    }
    return wrapped as T
  }
}

const engineHooks = ['verify', 'weight', 'rank', 'turn', 'prepare', 'due', 'seal', 'authorities'] as const
const finalityHooks = ['verify', 'final', 'justified', 'certificate', 'halted', 'wantsBlock'] as const

const engineOf = (): Required<Pick<Consensus, (typeof engineHooks)[number]>> => ({
  ...(labEngine() as Required<Consensus>),
  rank: () => 0n,
  turn: ({ index }) => [index],
  authorities: () => [],
})

const isSound = (node: Lab): void => {
  const consensus = labEngine()
  const audit = auditLedger({
    storage: node.storage,
    genesis,
    consensus,
    finality: new ToldFinality(),
    signatures: true,
  })
  let step = audit.next()
  while (step.done !== true) step = audit.next()
  expect(step.value).toBeUndefined()
}

/** A block of others comes, one of this node's own is to be made, a branch beside grows better; twice. */
async function livesOn(node: Lab, fuse: Fuse): Promise<void> {
  const { chain, producer } = node
  await chain.submitBlock(makeBlock(genesis.block, { work: 2, extra: 'before', miner: 2 }))
  expect(chain.head().header.index).toBe(1)
  const one = makeBlock(genesis.block, { work: 2, extra: 'beside', miner: 3 })
  const two = makeBlock(one, { work: 9, extra: 'better', miner: 3 })
  producer.start()
  fuse.blown = true
  for (const block of [one, two])
    await chain.submitBlock(block).catch((error: unknown) => expect(error).toBeInstanceOf(TypeError))
  await chain.submitTransaction(makeTransaction(genesis, 1, { n: 1 })).catch(() => undefined)
  node.clock.turn(5_000)
  await new Promise((resolve) => setTimeout(resolve, 5))
  fuse.blown = false
  isSound(node)
  for (const block of [one, two]) await chain.submitBlock(block)
  await eventually(() => (node.clock.turn(1_000), chain.head().header.index >= 3), 'its own block is recorded')
  expect(chain.pendingCount()).toBe(0)
  expect(chain.header(two.current_hash)?.recorded).toBe(true)
  isSound(node)
  await node.stop()
}

describe('an engine that throws in', () => {
  test.each(engineHooks)('%s', async (hook) => {
    const fuse = new Fuse()
    const engine = engineOf()
    const wrapped = { ...engine, [hook]: fuse.wrap(engine[hook]) } as Partial<Consensus>
    const node = lab({
      engine: wrapped,
      signed: ({ header }) =>
        void (wrapped.authorities!({ parent: header, at: () => undefined }), wrapped.turn!(header)),
    })
    await livesOn(node, fuse)
    expect(fuse.hits).toBeGreaterThan(0)
  })
})

describe('a finality that throws in', () => {
  test.each(finalityHooks)('%s', async (hook) => {
    const fuse = new Fuse()
    const finality = new ToldFinality()
    Object.assign(finality, { [hook]: fuse.wrap((finality[hook] as Call).bind(finality)) })
    await livesOn(lab({ finality }), fuse)
    expect(fuse.hits).toBeGreaterThan(0)
  })

  test.each(['onHead', 'onBlock'] as const)('what it hears by %s', async (hook) => {
    const fuse = new Fuse()
    const finality = new ToldFinality()
    const node = lab({ finality })
    finality.door![hook](fuse.wrap(() => undefined))
    await livesOn(node, fuse)
    expect(fuse.hits).toBeGreaterThan(0)
    expect(node.lines).toContain('a plugin failed to hear of a block')
  })
})

test('what is written while a finality throws is told, and what it misses comes with the next block', async () => {
  const fuse = new Fuse()
  const finality = new ToldFinality()
  const final = finality.final
  finality.final = fuse.wrap(final)
  finality.verify = () => accepted
  const node = lab({ finality })
  const [one] = [makeBlock(genesis.block, { work: 1 })]
  finality.tell({ final: one, justified: one })
  fuse.blown = true
  await node.chain.submitBlock(one).catch(() => undefined)
  fuse.blown = false
  await node.chain.submitBlock(one)
  await node.chain.submitBlock(makeBlock(one, { work: 1 }))
  expect([node.chain.head().header.index, node.storage.finalHeight()]).toEqual([2, 1])
  isSound(node)
  await node.stop()
})
