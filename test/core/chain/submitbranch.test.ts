import { afterEach, describe, expect, test } from 'bun:test'
import type { Block } from '../../../core/chain/block.ts'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import { purposes } from '../../../core/chain/keys.ts'
import { AurexError } from '../../../core/errors.ts'
import type { Change, Storage } from '../../../core/plugin.ts'
import { testKey } from '../../support/headers.ts'
import {
  blockOn,
  branchOn,
  chainWorld,
  idOf,
  someTransaction,
  type ChainWorld,
  type WorldOptions,
} from '../../support/chainworld.ts'

const genesis = developmentGenesis('pow', { difficulty: 1 }).block
const worlds: ChainWorld[] = []

async function world(options: WorldOptions = {}): Promise<ChainWorld> {
  const made = await chainWorld(options)
  worlds.push(made)
  return made
}

afterEach(async () => {
  for (const node of worlds.splice(0)) await node.dispose()
})

/** What became of a branch, as `code taken`. */
async function submit({ chain }: ChainWorld, blocks: readonly unknown[], from?: string): Promise<string> {
  const { verdict, taken } = await chain.submitBranch(blocks, from)
  return `${verdict.ok ? 'ok' : verdict.code} ${taken}`
}

const headOf = ({ chain }: ChainWorld): string => chain.head().header.current_hash
const hashesOf = (blocks: readonly Block[]): string[] => blocks.map((block) => block.current_hash)
const eventsOf = ({ facts }: ChainWorld): string[] => facts.map(({ event }) => event)

/** Blocks with two transactions each. */
function fullBranch(parent: Block, length: number, extra = ''): Block[] {
  const blocks: Block[] = []
  for (let i = 0; i < length; i++) {
    const transactions = [someTransaction(testKey(1)), someTransaction(testKey(2))]
    blocks.push(blockOn(blocks.at(-1) ?? parent, { transactions, header: { extra } }))
  }
  return blocks
}

/** Between the chain and its ledger: notes what is committed, and fails when told to. */
function watched(): { wrap: (storage: Storage) => Storage; changes: Change[]; fail: (on: boolean) => void } {
  const changes: Change[] = []
  let broken = false
  const wrap = (storage: Storage): Storage =>
    new Proxy(storage, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return (...args: unknown[]): unknown => {
          if (name === 'commit') {
            if (broken) throw new AurexError('storage-full', 'the disk is full')
            changes.push(args[0] as Change)
          }
          return (value as (...args: unknown[]) => unknown).apply(target, args)
        }
      },
    })
  return { wrap, changes, fail: (on) => void (broken = on) }
}

describe('a branch of blocks', () => {
  test('that becomes the chain is written in one step, and told as one move', async () => {
    const { wrap, changes } = watched()
    const node = await world({ wrap })
    const blocks = fullBranch(genesis, 30)
    expect(await submit(node, blocks)).toBe('ok 30')
    expect(changes).toHaveLength(1)
    expect(headOf(node)).toBe(blocks[29]!.current_hash)
    expect(eventsOf(node)).toEqual([...blocks.map(() => 'block:accepted'), 'head:moved'])
    expect(node.facts.at(-1)?.fact).toMatchObject({ undone: [], applied: hashesOf(blocks) })
  })

  test('that displaces another does both in one step, and what was only there is pending again', async () => {
    const { wrap, changes } = watched()
    const node = await world({ wrap })
    const [shared, lost] = [someTransaction(), someTransaction()]
    const main = [blockOn(genesis, { transactions: [shared, lost] })]
    main.push(blockOn(main[0]!))
    await submit(node, main)
    const side = [blockOn(genesis, { transactions: [shared], header: { extra: 'side' } })]
    side.push(blockOn(side[0]!), blockOn(blockOn(side[0]!)))
    const moved: unknown[] = []
    node.chain.watch({ moved: (move) => void moved.push(move) })
    expect(await submit(node, side, 'peer 7')).toBe('ok 3')
    expect(changes).toHaveLength(2)
    expect(changes[1]).toMatchObject({ undone: hashesOf(main).toReversed() })
    expect(node.chain.pendingHashes()).toEqual([idOf(lost)])
    expect(node.chain.status(idOf(shared))).toMatchObject({ status: 'included', blockHash: side[0]!.current_hash })
    expect(moved).toMatchObject([{ undone: hashesOf(main).toReversed(), from: 'peer 7', head: { index: 3 } }])
  })

  test('that is lighter is kept beside the chain, and wins with what comes later', async () => {
    const { wrap, changes } = watched()
    const node = await world({ wrap })
    const main = branchOn(genesis, 5, 'main')
    const side = fullBranch(genesis, 8, 'side')
    await submit(node, main)
    expect(await submit(node, side.slice(0, 4))).toBe('ok 4')
    expect(changes).toHaveLength(1)
    expect(headOf(node)).toBe(main[4]!.current_hash)
    expect(await submit(node, side.slice(4))).toBe('ok 4')
    expect(headOf(node)).toBe(side[7]!.current_hash)
    expect(changes[1]?.applied.map(({ block }) => block.current_hash)).toEqual(hashesOf(side))
    expect(node.chain.head().totalWork).toBe(8n * 16n)
  })

  test('may begin with blocks that are here; all of it may be', async () => {
    const node = await world()
    const blocks = fullBranch(genesis, 10)
    await submit(node, blocks.slice(0, 6))
    expect(await submit(node, blocks)).toBe('ok 10')
    expect(await submit(node, blocks)).toBe('ok 10')
    expect(eventsOf(node).filter((event) => event === 'block:accepted')).toHaveLength(10)
    expect(eventsOf(node)).not.toContain('block:refused')
  })

  test('sent twice at once is written once', async () => {
    const node = await world()
    const blocks = fullBranch(genesis, 10)
    const answers = await Promise.all([submit(node, blocks), submit(node, blocks.slice(0, 7)), submit(node, blocks)])
    expect(answers).toEqual(['ok 10', 'ok 7', 'ok 10'])
    expect(node.chain.head().header.index).toBe(10)
    expect(eventsOf(node).filter((event) => event === 'block:accepted')).toHaveLength(10)
  })

  test('on its way when the chain is closed is not written', async () => {
    const node = await world()
    const answer = submit(node, fullBranch(genesis, 10))
    await node.chain.close()
    expect(await answer).toBe('stopping 0')
    expect(node.chain.head().header.index).toBe(0)
  })

  test('on nothing that is here is an orphan', async () => {
    const node = await world()
    const blocks = fullBranch(genesis, 3)
    expect(await submit(node, blocks.slice(1))).toBe('orphan 0')
    expect(eventsOf(node)).not.toContain('block:refused')
  })
})

describe('threats rows 1, 8, 9, 11: a bad block in a branch', () => {
  const blocks = fullBranch(genesis, 8)
  const good = blocks[4]!
  const [first, second] = good.transactions
  const forgedBy = testKey(7)
  const bad: readonly [string, unknown][] = [
    ['bad-hash', { ...good, current_hash: '0'.repeat(64) }],
    ['bad-tx-root', { ...good, transactions: [second, first] }],
    ['duplicate-transaction', { ...good, transactions: [first, second, second] }],
    ['bad-signature', { ...good, signature: forgedBy.sign(purposes.block, good.current_hash) }],
    ['bad-signature', { ...good, transactions: [first, { ...second, signature: first!.signature }] }],
    ['bad-work', blockOn(blocks[3]!, { header: { work: 1 } })],
    ['bad-timestamp', blockOn(blocks[3]!, { at: Date.parse(genesis.timestamp) })],
    ['timestamp-ahead', blockOn(blocks[3]!, { at: Date.now() + 3 * 3_600_000 })],
    ['bad-parent', blocks[5]],
    ['bad-block', { ...good, index: 'five' }],
  ]
  for (const [code, block] of bad) {
    test(`${code}: those below it are taken, it and those above are not, and the good one still is`, async () => {
      const node = await world()
      expect(await submit(node, [...blocks.slice(0, 4), block, ...blocks.slice(5)])).toBe(`${code} 4`)
      expect(headOf(node)).toBe(blocks[3]!.current_hash)
      expect(eventsOf(node).filter((event) => event === 'block:refused')).toHaveLength(1)
      expect(await submit(node, blocks)).toBe('ok 8')
    })
  }
})

describe('threats row 7: a transaction sent again on a fork', () => {
  const again = someTransaction()

  test('twice in one branch of blocks', async () => {
    const node = await world()
    const below = blockOn(genesis, { transactions: [again] })
    const between = blockOn(below)
    const repeats = blockOn(between, { transactions: [someTransaction(), again] })
    expect(await submit(node, [below, between, repeats])).toBe('duplicate-transaction 2')
  })

  test('in the recorded part below, and in a side block below', async () => {
    const node = await world()
    const below = blockOn(genesis, { transactions: [again] })
    await submit(node, [below, ...branchOn(below, 3, 'main')])
    const side = blockOn(below, { header: { extra: 'side' } })
    expect(await submit(node, [side, blockOn(side, { transactions: [again] })])).toBe('duplicate-transaction 1')
    const late = someTransaction()
    const holds = blockOn(side, { transactions: [late] })
    expect(await submit(node, [holds])).toBe('ok 1')
    expect(await submit(node, [blockOn(holds, { transactions: [late] })])).toBe('duplicate-transaction 0')
  })

  test('recorded above the fork, it may stand in the branch that displaces it', async () => {
    const node = await world()
    await submit(node, [blockOn(genesis, { transactions: [again], header: { extra: 'main' } })])
    const side = [blockOn(genesis, { header: { extra: 'side' } })]
    side.push(blockOn(side[0]!, { transactions: [again] }))
    expect(await submit(node, side)).toBe('ok 2')
    expect(node.chain.status(idOf(again))).toMatchObject({ status: 'included', blockIndex: 2 })
    expect(node.chain.pendingCount()).toBe(0)
  })
})

describe('a ledger that fails', () => {
  test('leaves all of a branch or nothing, after a restart too', async () => {
    const { wrap, fail } = watched()
    const node = await world({ wrap })
    const main = fullBranch(genesis, 3, 'main')
    const side = fullBranch(genesis, 6, 'side')
    await submit(node, main)
    fail(true)
    expect(await submit(node, side)).toBe('storage-unavailable 0')
    expect(headOf(node)).toBe(main[2]!.current_hash)
    expect(node.chain.pendingCount()).toBe(0)
    const again = await node.restart()
    worlds.push(again)
    expect(headOf(again)).toBe(main[2]!.current_hash)
    expect(again.chain.header(side[0]!.current_hash)).toBeUndefined()
    fail(false)
    expect(await submit(again, side)).toBe('ok 6')
  })

  test('where there is no room beside the chain, that is said: the blocks are not here', async () => {
    const node = await world({ limits: { side_blocks_max: 3 } })
    await submit(node, branchOn(genesis, 8, 'main'))
    const side = branchOn(genesis, 6, 'side')
    expect(await submit(node, side)).toBe('side-blocks-full 3')
    expect(node.chain.header(side[2]!.current_hash)).toBeDefined()
    expect(node.chain.header(side[3]!.current_hash)).toBeUndefined()
  })
})

describe('blocks prepared beforehand', () => {
  test('are taken when what they stand on is here, which nobody waits for while they are prepared', async () => {
    const node = await world()
    const blocks = fullBranch(genesis, 12)
    const prepared = await node.chain.prepareBranch(blocks.slice(6))
    expect((await node.chain.submitBranch(prepared)).verdict).toMatchObject({ ok: false, code: 'orphan' })
    await submit(node, blocks.slice(0, 6))
    expect(await node.chain.submitBranch(prepared)).toEqual({ verdict: { ok: true }, taken: 6 })
    expect(headOf(node)).toBe(blocks[11]!.current_hash)
  })

  test('end before the first that does not hold', async () => {
    const node = await world()
    const blocks = fullBranch(genesis, 6)
    const [first, second] = blocks[3]!.transactions
    const spoilt = { ...blocks[3]!, transactions: [first, { ...second, signature: first!.signature }] }
    const prepared = await node.chain.prepareBranch([...blocks.slice(0, 3), spoilt, ...blocks.slice(4)])
    expect(prepared.verdict).toMatchObject({ code: 'bad-signature', provable: true })
    expect(await node.chain.submitBranch(prepared)).toMatchObject({ verdict: { code: 'bad-signature' }, taken: 3 })
    expect(node.facts.at(-1)).toMatchObject({ event: 'block:refused', fact: { hash: blocks[3]!.current_hash } })
  })

  test('are judged by the rules all the same', async () => {
    const node = await world()
    const cheap = blockOn(genesis, { header: { work: 1 } })
    const prepared = await node.chain.prepareBranch([cheap])
    expect(prepared.verdict.ok).toBeTrue()
    expect(await node.chain.submitBranch(prepared)).toMatchObject({ verdict: { code: 'bad-work' }, taken: 0 })
  })

  test('of a branch that reaches too deep by now are refused', async () => {
    const node = await world({ limits: { reorganisation_blocks_max: 5 } })
    const prepared = await node.chain.prepareBranch(branchOn(genesis, 9, 'deep'))
    await submit(node, branchOn(genesis, 6, 'main'))
    const result = await node.chain.submitBranch(prepared)
    expect(result).toMatchObject({ verdict: { code: 'reorganisation-too-deep', provable: false }, taken: 0 })
    expect(node.errors).toHaveLength(1)
  })

  test('of more transactions than are checked ahead', async () => {
    const node = await world()
    const key = testKey(3)
    const blocks: Block[] = []
    for (let i = 0; i < 4; i++) {
      const transactions = Array.from({ length: 700 }, () => someTransaction(key))
      blocks.push(blockOn(blocks.at(-1) ?? genesis, { transactions }))
    }
    const [first, second] = blocks[1]!.transactions
    const spoilt = {
      ...blocks[1]!,
      transactions: [{ ...first!, signature: second!.signature }, ...blocks[1]!.transactions.slice(1)],
    }
    expect(await submit(node, [blocks[0], spoilt, ...blocks.slice(2)])).toBe('bad-signature 1')
    expect(await submit(node, blocks)).toBe('ok 4')
  })
})
