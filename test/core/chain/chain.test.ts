import { afterEach, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Block } from '../../../core/chain/block.ts'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import { AurexError } from '../../../core/errors.ts'
import type { Storage } from '../../../core/plugin.ts'
import { dice } from '../../support/dice.ts'
import { eventually } from '../../support/eventually.ts'
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

const worlds: ChainWorld[] = []
const genesisOfTests = developmentGenesis('pow', { difficulty: 1 }).block

async function world(options: WorldOptions = {}): Promise<ChainWorld> {
  const made = await chainWorld(options)
  worlds.push(made)
  return made
}

afterEach(async () => {
  for (const node of worlds.splice(0)) await node.dispose()
})

/** `ok`, or the code of the refusal. */
async function submit({ chain }: ChainWorld, block: unknown, from?: string): Promise<string> {
  const verdict = await chain.submitBlock(block, from)
  return verdict.ok ? 'ok' : verdict.code
}

async function admit({ chain }: ChainWorld, transaction: unknown): Promise<string> {
  const result = await chain.submitTransaction(transaction)
  return result.ok ? result.value.status : result.code
}

const headOf = ({ chain }: ChainWorld): string => chain.head().header.current_hash

describe('recording', () => {
  test('a transaction is pending, then in a block, and counts its confirmations', async () => {
    const node = await world()
    const transaction = someTransaction()
    expect(node.chain.status(idOf(transaction))).toEqual({ status: 'unknown' })
    expect(await admit(node, transaction)).toBe('admitted')
    expect(node.chain.status(idOf(transaction))).toEqual({ status: 'pending' })
    const first = blockOn(node.genesis.block, { transactions: [transaction] })
    expect(await submit(node, first)).toBe('ok')
    expect(await submit(node, blockOn(first))).toBe('ok')
    expect(node.chain.pendingCount()).toBe(0)
    expect(node.chain.status(idOf(transaction))).toEqual({
      status: 'included',
      blockIndex: 1,
      blockHash: first.current_hash,
      confirmations: 2,
    })
  })

  test('what was admitted is pending again after a restart, in its order', async () => {
    const node = await world()
    const transactions = [1, 2, 3].map((byte) => someTransaction(testKey(byte)))
    for (const transaction of transactions) await admit(node, transaction)
    const again = await node.restart()
    worlds.push(again)
    expect([...again.chain.mempool.entries()].map(({ read }) => read.hash)).toEqual(transactions.map(idOf))
  })

  test('a transaction that arrives twice at the same moment is admitted once, and both are told', async () => {
    const node = await world()
    const transaction = someTransaction()
    const answers = await Promise.all([admit(node, transaction), admit(node, transaction)])
    // The second one is told of the first, whether that is still on its way or written already.
    expect(answers.every((answer) => answer === 'admitted' || answer === 'pending')).toBeTrue()
    expect(answers).toContain('admitted')
    expect(node.chain.pendingCount()).toBe(1)
  })

  test('facts are told after they are true, oldest first', async () => {
    const node = await world()
    const [first, second] = branchOn(node.genesis.block, 2)
    await submit(node, first)
    await submit(node, second)
    expect(node.facts.map(({ event }) => event)).toEqual([
      'block:accepted',
      'head:moved',
      'block:accepted',
      'head:moved',
    ])
  })
})

describe('threats row 7: a transaction sent again is in the chain once', () => {
  test('at once, when pending, when recorded, and after a restart', async () => {
    const node = await world()
    const transaction = someTransaction()
    await admit(node, transaction)
    expect(await admit(node, transaction)).toBe('pending')
    const block = blockOn(node.genesis.block, { transactions: [transaction] })
    await submit(node, block)
    expect(await admit(node, transaction)).toBe('included')
    const again = await node.restart()
    worlds.push(again)
    expect(await admit(again, transaction)).toBe('included')
    expect(again.chain.pendingCount()).toBe(0)
  })

  test('a later block that holds it again is refused', async () => {
    const node = await world()
    const transaction = someTransaction()
    const first = blockOn(node.genesis.block, { transactions: [transaction] })
    await submit(node, first)
    expect(await submit(node, blockOn(first, { transactions: [transaction] }))).toBe('duplicate-transaction')
  })

  test('two branches may each hold it; neither may hold it twice', async () => {
    const node = await world()
    const transaction = someTransaction()
    const main = blockOn(node.genesis.block, { transactions: [transaction] })
    await submit(node, main)
    const side = blockOn(node.genesis.block, { transactions: [transaction], header: { extra: 'side' } })
    expect(await submit(node, side)).toBe('ok')
    expect(await submit(node, blockOn(side, { transactions: [transaction] }))).toBe('duplicate-transaction')
    expect(await submit(node, blockOn(side))).toBe('ok')
    expect(node.chain.status(idOf(transaction))).toMatchObject({ status: 'included', blockHash: side.current_hash })
  })
})

describe('threats rows 8 and 9: an invalid variant does not keep the good one out', () => {
  test('a body that is not the header’s, then the good body', async () => {
    const node = await world()
    const block = blockOn(node.genesis.block, { transactions: [someTransaction(), someTransaction()] })
    const [one, two] = block.transactions
    expect(await submit(node, { ...block, transactions: [two, one] })).toBe('bad-tx-root')
    expect(await submit(node, { ...block, transactions: [one, two, two] })).toBe('duplicate-transaction')
    expect(await submit(node, block)).toBe('ok')
  })

  test('a block with a spoilt transaction signature, which its hash does not cover, then the good one', async () => {
    const node = await world()
    const [transaction, other] = [someTransaction(), someTransaction()]
    await admit(node, transaction) // known and verified, under its own signature only
    const block = blockOn(node.genesis.block, { transactions: [transaction] })
    const spoilt = { ...block, transactions: [{ ...transaction, signature: other.signature }] }
    expect(await submit(node, spoilt)).toBe('bad-signature')
    expect(await submit(node, block)).toBe('ok')
  })

  test('a block with a spoilt signature of its own, then the good one', async () => {
    const node = await world()
    const block = blockOn(node.genesis.block)
    const signature = testKey(3).sign('aurex/block/1', block.current_hash)
    expect(await submit(node, { ...block, signature })).toBe('bad-signature')
    expect(await submit(node, block)).toBe('ok')
  })

  test('a transaction with a spoilt signature, then the good one', async () => {
    const node = await world()
    const transaction = someTransaction()
    expect(await admit(node, { ...transaction, signature: someTransaction().signature })).toBe('bad-signature')
    expect(await admit(node, transaction)).toBe('admitted')
  })
})

describe('threats rows 1, 2, 6, 10 and 11, against a chain', () => {
  test('row 1: an invented current_hash', async () => {
    const node = await world()
    const block = blockOn(node.genesis.block)
    expect(await submit(node, { ...block, current_hash: '0'.repeat(64) })).toBe('bad-hash')
  })

  test('row 2: somebody’s block with another miner and key put in', async () => {
    const node = await world()
    const thief = testKey(66)
    const block = blockOn(node.genesis.block)
    const signature = thief.sign('aurex/block/1', block.current_hash)
    const stolen = { ...block, miner_id: thief.nodeId, public_key_pem: thief.pem, signature }
    expect(await submit(node, stolen)).toBe('bad-hash')
  })

  test('row 6: a block of another chain', async () => {
    const node = await world()
    const block = blockOn(node.genesis.block, { header: { chain_id: 'f'.repeat(64) } })
    expect(await submit(node, block)).toBe('wrong-chain')
  })

  test('row 10: more than two hours ahead; not later than the median of the last 11', async () => {
    const node = await world()
    const now = Date.now()
    const ahead = blockOn(node.genesis.block, { at: now + 3 * 3_600_000 })
    expect(await submit(node, ahead)).toBe('timestamp-ahead')
    const branch = branchOn(node.genesis.block, 12)
    for (const block of branch) expect(await submit(node, block)).toBe('ok')
    const head = branch.at(-1)!
    const median = Date.parse(branch[6]!.timestamp) // of blocks 2 to 12
    expect(await submit(node, blockOn(head, { at: median }))).toBe('bad-timestamp')
    expect(await submit(node, blockOn(head, { at: median + 1 }))).toBe('ok')
  })

  test('row 11: less or more work than the rules give, before anybody looks at the body', async () => {
    const node = await world()
    const spoilt = [{ ...someTransaction(), signature: 'none' }]
    for (const work of [1, 15, 17, 256]) {
      const block = blockOn(node.genesis.block, { header: { work } })
      expect(await submit(node, { ...block, transactions: spoilt })).toBe('bad-work')
    }
    const unsealed = blockOn(node.genesis.block, { sealedAs: 1, header: { extra: 'not sealed at all' } })
    if (!unsealed.current_hash.startsWith('0')) expect(await submit(node, unsealed)).toBe('bad-seal')
  })
})

describe('fork choice and reorganisation', () => {
  test('the longer branch wins, its loser’s transactions are pending again, and the fact lists both', async () => {
    const node = await world()
    const [kept, returned] = [someTransaction(), someTransaction()]
    await admit(node, kept)
    await admit(node, returned)
    const main = blockOn(node.genesis.block, { transactions: [kept, returned] })
    await submit(node, main)
    const side = blockOn(node.genesis.block, { transactions: [kept], header: { extra: 'side' } })
    const top = blockOn(side)
    await submit(node, side)
    expect(await submit(node, top)).toBe('ok')
    expect(headOf(node)).toBe(top.current_hash)
    expect(node.chain.status(idOf(returned))).toEqual({ status: 'pending' })
    expect(node.chain.status(idOf(kept))).toMatchObject({ status: 'included', blockHash: side.current_hash })
    expect(node.chain.block(main.current_hash)).toEqual(main)
    const again = await node.restart()
    worlds.push(again)
    expect(again.chain.status(idOf(returned))).toEqual({ status: 'pending' })
  })

  test('what comes back to the pool comes in the order in which it was recorded', async () => {
    const node = await world()
    const transactions = [someTransaction(), someTransaction(), someTransaction()]
    let head = node.genesis.block
    for (const transaction of transactions) {
      head = blockOn(head, { transactions: [transaction] })
      await submit(node, head)
    }
    for (const block of branchOn(node.genesis.block, 4, 'side')) await submit(node, block)
    expect([...node.chain.mempool.entries()].map(({ read }) => read.hash)).toEqual(transactions.map(idOf))
    const again = await node.restart()
    worlds.push(again)
    expect([...again.chain.mempool.entries()].map(({ read }) => read.hash)).toEqual(transactions.map(idOf))
  })

  test('a branch can win back, from blocks kept on the side', async () => {
    const node = await world()
    const main = branchOn(node.genesis.block, 2, 'main')
    const side = branchOn(node.genesis.block, 3, 'side')
    for (const block of [...main, ...side]) await submit(node, block)
    expect(headOf(node)).toBe(side[2]!.current_hash)
    const more = [blockOn(main[1]!)]
    more.push(blockOn(more[0]!))
    for (const block of more) expect(await submit(node, block)).toBe('ok')
    expect(headOf(node)).toBe(more[1]!.current_hash)
    expect(node.facts.findLast(({ event }) => event === 'head:moved')?.fact).toMatchObject({
      undone: side.map((block) => block.current_hash).toReversed(),
      applied: [...main, ...more].map((block) => block.current_hash),
    })
  })

  test('at equal work the lower hash is the head, in whichever order they came', async () => {
    const blocks = ['a', 'b', 'c', 'd'].map((extra) => blockOn(genesisOfTests, { header: { extra } }))
    const lowest = blocks.map((block) => block.current_hash).toSorted()[0]!
    for (const order of [blocks, blocks.toReversed()]) {
      const node = await world()
      for (const block of order) await submit(node, block)
      expect(headOf(node)).toBe(lowest)
    }
  })

  test('threats row 13: a branch that leaves below the limit is refused with an alarm', async () => {
    const node = await world({ limits: { reorganisation_blocks_max: 5 } })
    const main = branchOn(node.genesis.block, 6, 'main')
    for (const block of main) await submit(node, block)
    expect(await submit(node, blockOn(node.genesis.block, { header: { extra: 'deep' } }))).toBe(
      'reorganisation-too-deep',
    )
    expect(node.errors).toEqual(['a branch that would undo more blocks than allowed was refused'])
    expect(await submit(node, blockOn(main[0]!, { header: { extra: 'allowed' } }))).toBe('ok')
  })

  test('any tree of blocks, in any order, with doubles: the same head and the same rows', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 2 ** 31 }), async (seed) => {
        const roll = dice(seed)
        const blocks: Block[] = [genesisOfTests]
        for (let i = 1; i < 14; i++) {
          const parent = blocks[Math.floor(roll() * blocks.length)]!
          blocks.push(
            blockOn(parent, {
              header: { extra: `${seed} ${i}` },
              transactions: i % 3 === 0 ? [someTransaction()] : [],
            }),
          )
        }
        const heads = new Set<string>()
        for (let order = 0; order < 2; order++) {
          const node = await chainWorld({ limits: { orphan_blocks_per_source_max: 100 } })
          const shuffled = blocks.slice(1).toSorted(() => roll() - 0.5)
          for (const block of [...shuffled, ...shuffled]) await submit(node, block)
          // Orphans find their parents in later turns: done when every block is known.
          const known = (block: Block): boolean => node.chain.block(block.current_hash) !== undefined
          await eventually(() => blocks.slice(1).every(known), 'every block is known')
          heads.add(headOf(node))
          await node.dispose()
        }
        expect(heads.size).toBe(1)
      }),
      { numRuns: 8 },
    )
  }, 60_000)
})

describe('orphans', () => {
  test('a block whose parent is missing waits for it', async () => {
    const node = await world()
    const [first, second, third] = branchOn(node.genesis.block, 3)
    expect(await submit(node, third)).toBe('orphan')
    expect(await submit(node, second)).toBe('orphan')
    expect(await submit(node, first)).toBe('ok')
    await eventually(() => headOf(node) === third!.current_hash, 'the orphan is the head')
  })

  test('one source cannot keep more than its share', async () => {
    const node = await world({ limits: { orphan_blocks_per_source_max: 2 } })
    const mine = branchOn(node.genesis.block, 2)
    await submit(node, mine[1], 'honest')
    for (let i = 0; i < 20; i++) {
      const stranger = blockOn(node.genesis.block, { header: { prev_hash: 'e'.repeat(64), extra: `${i}` } })
      expect(await submit(node, stranger, 'flood')).toBe('orphan')
    }
    await submit(node, mine[0])
    await eventually(() => headOf(node) === mine[1]!.current_hash, 'the orphan is the head')
  })
})

describe('threats row 24: quotas', () => {
  test('one sender fills its share and is told to wait; others still get in; a block makes room', async () => {
    const node = await world({ limits: { mempool_sender_transactions_max: 5, mempool_transactions_max: 8 } })
    const greedy = Array.from({ length: 9 }, () => someTransaction(testKey(1)))
    const answers = await Promise.all(greedy.map((transaction) => admit(node, transaction)))
    expect(answers.filter((answer) => answer === 'admitted')).toHaveLength(5)
    expect(answers.filter((answer) => answer === 'sender-quota')).toHaveLength(4)
    for (const byte of [2, 3, 4]) expect(await admit(node, someTransaction(testKey(byte)))).toBe('admitted')
    expect(await admit(node, someTransaction(testKey(5)))).toBe('mempool-full')
    const pending = [...node.chain.mempool.entries()].map(({ read }) => read.transaction)
    await submit(node, blockOn(node.genesis.block, { transactions: pending }))
    expect(await admit(node, someTransaction(testKey(1)))).toBe('admitted')
  })

  test('bytes are counted too', async () => {
    const node = await world({ limits: { mempool_bytes_max: 3_000 } })
    const fat = () => someTransaction(testKey(1), { text: 'x'.repeat(1_000) })
    expect(await admit(node, fat())).toBe('admitted')
    expect(await admit(node, fat())).toBe('admitted')
    expect(await admit(node, fat())).toBe('mempool-full')
    expect(await admit(node, someTransaction(testKey(2)))).toBe('admitted')
  })
})

describe('threats row 29: a ledger that cannot be written', () => {
  function failing(): { wrap: (storage: Storage) => Storage; fail: (on: boolean) => void } {
    let broken = false
    const wrap = (storage: Storage): Storage =>
      new Proxy(storage, {
        get: (target, name) => {
          const value: unknown = Reflect.get(target, name, target)
          if (typeof value !== 'function') return value
          if (broken && ['commit', 'keepPending', 'keepSide'].includes(String(name))) {
            return () => {
              throw new AurexError('storage-full', 'the disk is full')
            }
          }
          return (value as (...args: unknown[]) => unknown).bind(target)
        },
      })
    return { wrap, fail: (on) => void (broken = on) }
  }

  test('writes are refused with a reason, reads go on, work resumes when there is room', async () => {
    const { wrap, fail } = failing()
    const node = await world({ wrap })
    const [early, late] = [someTransaction(), someTransaction()]
    await admit(node, early)
    const block = blockOn(node.genesis.block, { transactions: [early] })
    fail(true)
    expect(await admit(node, late)).toBe('storage-unavailable')
    expect(await submit(node, block)).toBe('storage-unavailable')
    expect(node.chain.status(idOf(early))).toEqual({ status: 'pending' })
    expect(node.chain.status(idOf(late))).toEqual({ status: 'unknown' })
    expect(node.chain.head().header.index).toBe(0)
    fail(false)
    expect(await submit(node, block)).toBe('ok')
    expect(await admit(node, late)).toBe('admitted')
    const events = node.facts.map(({ event }) => event)
    expect(events.filter((event) => event === 'storage:failed')).toHaveLength(2)
    expect(events).toContain('storage:recovered')
  })
})
