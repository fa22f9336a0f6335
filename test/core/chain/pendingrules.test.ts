// What is pending when the head moves, with a desk whose transactions are on their way in for as long as the test likes.
import { expect, test } from 'bun:test'
import { DiskWatch } from '../../../core/chain/diskwatch.ts'
import { Mempool, type PoolEntry } from '../../../core/chain/mempool.ts'
import { PendingRules } from '../../../core/chain/pendingrules.ts'
import { readTransaction, type ReadTransaction } from '../../../core/chain/transaction.ts'
import { AurexError, type Refusal } from '../../../core/errors.ts'
import { defaultNodeLimits } from '../../../core/limits.ts'
import type { StateEntry } from '../../../core/plugin.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { blockOn, someTransaction } from '../../support/chainworld.ts'
import { countersApplication, countersGenesis } from '../../support/counters.ts'

const genesis = countersGenesis()

function readOf(counter: string, add: number): ReadTransaction {
  const transaction = someTransaction(undefined, { counter, add }, genesis.rules.chainId)
  const read = readTransaction(transaction, genesis.rules)
  if (!read.ok) throw new Error(read.detail)
  return read.value
}

function rig() {
  const storage = new MemoryLedger()
  const application = countersApplication()
  storage.begin(genesis, genesis.block, 0, application.opening())
  const mempool = new Mempool(defaultNodeLimits)
  const waiting: PoolEntry[] = []
  const told: [string, string][] = []
  const logged: string[] = []
  const facts: unknown[] = []
  const full = { drop: false }
  const nothing = (): void => undefined
  const note = (message: string): void => void logged.push(message)
  const log = { debug: nothing, info: note, warn: note, error: note }
  const emit = (event: string, fact: unknown): void => void facts.push({ event, fact })
  const rules = new PendingRules({
    application,
    storage: {
      head: () => storage.head(),
      stateAt: (key, height) => storage.stateAt(key, height),
      locate: (hash) => storage.locate(hash),
      dropPending(hashes) {
        if (full.drop) throw new AurexError('storage-full', 'no room')
        storage.dropPending(hashes)
      },
    },
    mempool,
    desk: {
      waiting: () => [...waiting].values(),
      refuse(hash: string, { code }: Refusal) {
        const at = waiting.findIndex(({ read }) => read.hash === hash)
        if (at >= 0) waiting.splice(at, 1)
        told.push([hash, code])
      },
    },
    disk: new DiskWatch({ clock: { monotonic: () => 0, now: () => 0 } as never, log, emit }),
    log,
    emit,
  })
  /** Takes one in as the door does; it is pending once it was written. */
  const admit = (read: ReadTransaction): boolean => {
    const { ok } = rules.admit(read)
    if (ok) waiting.push({ read, receivedAt: 0 })
    return ok
  }
  const written = (): void => {
    for (const entry of waiting.splice(0)) {
      mempool.add(entry)
      storage.keepPending([{ hash: entry.read.hash, transaction: entry.read.transaction, receivedAt: 0 }])
    }
  }
  const record = (reads: readonly ReadTransaction[], state: readonly StateEntry[]): void => {
    const head = storage.block(storage.head().header.current_hash)!
    const block = blockOn(head, { transactions: reads.map(({ transaction }) => transaction) })
    const applied = [
      { block, hashes: reads.map(({ hash }) => hash), receivedAt: reads.map(() => 0), totalWork: 1n, state },
    ]
    const change = { undone: [], applied, returned: [], writtenAt: 0 }
    storage.commit(change)
    for (const { hash } of reads) mempool.remove(hash)
    rules.moved(change)
  }
  return { rules, mempool, storage, waiting, told, logged, facts, full, admit, written, record }
}

test('those on their way in are judged again when the head moves, after all that is pending', () => {
  const { mempool, waiting, told, admit, written, record } = rig()
  const [pending, stays, goes] = [readOf('bank', -10), readOf('bank', -20), readOf('bank', -60)]
  expect(admit(pending)).toBe(true)
  written()
  for (const read of [stays, goes]) expect(admit(read)).toBe(true)
  record([readOf('bank', -50)], [{ key: 'bank', value: '50' }])
  expect(told).toEqual([[goes.hash, 'below-zero']])
  expect(waiting.map(({ read }) => read)).toEqual([stays])
  expect([...mempool.entries()].map(({ read }) => read)).toEqual([pending])
  expect([admit(readOf('bank', -21)), admit(readOf('bank', -20))]).toEqual([false, true])
})

test('a block of what is on its way in leaves the rest as it is', () => {
  const { told, waiting, admit, record } = rig()
  const [first, second] = [readOf('bank', -60), readOf('bank', -40)]
  for (const read of [first, second]) expect(admit(read)).toBe(true)
  record([first], [{ key: 'bank', value: '40' }])
  expect(told).toEqual([])
  // The desk finds out itself, when it writes.
  expect(waiting).toHaveLength(2)
  expect([admit(readOf('bank', -1)), admit(readOf('a', 1))]).toEqual([false, true])
})

test('what was on its way in when a block brought it is not executed a second time', () => {
  const { told, admit, record } = rig()
  const [first, second, foreign] = [readOf('bank', -60), readOf('bank', -30), readOf('bank', -10)]
  for (const read of [first, second]) expect(admit(read)).toBe(true)
  record([foreign, first], [{ key: 'bank', value: '30' }])
  expect(told).toEqual([])
  expect([admit(readOf('bank', -1)), admit(readOf('a', 1))]).toEqual([false, true])
})

test('dropped while the disk is full: gone from memory, told once, and the node goes on', () => {
  const { rules, mempool, storage, facts, full, admit, written, record } = rig()
  const read = readOf('bank', -60)
  admit(read)
  written()
  full.drop = true
  record([readOf('bank', -50)], [{ key: 'bank', value: '50' }])
  expect(mempool.size).toBe(0)
  expect(rules.dropped(read.hash)).toMatchObject({ returned: false, refusal: { code: 'below-zero' } })
  expect([...storage.pending()]).toHaveLength(1)
  expect(facts).toContainEqual({ event: 'storage:failed', fact: expect.objectContaining({ code: 'storage-full' }) })
})

test('of hundreds that are dropped at once every one is a fact, and a few are logged one by one', () => {
  const { facts, logged, admit, written, record } = rig()
  for (let i = 0; i < 100; i++) expect(admit(readOf('bank', -1))).toBe(true)
  written()
  record([readOf('bank', -100)], [{ key: 'bank', value: undefined }])
  expect(facts).toHaveLength(100)
  expect(logged).toHaveLength(21)
})
