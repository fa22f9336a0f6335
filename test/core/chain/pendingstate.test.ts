// The state with all that is pending, against one that is computed from scratch each time.
import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { PendingState } from '../../../core/chain/pendingstate.ts'
import { readTransaction, type ReadTransaction } from '../../../core/chain/transaction.ts'
import { someTransaction } from '../../support/chainworld.ts'
import { countersApplication, countersGenesis, openingCounters } from '../../support/counters.ts'

const genesis = countersGenesis()
const counters = ['a', 'b', 'bank']

function readOf(counter: string, add: number): ReadTransaction {
  const transaction = someTransaction(undefined, { counter, add }, genesis.rules.chainId)
  const read = readTransaction(transaction, genesis.rules)
  if (!read.ok) throw new Error(read.detail)
  return read.value
}

/** A ledger that is a row of blocks, and what is pending above it, both executed anew whenever they are asked. */
class Plain {
  readonly recorded: ReadTransaction[][] = []
  pending: ReadTransaction[] = []

  #valuesOf(reads: readonly ReadTransaction[], from: ReadonlyMap<string, number>): Map<string, number> | undefined {
    const values = new Map(from)
    for (const { transaction } of reads) {
      const { counter, add } = transaction.data as { counter: string; add: number }
      const value = (values.get(counter) ?? 0) + add
      if (value < 0) return undefined
      values.set(counter, value)
    }
    return values
  }

  #opening = new Map(Object.entries(openingCounters))

  at(height: number): Map<string, number> {
    return this.#valuesOf(this.recorded.slice(0, height).flat(), this.#opening)!
  }

  with(reads: readonly ReadTransaction[]): Map<string, number> | undefined {
    return this.#valuesOf(reads, this.at(this.recorded.length))
  }
}

type Step =
  | { kind: 'take'; counter: string; add: number }
  | { kind: 'letGo'; count: number }
  | { kind: 'record'; count: number }
  | { kind: 'other'; counter: string; add: number; skip: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('take' as const),
      counter: fc.constantFrom(...counters),
      add: fc.integer({ min: -4, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('letGo' as const), count: fc.nat(3) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('record' as const), count: fc.nat(4) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('other' as const),
      counter: fc.constantFrom(...counters),
      add: fc.integer({ min: -6, max: -1 }),
      skip: fc.nat(2),
    }),
  },
)

test('taken, let go, recorded, undone by others’ blocks: always as if executed from scratch', () => {
  const seen = { refused: 0, valid: 0, dropped: 0 }
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
      const plain = new Plain()
      const storage = {
        head: () => ({
          header: { ...genesis.block, index: plain.recorded.length },
          totalWork: 0n,
          recorded: true as const,
        }),
        stateAt: (key: string, height: number) => {
          const value = plain.at(height).get(key) ?? 0
          return value === 0 ? undefined : String(value)
        },
      }
      const state = new PendingState({ application: countersApplication(), storage })
      for (const one of steps) {
        if (one.kind === 'take') {
          const read = readOf(one.counter, one.add)
          const holds = plain.with([...plain.pending, read]) !== undefined
          expect(state.take(read).ok).toBe(holds)
          if (holds) plain.pending.push(read)
          else seen.refused++
        } else if (one.kind === 'letGo') {
          const gone = plain.pending.splice(Math.max(0, plain.pending.length - one.count))
          expect(state.letGo(gone)).toBe(true)
        } else if (one.kind === 'record') {
          const block = plain.pending.splice(0, one.count)
          plain.recorded.push(block)
          expect(state.recorded(block.map(({ transaction }) => transaction))).toBe(true)
          seen.valid++
        } else {
          // Somebody else's block: a transaction that was never here, and one of those that were, if there are any.
          const wanted = readOf(one.counter, one.add)
          const foreign = plain.with([wanted]) === undefined ? readOf(one.counter, 1) : wanted
          const ours = plain.pending[one.skip]
          const block = ours !== undefined && plain.with([foreign, ours]) !== undefined ? [foreign, ours] : [foreign]
          plain.recorded.push(block)
          expect(state.recorded(block.map(({ transaction }) => transaction))).toBe(false)
          const left = plain.pending.filter((read) => !block.includes(read))
          const { held, refused } = state.rebuild(left)
          expect(held.length + refused.length).toBe(left.length)
          seen.dropped += refused.length
          plain.pending = held
        }
        const expected = plain.with(plain.pending)!
        for (const counter of counters) {
          const value = expected.get(counter) ?? 0
          expect(state.get(counter)).toBe(value === 0 ? undefined : String(value))
        }
      }
    }),
    { numRuns: 150 },
  )
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(0)
})

test('what stands before what it builds on is tried again after it', () => {
  const stateAt = (): undefined => undefined
  const head = () => ({ header: genesis.block, totalWork: 0n, recorded: true as const })
  const state = new PendingState({ application: countersApplication(), storage: { head, stateAt } })
  const [third, second, first, never] = [readOf('a', -3), readOf('a', 2), readOf('a', 1), readOf('b', -1)]
  const { held, refused } = state.rebuild([third, never, second, first])
  expect(held).toEqual([second, first, third])
  expect(refused).toMatchObject([{ hash: never.hash, refusal: { code: 'below-zero' } }])
})

test('the same id by another key or with another signature is not the one that is pending', () => {
  const head = () => ({ header: genesis.block, totalWork: 0n, recorded: true as const })
  const state = new PendingState({
    application: countersApplication(),
    storage: { head, stateAt: () => undefined },
  })
  const read = readOf('a', 1)
  expect(state.take(read).ok).toBe(true)
  expect(state.recorded([{ ...read.transaction, public_key_pem: 'another' }])).toBe(false)
  expect(state.recorded([{ ...read.transaction, signature: 'another' }])).toBe(false)
  expect(state.recorded([read.transaction, read.transaction])).toBe(false)
  expect(state.recorded([{ ...read.transaction }])).toBe(true)
})
