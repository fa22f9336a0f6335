import { afterEach, expect, test } from 'bun:test'
import { auditLedger } from '../../../core/chain/audit.ts'
import type { Block } from '../../../core/chain/block.ts'
import { refuse } from '../../../core/errors.ts'
import { makeBlock } from '../../support/blocks.ts'
import { blockOn, branchOn, chainWorld, someTransaction, type ChainWorld } from '../../support/chainworld.ts'

import { genesis, lab, ToldFinality } from './lab.ts'

const worlds: ChainWorld[] = []

afterEach(async () => {
  for (const world of worlds.splice(0)) await world.dispose()
})

async function worldOf(blocks: readonly Block[]): Promise<ChainWorld> {
  const world = await chainWorld()
  worlds.push(world)
  for (const block of blocks) expect(await world.chain.submitBlock(block)).toEqual({ ok: true })
  return world
}

async function genesisBlock(): Promise<Block> {
  return (await worldOf([])).genesis.block
}

const auditOf = ({ storage, genesis, engine }: ChainWorld, signatures: boolean) =>
  auditLedger({ storage, genesis, consensus: engine, signatures })

test.each([false, true])('a reorganisation in the middle of it is no damage (signatures: %p)', async (signatures) => {
  const trunk = branchOn(await genesisBlock(), 2)
  const [old, better] = [branchOn(trunk[1]!, 3, 'old'), branchOn(trunk[1]!, 4, 'better')]
  const world = await worldOf([...trunk, ...old])
  // Stop after each number of steps in turn: wherever the audit is, the branch may change under it.
  const audits = Array.from({ length: 6 }, (_, steps) => {
    const audit = auditOf(world, signatures)
    for (let step = 0; step < steps; step++) audit.next()
    return audit
  })
  for (const block of better) expect(await world.chain.submitBlock(block)).toEqual({ ok: true })
  expect(world.chain.head().header.current_hash).toBe(better[3]!.current_hash)
  for (const audit of audits) {
    let step = audit.next()
    while (step.done !== true) step = audit.next()
    expect(step.value).toBeUndefined()
  }
})

test('signatures of a large block are checked a few at a time', async () => {
  const transactions = Array.from({ length: 40 }, () => someTransaction())
  const world = await worldOf([blockOn(await genesisBlock(), { transactions })])
  const steps = [...auditOf(world, true)]
  expect(steps.length).toBeGreaterThan([...auditOf(world, false)].length + 1)
  expect(new Set(steps)).toEqual(new Set([1]))
})

test.each([
  ['a state_root that commits to nothing here', { state_root: 'f'.repeat(64) }, 'state_root'],
  ['a finality certificate that no plugin made', { finality: { made: 'up' } }, 'finality'],
  ['less work than the rules give', { work: 1 }, 'bad-work'],
  ['a time before the median', { timestamp: '2020-01-01T00:00:00.000Z' }, 'timestamp'],
])(
  'a block that the chain would refuse is damage, sealed and signed as it may be: %s',
  async (_what, header, names) => {
    const world = await worldOf([])
    const block = blockOn(world.genesis.block, { header })
    expect(await world.chain.submitBlock(block)).toMatchObject({ ok: false })
    const totalWork = BigInt(block.work)
    const applied = [{ block, hashes: [], receivedAt: [], totalWork }]
    world.storage.commit({ undone: [], applied, returned: [], writtenAt: 0 })
    const audit = auditOf(world, true)
    let step = audit.next()
    while (step.done !== true) step = audit.next()
    expect(step.value).toMatchObject({ row: 'blocks, "index" 1' })
    expect(step.value?.what).toContain(names)
  },
)

test('certificates are read where signatures are: the quick half of an audit leaves them alone', async () => {
  const finality = new ToldFinality()
  const node = lab({ finality })
  const one = makeBlock(genesis.block, { finality: { good: true } })
  expect(await node.chain.submitBlock(one)).toEqual({ ok: true })
  const found = [false, true].map((signatures) => {
    let read = 0
    const verify = () => (read++, refuse('bad-finality', 'not any more'))
    const parts = { storage: node.storage, genesis, consensus: node.consensus, signatures }
    const audit = auditLedger({ ...parts, finality: Object.assign(new ToldFinality(), { verify }) })
    let step = audit.next()
    while (step.done !== true) step = audit.next()
    return [read, step.value?.what]
  })
  expect(found).toEqual([
    [0, undefined],
    [1, 'bad-finality: not any more'],
  ])
  await node.stop()
})
