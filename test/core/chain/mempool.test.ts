import { describe, expect, test } from 'bun:test'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import { Mempool, type PoolEntry } from '../../../core/chain/mempool.ts'
import { readTransaction } from '../../../core/chain/transaction.ts'
import { defaultNodeLimits } from '../../../core/limits.ts'
import { someTransaction } from '../../support/chainworld.ts'

const { rules } = developmentGenesis('pow', { difficulty: 1 })

function entry(source?: string, text = ''): PoolEntry {
  const read = readTransaction(someTransaction(undefined, { text }), rules)
  if (!read.ok) throw new Error(read.detail)
  return { read: read.value, receivedAt: 0, source }
}

const poolOf = (limits: Partial<typeof defaultNodeLimits>) => new Mempool({ ...defaultNodeLimits, ...limits })

/** Adds until there is no room; returns what was added. */
function fill(pool: Mempool, source: string | undefined, text?: string): PoolEntry[] {
  const ahead = poolOf({})
  const added: PoolEntry[] = []
  for (;;) {
    const next = entry(source, text)
    if (!pool.room(next.read, ahead, source).ok) return added
    pool.add(next)
    added.push(next)
  }
}

describe('threats row 24: what one source may hold', () => {
  test('as many as it leaves free, so that there is room for one more source', () => {
    const pool = poolOf({ mempool_transactions_max: 96 })
    const counts = ['a', 'b', 'c', 'd'].map((source) => fill(pool, source).length)
    expect(counts).toEqual([48, 24, 12, 6])
    expect(fill(pool, undefined)).toHaveLength(6)
    expect(pool.size).toBe(96)
  })

  test('bytes as well as numbers', () => {
    const bytes = 100_000
    const pool = poolOf({ mempool_bytes_max: bytes })
    fill(pool, 'a', 'x'.repeat(5_000))
    // The last one may cross the line.
    expect(pool.bytes).toBeGreaterThan(bytes / 2 - 6_000)
    expect(pool.bytes).toBeLessThan(bytes / 2 + 6_000)
  })

  test('what is on its way in counts, and what has left does not', () => {
    const pool = poolOf({ mempool_transactions_max: 8 })
    const ahead = poolOf({})
    const next = entry('a').read
    for (let i = 0; i < 4; i++) {
      expect(pool.room(next, ahead, 'a').ok).toBe(true)
      ahead.add(entry('a'))
    }
    expect(pool.room(next, ahead, 'a')).toMatchObject({ code: 'mempool-full' })
    expect(pool.room(next, ahead, 'b').ok).toBe(true)
    const held = fill(pool, 'a')
    expect(held).toHaveLength(4)
    pool.remove(held[0]!.read.hash)
    pool.remove(held[0]!.read.hash)
    expect(fill(pool, 'a')).toHaveLength(1)
  })
})

describe('short names', () => {
  test('the first 16 hex digits find a transaction while it is pending', () => {
    const pool = poolOf({})
    const [one, two] = [entry(), entry()]
    pool.add(one)
    pool.add(two)
    expect(pool.getByPrefix(one.read.hash.slice(0, 16))).toBe(one)
    pool.remove(one.read.hash)
    expect(pool.getByPrefix(one.read.hash.slice(0, 16))).toBeUndefined()
    expect(pool.getByPrefix(two.read.hash.slice(0, 16))).toBe(two)
  })

  test('find nothing while two share them, and the other one when one is gone', () => {
    const pool = poolOf({})
    const one = entry()
    const hash = one.read.hash.slice(0, 16) + 'f'.repeat(48)
    const twin = { ...one, read: { ...one.read, hash } }
    pool.add(one)
    pool.add(twin)
    expect(pool.getByPrefix(hash.slice(0, 16))).toBeUndefined()
    pool.remove(one.read.hash)
    expect(pool.getByPrefix(hash.slice(0, 16))).toBe(twin)
  })
})

test('what was received before a moment, no more than asked for', () => {
  const pool = poolOf({})
  const entries = [300, 100, 200].map((receivedAt) => ({ ...entry(), receivedAt }))
  for (const each of entries) pool.add(each)
  const hashes = entries.map(({ read }) => read.hash)
  expect(pool.receivedBefore(100, 10)).toEqual([])
  expect(pool.receivedBefore(201, 10)).toEqual([hashes[1]!, hashes[2]!])
  expect(pool.receivedBefore(1_000, 2)).toEqual([hashes[0]!, hashes[1]!])
})
