import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { OutboxEntry } from '../../../core/index.ts'
import { step, type Place, type View } from '../../../plugins/notifier/projection.ts'

/** A walk of the recorded chain: so many blocks leave, then so many of a branch come. */
const walk = fc.array(fc.record({ undone: fc.nat(4), applied: fc.nat(5), branch: fc.nat(2) }), { maxLength: 25 })
type Walk = readonly { readonly undone: number; readonly applied: number; readonly branch: number }[]

/** The outbox that a ledger writes for a walk. A block that left may come back. */
function outboxOf(moves: Walk): OutboxEntry[] {
  const chain: string[] = []
  const entries: OutboxEntry[] = []
  const add = (kind: 'applied' | 'undone', index: number, hash: string): void => {
    // Sequences have gaps, as those of SQLite may.
    const sequence = (entries.at(-1)?.sequence ?? 0) + 1 + (entries.length % 3)
    entries.push({ sequence, kind, index, hash, body: undefined })
  }
  for (const { undone, applied, branch } of moves) {
    for (let i = 0; i < undone && chain.length > 0; i++) add('undone', chain.length, chain.pop()!)
    for (let i = 0; i < applied; i++) {
      chain.push(`block-${chain.length + 1}-of-branch-${branch}`)
      add('applied', chain.length, chain.at(-1)!)
    }
  }
  return entries
}

const viewOf = (entries: readonly OutboxEntry[], confirmations: number): View => ({
  confirmations,
  appliedAt: (height, sequence) =>
    entries.findLast((entry) => entry.kind === 'applied' && entry.index === height && entry.sequence <= sequence),
})

const beginning: Place = { sequence: 0, reported: 0, floor: 0 }
interface Told {
  readonly text: string
  readonly sequence: number
  /** Where the target stands after it. */
  readonly place: Place
}

/** Everything that is told from a place on, reading as a courier does: always the entry after the place. */
function tellAll(entries: readonly OutboxEntry[], from: Place, view: View): Told[] {
  const told: Told[] = []
  for (let place = from; ;) {
    const entry = entries.find(({ sequence }) => sequence > place.sequence)
    if (entry === undefined) return told
    const next = step(place, entry, view)
    place = next.place
    if (next.says === undefined) continue
    const { type, entry: about } = next.says
    told.push({ text: `${type} ${about.index} ${about.hash}`, sequence: about.sequence, place })
  }
}

/** The rule itself, by somebody who sees the whole chain at every moment. */
function naive(entries: readonly OutboxEntry[], confirmations: number, before: readonly OutboxEntry[] = []): string[] {
  const told: string[] = []
  const chain = chainAfter(before)
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
const texts = (told: readonly Told[]): string[] => told.map(({ text }) => text)

describe('what a target is told of a random walk of the chain', () => {
  test('is what a naive observer would tell, in that order', () => {
    fc.assert(
      fc.property(walk, depth, (moves, n) => {
        const entries = outboxOf(moves)
        expect(texts(tellAll(entries, beginning, viewOf(entries, n)))).toEqual(naive(entries, n))
      }),
      { numRuns: 500 },
    )
  })

  test('each block that was ever deep enough is confirmed, and each that left after that is orphaned before another takes its place', () => {
    fc.assert(
      fc.property(walk, depth, (moves, n) => {
        const entries = outboxOf(moves)
        const standing: string[] = []
        for (const text of texts(tellAll(entries, beginning, viewOf(entries, n)))) {
          const [type, index, hash] = text.split(' ')
          if (type === 'block_confirmation') {
            standing.push(hash!)
            expect(standing.length).toBe(Number(index))
          } else {
            expect(standing.length).toBe(Number(index))
            expect(standing.pop()).toBe(hash)
          }
        }
        expect(standing).toEqual(chainAfter(entries).slice(0, standing.length))
        expect(standing.length).toBeGreaterThanOrEqual(chainAfter(entries).length - n + 1)
      }),
    )
  })

  test('goes on from any message as it did the first time', () => {
    fc.assert(
      fc.property(walk, depth, fc.nat(), (moves, n, cut) => {
        const entries = outboxOf(moves)
        const whole = tellAll(entries, beginning, viewOf(entries, n))
        const at = whole.length === 0 ? 0 : cut % whole.length
        const from = at === 0 ? beginning : whole[at - 1]!.place
        expect(tellAll(entries, from, viewOf(entries, n))).toEqual(whole.slice(at))
      }),
    )
  })

  test('has growing sequences, each once, whatever the number of confirmations', () => {
    fc.assert(
      fc.property(walk, depth, (moves, n) => {
        const entries = outboxOf(moves)
        const sequences = tellAll(entries, beginning, viewOf(entries, n)).map(({ sequence }) => sequence)
        expect(sequences).toEqual([...new Set(sequences)].toSorted((a, b) => a - b))
      }),
    )
  })

  test('leaves no gap and tells nothing twice when another number of confirmations is asked for on the way', () => {
    fc.assert(
      fc.property(walk, walk, depth, depth, (before, after, n, m) => {
        const entries = outboxOf([...before, ...after])
        const early = entries.slice(0, outboxOf(before).length)
        const first = tellAll(early, beginning, viewOf(early, n))
        const place = lastPlace(early, viewOf(early, n))
        const told = [...first, ...tellAll(entries, place, viewOf(entries, m))]
        const standing: number[] = []
        for (const { text } of told) {
          const index = Number(text.split(' ')[1])
          if (text.startsWith('block_confirmation')) standing.push(index)
          else expect(standing.pop()).toBe(index)
          expect(standing.length).toBe(index - (text.startsWith('block_confirmation') ? 0 : 1))
        }
        // The next block that is recorded brings everything up to date.
        if (!entries.slice(early.length).some(({ kind }) => kind === 'applied')) return
        expect(standing.length).toBeGreaterThanOrEqual(chainAfter(entries).length - m + 1)
      }),
    )
  })

  test('from now on: nothing of what was deep enough before, nor that it was undone', () => {
    fc.assert(
      fc.property(walk, walk, depth, (before, after, n) => {
        const entries = outboxOf([...before, ...after])
        const early = outboxOf(before)
        const height = chainAfter(early).length
        const reported = Math.max(0, height - n + 1)
        const now: Place = { sequence: early.at(-1)?.sequence ?? 0, reported, floor: reported }
        const told = texts(tellAll(entries, now, viewOf(entries, n)))
        expect(told).toEqual(naive(entries.slice(early.length), n, early))
      }),
    )
  })
})

function chainAfter(entries: readonly OutboxEntry[]): string[] {
  const chain: string[] = []
  for (const { kind, hash } of entries) {
    if (kind === 'applied') chain.push(hash)
    else chain.pop()
  }
  return chain
}

function lastPlace(entries: readonly OutboxEntry[], view: View): Place {
  let place = beginning
  for (;;) {
    const entry = entries.find(({ sequence }) => sequence > place.sequence)
    if (entry === undefined) return place
    place = step(place, entry, view).place
  }
}

test('reports of others are nothing to a node with a chain, and everything to one without', () => {
  const entry: OutboxEntry = { sequence: 7, kind: 'reported', index: 3, hash: 'h', body: '{}' }
  const passed = { sequence: 7, reported: 0, floor: 0 }
  expect(step(beginning, entry, viewOf([], 1))).toEqual({ place: passed })
  expect(step(beginning, entry, 'reports')).toEqual({ place: passed, says: { type: 'forward', entry } })
  expect(step(beginning, { ...entry, kind: 'applied' }, 'reports')).toEqual({ place: passed })
})
