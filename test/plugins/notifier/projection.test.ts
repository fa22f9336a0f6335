import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { OutboxEntry } from '../../../core/index.ts'
import { step, type Place } from '../../../plugins/notifier/projection.ts'
import { beginning, follow, knownOf, outboxOf, tellAll, texts, viewOf, walk } from './walk.ts'

/** The rule itself, by somebody who sees the whole chain at every moment. */
function naive(entries: readonly OutboxEntry[], confirmations: number, before: readonly OutboxEntry[] = []): string[] {
  const told: string[] = []
  const chain = [...knownOf(before).chain]
  // What was deep enough before is silently known.
  const silent = chain.slice(0, Math.max(0, chain.length - confirmations + 1))
  let confirmed = [...silent]
  for (const { kind, hash, index } of entries) {
    if (kind === 'applied') chain.push(hash)
    else chain.pop()
    if (kind === 'undone' && confirmed.includes(hash)) {
      if (silent.length < index) told.push(`block_orphaned ${index} ${hash}`)
      else silent.pop()
      confirmed = confirmed.filter((one) => one !== hash)
    }
    for (const [at, block] of chain.entries()) {
      if (chain.length - at < confirmations || confirmed.includes(block)) continue
      told.push(`block_confirmation ${at + 1} ${block}`)
      confirmed.push(block)
    }
  }
  return told
}

const depth = fc.integer({ min: 1, max: 6 })

describe('what a target is told of a random walk of the chain', () => {
  test('is what a naive observer would tell, in that order', () => {
    fc.assert(
      fc.property(walk, depth, (moves, n) => {
        const outbox = outboxOf(moves)
        const expected = naive(outbox.entries, n)
        expect(texts(tellAll(outbox.entries, beginning, viewOf(outbox.entries, n)).told)).toEqual(expected)
        expect(texts(follow(outbox, beginning, n))).toEqual(expected)
      }),
      { numRuns: 500 },
    )
  })

  test('each block that was ever deep enough is confirmed, and each that left after that is orphaned before another takes its place', () => {
    fc.assert(
      fc.property(walk, depth, (moves, n) => {
        const { entries } = outboxOf(moves)
        const { chain } = knownOf(entries)
        const standing: string[] = []
        for (const { index, hash, orphaned } of tellAll(entries, beginning, viewOf(entries, n)).told) {
          if (!orphaned) {
            standing.push(hash)
            expect(standing.length).toBe(index)
          } else {
            expect(standing.length).toBe(index)
            expect(standing.pop()).toBe(hash)
          }
        }
        expect(standing).toEqual(chain.slice(0, standing.length))
        expect(standing.length).toBeGreaterThanOrEqual(chain.length - n + 1)
      }),
    )
  })

  test('goes on from any message as it did the first time', () => {
    fc.assert(
      fc.property(walk, depth, fc.nat(), (moves, n, cut) => {
        const { entries } = outboxOf(moves)
        const whole = tellAll(entries, beginning, viewOf(entries, n)).told
        const at = whole.length === 0 ? 0 : cut % whole.length
        const from = at === 0 ? beginning : whole[at - 1]!.place
        expect(tellAll(entries, from, viewOf(entries, n)).told).toEqual(whole.slice(at))
      }),
    )
  })

  test('has growing sequences, each once, whatever the number of confirmations', () => {
    fc.assert(
      fc.property(walk, depth, (moves, n) => {
        const { entries } = outboxOf(moves)
        const sequences = tellAll(entries, beginning, viewOf(entries, n)).told.map(({ sequence }) => sequence)
        expect(sequences).toEqual([...new Set(sequences)].toSorted((a, b) => a - b))
      }),
    )
  })

  test('leaves no gap and tells nothing twice when another number of confirmations is asked for on the way', () => {
    fc.assert(
      fc.property(walk, walk, depth, depth, (before, after, n, m) => {
        const { entries } = outboxOf([...before, ...after])
        const early = entries.slice(0, outboxOf(before).entries.length)
        const first = tellAll(early, beginning, viewOf(early, n))
        const told = [...first.told, ...tellAll(entries, first.place, viewOf(entries, m)).told]
        const standing: number[] = []
        for (const { index, orphaned } of told) {
          if (orphaned) expect(standing.pop()).toBe(index)
          else standing.push(index)
          expect(standing.length).toBe(index - (orphaned ? 1 : 0))
        }
        // The next block that is recorded brings everything up to date.
        if (!entries.slice(early.length).some(({ kind }) => kind === 'applied')) return
        expect(standing.length).toBeGreaterThanOrEqual(knownOf(entries).chain.length - m + 1)
      }),
    )
  })

  test('from now on: nothing of what was deep enough before, nor that it was undone', () => {
    fc.assert(
      fc.property(walk, walk, depth, (before, after, n) => {
        const { entries } = outboxOf([...before, ...after])
        const early = outboxOf(before).entries
        const reported = Math.max(0, knownOf(early).chain.length - n + 1)
        const now: Place = { sequence: early.at(-1)?.sequence ?? 0, reported, final: reported, floor: reported }
        const { told } = tellAll(entries, now, viewOf(entries, n))
        expect(texts(told)).toEqual(naive(entries.slice(early.length), n, early))
      }),
    )
  })
})

test('reports of others are nothing to a node with a chain, and everything to one without', () => {
  const entry: OutboxEntry = { sequence: 7, kind: 'reported', index: 3, hash: 'h', body: '{"final":false}' }
  const final = { ...entry, body: '{ "final": true }' }
  const passed = { ...beginning, sequence: 7 }
  const reports = (when: 'included' | 'final') => ({ of: 'reports', when }) as const
  expect(step(beginning, entry, viewOf([], 1))).toEqual({ place: passed })
  for (const each of [entry, final]) {
    expect(step(beginning, each, reports('included'))).toEqual({
      place: passed,
      says: { type: 'forward', entry: each },
    })
  }
  expect(step(beginning, { ...entry, kind: 'applied' }, reports('included'))).toEqual({ place: passed })
  expect(step(beginning, final, reports('final'))).toEqual({ place: passed, says: { type: 'forward', entry: final } })
  for (const body of ['{"final":false}', '{"final":"true"}', '[true]', 'no JSON', '']) {
    expect(step(beginning, { ...entry, body }, reports('final'))).toEqual({ place: passed })
  }
})
