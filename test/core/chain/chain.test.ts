import { afterEach, describe, expect, test } from 'bun:test'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import { Orphans } from '../../../core/chain/orphans.ts'
import { AurexError } from '../../../core/errors.ts'
import type { Storage } from '../../../core/plugin.ts'
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

  test('a block that is here is known, whether it came before or comes twice at once', async () => {
    const node = await world()
    const block = blockOn(node.genesis.block)
    const answers = await Promise.all([submit(node, block), submit(node, block)])
    expect(answers.toSorted()).toEqual(['known', 'ok'])
    expect(await submit(node, block)).toBe('known')
    expect(node.facts.map(({ event }) => event)).toEqual(['block:accepted', 'head:moved'])
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
  test('the longer branch wins, its loser’s transactions are pending again, and stay known as orphaned', async () => {
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
    expect(node.chain.status(idOf(returned))).toEqual({ status: 'orphaned' })
    expect(node.chain.status(idOf(kept))).toMatchObject({ status: 'included', blockHash: side.current_hash })
    expect(node.chain.block(main.current_hash)).toEqual(main)
    const again = await node.restart()
    worlds.push(again)
    expect(again.chain.status(idOf(returned))).toEqual({ status: 'orphaned' })
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

  test('threats row 13: a branch that leaves below the limit is refused, with one alarm for all of it', async () => {
    const node = await world({ limits: { reorganisation_blocks_max: 5 } })
    const main = branchOn(node.genesis.block, 6, 'main')
    for (const block of main.slice(0, 5)) await submit(node, block)
    const deep = branchOn(node.genesis.block, 12, 'deep')
    expect(await submit(node, deep[0])).toBe('ok')
    await submit(node, main[5])
    expect(await submit(node, deep[1])).toBe('reorganisation-too-deep')
    expect((await node.chain.submitBranch(deep)).verdict).toMatchObject({
      code: 'reorganisation-too-deep',
      provable: false,
    })
    expect(headOf(node)).toBe(main[5]!.current_hash)
    expect(node.errors).toEqual(['a heavier branch was refused: it would undo more blocks than allowed'])
    const alarms = node.facts.filter(({ event }) => event === 'reorganisation:refused')
    expect(alarms.map(({ fact }) => fact)).toEqual([
      { code: 'reorganisation-too-deep', block: deep[0]!.current_hash, depth: 6, depthMax: 5 },
    ])
    expect(await submit(node, blockOn(main[0]!, { header: { extra: 'allowed' } }))).toBe('ok')
  })
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

  test('are dropped with the connection that they came by, and only those', async () => {
    const node = await world()
    const [first, second, third] = branchOn(node.genesis.block, 3)
    await submit(node, second, 'gone')
    await submit(node, third, 'stays')
    node.chain.forget('gone')
    await submit(node, first)
    // Had it been kept, it would be known by now: what was adopted before it is.
    for (let turns = 0; turns < 5; turns++) await submit(node, blockOn(first!, { header: { extra: `${turns}` } }))
    expect(await submit(node, second)).toBe('ok')
    await eventually(() => headOf(node) === third!.current_hash, 'the orphan that stayed is the head')
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

describe('threats row 12: a flood of cheap blocks', () => {
  test('less work than the rules give is stored nowhere; what stands on nothing, within its limits', async () => {
    const node = await world({ limits: { orphan_blocks_max: 5, orphan_blocks_per_source_max: 3 } })
    const honest = branchOn(node.genesis.block, 2)
    expect(await submit(node, honest[1], 'honest')).toBe('orphan')
    for (let i = 0; i < 40; i++) {
      const cheap = blockOn(node.genesis.block, { header: { work: 1, extra: `${i}` } })
      expect(await submit(node, cheap, 'flood')).toBe('bad-work')
      expect(await submit(node, blockOn(cheap, { header: { work: 1 } }), 'flood')).toBe('orphan')
    }
    expect(node.storage.counts()).toEqual({ transactions: 0, sideBlocks: 0 })
    expect(await submit(node, honest[0], 'honest')).toBe('ok')
    await eventually(() => headOf(node) === honest[1]!.current_hash, 'the honest orphan is the head')
  })

  test('the memory that blocks without parents take is bounded in number and in bytes, whoever sends them', () => {
    const orphans = new Orphans({ orphan_blocks_max: 8, orphan_bytes_max: 10_000, orphan_blocks_per_source_max: 3 })
    const [parent, ...blocks] = branchOn(genesisOfTests, 60)
    for (const [i, block] of blocks.entries()) orphans.keep(block, 100, `source ${i % 20}`)
    expect(orphans.size).toBe(8)
    orphans.keep(parent!, 9_950, 'another')
    expect(orphans.size).toBe(1)
    orphans.keep(parent!, 10_001, 'one more')
    expect(orphans.size).toBe(1)
  })
})

describe('threats row 34: a clock that is off', () => {
  const hour = 3_600_000
  for (const hours of [-1, 1, -3, 3]) {
    test(`by ${hours} h: blocks are refused as ahead at most, and there is one chain once it is right`, async () => {
      const [off, right] = [await world({ clockOffset: hours * hour }), await world()]
      const blocks = [blockOn(genesisOfTests, { at: Date.now() + hours * hour })]
      blocks.push(blockOn(blocks[0]!, { at: Date.now() + Math.max(0, hours) * hour + 1 }))
      blocks.push(blockOn(blocks[1]!), blockOn(blocks[1]!, { header: { extra: 'beside' } }))
      for (const block of blocks) {
        for (const node of [off, right]) {
          const { verdict } = await node.chain.submitBranch([block], 'peer')
          expect(verdict.ok || (['timestamp-ahead', 'orphan'].includes(verdict.code) && !verdict.provable)).toBeTrue()
        }
      }
      // Clocks are set right, and what was made by the wrong one is in the past.
      off.setClockOffset(4 * hour)
      right.setClockOffset(4 * hour)
      for (const node of [off, right]) for (const block of blocks) await node.chain.submitBranch([block], 'peer')
      expect(headOf(off)).toBe(headOf(right))
      expect(off.chain.head().header.index).toBe(3)
    })
  }

  test('a block that was ahead is taken when its time has come, and nothing of it was kept before', async () => {
    const node = await world()
    const ahead = blockOn(node.genesis.block, { at: Date.now() + 3 * hour })
    for (let again = 0; again < 3; again++) expect(await submit(node, ahead)).toBe('timestamp-ahead')
    expect(node.chain.header(ahead.current_hash)).toBeUndefined()
    node.setClockOffset(2 * hour)
    expect(await submit(node, ahead)).toBe('ok')
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
