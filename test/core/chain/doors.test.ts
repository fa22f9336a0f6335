// The chain as an engine whose nodes agree, and a finality, get to see it.
import { afterEach, describe, expect, test } from 'bun:test'
import type { Block } from '../../../core/chain/block.ts'
import { chainDoor, finalityDoor } from '../../../core/chain/doors.ts'
import { refuse } from '../../../core/errors.ts'
import { makeBlock, makeKey, makeTransaction } from '../../support/blocks.ts'
import { genesis, lab, ToldFinality, type Lab, type LabOptions } from './lab.ts'

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

function opened(options: LabOptions = {}) {
  const node = lab(options)
  ends.push(() => node.stop())
  return { node, door: chainDoor(node.chain, node.log) }
}

const unagreed = { verify: () => refuse('no-quorum', 'nobody has agreed') }

describe('a proposal', () => {
  test('is examined for all but what its engine says, and not kept', async () => {
    const { node, door } = opened({ engine: unagreed })
    const proposal = makeBlock(genesis.block, { transactions: [makeTransaction(genesis, 1, { n: 1 })] })
    expect(await door.examine(proposal)).toEqual({ ok: true, value: proposal })
    expect(node.chain.header(proposal.current_hash)).toBeUndefined()
    expect(await door.submit(proposal)).toMatchObject({ code: 'no-quorum' })
  })

  const first = makeBlock(genesis.block)
  const twice = makeTransaction(genesis, 1, { n: 2 })
  const recorded = makeBlock(genesis.block, { transactions: [twice] })
  const late = { ...makeBlock(genesis.block), signature: makeBlock(genesis.block, { extra: 'other' }).signature }
  const spoilt = makeTransaction(genesis, 1, { n: 3 })
  const wrongBody = {
    ...spoilt,
    signature: makeTransaction(genesis, 2, { n: 3 }).signature,
  }
  test.each<[string, string, unknown, boolean]>([
    ['no block', 'bad-block', { nothing: true }, true],
    ['elsewhere', 'stale-proposal', makeBlock(first), false],
    ['by somebody else', 'bad-signature', late, true],
    ['at a wrong height', 'bad-index', atHeight(2), true],
    ['before its time', 'bad-timestamp', makeBlock(genesis.block, { after: 0 }), true],
    ['from the future', 'timestamp-ahead', makeBlock(genesis.block, { after: 2 * 86_400_000 }), false],
    ['with a certificate that nobody asked for', 'bad-finality', makeBlock(genesis.block, { finality: {} }), true],
    [
      'of a transaction with a bad signature',
      'bad-signature',
      makeBlock(genesis.block, { transactions: [wrongBody] }),
      true,
    ],
  ])('%s is refused', async (_what, code, proposal, provable) => {
    const { door } = opened({ engine: unagreed })
    expect(await door.examine(proposal)).toMatchObject({ ok: false, code, provable })
  })

  test('that repeats a transaction of the chain is refused', async () => {
    const { node, door } = opened()
    await node.chain.submitBlock(recorded)
    const again = makeBlock(recorded, { transactions: [twice] })
    expect(await door.examine(again)).toMatchObject({ code: 'duplicate-transaction' })
  })

  test('bears a certificate that the finality verifies', async () => {
    const { door } = opened({ finality: new ToldFinality(), engine: unagreed })
    const good = makeBlock(genesis.block, { finality: { good: true } })
    expect(await door.examine(good)).toMatchObject({ ok: true })
    const bad = makeBlock(genesis.block, { finality: { good: false } })
    expect(await door.examine(bad)).toMatchObject({ code: 'bad-finality' })
  })

  test('is stale if the head moves while its signatures are checked', async () => {
    const { promise: moved, resolve: go } = Promise.withResolvers<void>()
    let checks = 0
    // The first check is the proposal's.
    const { node, door } = opened({ checking: async () => (checks++ === 0 ? await moved : undefined) })
    const examined = door.examine(makeBlock(genesis.block, { extra: 'proposal' }))
    expect(await node.chain.submitBlock(first)).toEqual({ ok: true })
    go()
    expect(await examined).toMatchObject({ code: 'stale-proposal', provable: false })
  })
})

/** As `makeBlock`, at another height than it should have. */
function atHeight(index: number): Block {
  return makeBlock({ ...genesis.block, index: index - 1 })
}

describe('an engine', () => {
  test('sees the head, hears of each, and makes core ask again', async () => {
    const { node, door } = opened()
    const heard: number[] = []
    door.onHead(({ index }) => void heard.push(index))
    const first = makeBlock(genesis.block)
    expect(await door.submit(first)).toEqual({ ok: true })
    expect(heard).toEqual([1])
    expect(door.head().header.current_hash).toBe(first.current_hash)
    expect(door.ancestry().parent.current_hash).toBe(first.current_hash)
    expect(door.ancestry().at(0)?.current_hash).toBe(genesis.block.current_hash)
    expect(door.pendingCount()).toBe(0)
    node.changes.length = 0
    door.changed()
    expect(node.changes).toEqual(['due'])
  })

  test('that fails to hear of a block keeps nobody else from it', async () => {
    const { node, door } = opened()
    const heard: number[] = []
    door.onHead(() => {
      throw new Error('a fault of the plugin')
    })
    door.onHead(({ index }) => void heard.push(index))
    expect(await node.chain.submitBlock(makeBlock(genesis.block))).toEqual({ ok: true })
    expect(heard).toEqual([1])
    expect(node.lines).toEqual(['a plugin failed to hear of a block'])
  })
})

describe('a finality', () => {
  test('sees blocks of all branches, and hears of each that is taken before the head moves', async () => {
    const finality = new ToldFinality()
    const { node } = opened({ finality })
    const { door } = finality
    const [main, side] = [makeBlock(genesis.block, { work: 5 }), makeBlock(genesis.block, { work: 1 })]
    const above = makeBlock(side, { work: 1 })
    for (const block of [main, side, above]) await node.chain.submitBlock(block)
    expect(finality.heard).toEqual(['block 1', 'head 1', 'block 1', 'block 2'])
    expect(door!.headerAt(1)?.header.current_hash).toBe(main.current_hash)
    expect(door!.header(above.current_hash)).toMatchObject({ recorded: false })
    expect(door!.ancestry(above.current_hash)?.at(1)?.current_hash).toBe(side.current_hash)
    expect(door!.ancestry('ab'.repeat(32))).toBeUndefined()
  })

  test('has a block fetched by whoever fetches', () => {
    const { node } = opened()
    const asked: unknown[] = []
    node.chain.wanted((checkpoint, from) => asked.push([checkpoint.index, from]))
    finalityDoor(node.chain, node.log).fetch({ index: 7, hash: 'ab'.repeat(32) }, makeKey(2).nodeId)
    expect(asked).toEqual([[7, makeKey(2).nodeId]])
  })
})

test('headers.finality is refused by trails and ledgers of a chain that has none, and judged where there is one', async () => {
  const certified = makeBlock(genesis.block, { finality: { good: false } })
  const { transactions: _none, ...header } = certified
  const submitted = async (node: Lab): Promise<unknown> => [
    await node.chain.submitBlock(certified),
    await node.chain.trail(genesis.block.current_hash)!.extend([header]),
  ]
  const refused = { code: 'bad-finality', provable: true }
  expect(await submitted(opened().node)).toMatchObject([
    { ...refused, detail: 'finality: this chain has no such certificates' },
    refused,
  ])
  expect(await submitted(opened({ finality: new ToldFinality() }).node)).toMatchObject([
    { ...refused, detail: 'it is not good' },
    refused,
  ])
})
