// What a target is told of blocks that become final, on random walks of the chain.
import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { step, type Place } from '../../../plugins/notifier/projection.ts'
import {
  beginning,
  finalWalk,
  follow,
  knownOf,
  outboxOf,
  tellAll,
  tellNext,
  texts,
  viewOf,
  type Outbox,
  type Told,
} from './walk.ts'

const depth = fc.integer({ min: 1, max: 5 })

/** The rule itself, by somebody who sees the whole chain at every moment and is never behind. */
function naive({ entries, ends }: Outbox, confirmations: number): string[] {
  const told: string[] = []
  const chain: string[] = []
  let confirmed: string[] = []
  let settled = 0
  const settle = (upTo: number): void => {
    for (; settled < upTo; settled++) told.push(`block_confirmation ${settled + 1} ${confirmed[settled]} final`)
  }
  for (const [n, end] of ends.entries()) {
    const known = knownOf(entries.slice(0, end))
    for (const { kind, hash, index } of entries.slice(n === 0 ? 0 : ends[n - 1], end)) {
      if (kind === 'final') settle(Math.min(index, confirmed.length))
      if (kind === 'applied') chain.push(hash)
      if (kind === 'undone') chain.pop()
      if (kind === 'undone' && confirmed.includes(hash)) {
        told.push(`block_orphaned ${index} ${hash}`)
        confirmed = confirmed.filter((one) => one !== hash)
      }
      for (const [at, block] of chain.entries()) {
        if (chain.length - at < confirmations || confirmed.includes(block)) continue
        confirmed.push(block)
        if (known.final > at) settle(at + 1)
        else told.push(`block_confirmation ${at + 1} ${block}`)
      }
    }
  }
  return told
}

/** Checks each message as it comes, against what the ledger knows at that moment. */
class Listener {
  /** What stands, by height. */
  readonly standing: string[] = []
  readonly #ids = new Set<string>()
  settled = 0

  hear({ index, hash, sequence, final, orphaned }: Told, { chain, final: known }: ReturnType<typeof knownOf>): void {
    const id = `${sequence} ${final} ${orphaned}`
    expect(this.#ids).not.toContain(id)
    this.#ids.add(id)
    const isFinal = index <= known && chain[index - 1] === hash
    if (orphaned) {
      // Never of what is final by now, and always of the topmost.
      expect(isFinal).toBe(false)
      expect([this.standing.length, this.standing.pop()]).toEqual([index, hash])
      return
    }
    if (index <= this.standing.length) {
      // Told before: only to say that it is final.
      expect([this.standing[index - 1], final]).toEqual([hash, true])
    } else this.standing.push(hash)
    expect(this.standing.length).toBeGreaterThanOrEqual(index)
    if (!final) return
    // In order of height, each once, and true.
    expect([index, isFinal]).toEqual([this.settled + 1, true])
    this.settled = index
  }
}

describe('a target that is never behind', () => {
  test('is told what a naive observer would tell, in that order', () => {
    fc.assert(
      fc.property(finalWalk, depth, (moves, n) => {
        const outbox = outboxOf(moves)
        expect(texts(follow(outbox, beginning, n))).toEqual(naive(outbox, n))
      }),
      { numRuns: 500 },
    )
  })

  test('has growing sequences but where a block is told once more, with its own', () => {
    fc.assert(
      fc.property(finalWalk, depth, (moves, n) => {
        let last = 0
        const bySequence = new Map<number, string>()
        for (const { sequence, text } of follow(outboxOf(moves), beginning, n)) {
          const before = bySequence.get(sequence)
          if (before === undefined) expect(sequence).toBeGreaterThan(last)
          else expect(text).toBe(`${before} final`)
          bySequence.set(sequence, text)
          last = Math.max(last, sequence)
        }
      }),
    )
  })
})

/** The ledger goes on so far, then the target is told so many messages. */
const pace = fc.array(fc.record({ commits: fc.nat(4), messages: fc.nat(4) }), { maxLength: 20 })

type Paces = typeof pace extends fc.Arbitrary<infer T> ? T : never

/** Tells at a random pace, and at last everything. */
function tellAtPace({ entries, ends }: Outbox, paces: Paces, hear: Hear, from = beginning): Place {
  let place = from
  let done = 0
  const whole = { commits: ends.length, messages: Infinity }
  for (const { commits, messages } of [...paces, whole]) {
    done = Math.min(ends.length, done + commits)
    const written = entries.slice(0, ends[done - 1] ?? 0)
    for (let i = 0; i < messages; i++) {
      const next = hear.tell(written, place)
      place = next.place
      if (!('text' in next)) break
      hear.heard(next, knownOf(written))
    }
  }
  return place
}
interface Hear {
  readonly tell: (written: Outbox['entries'], place: Place) => ReturnType<typeof tellNext>
  readonly heard: (told: Told, known: ReturnType<typeof knownOf>) => void
}

describe('a target that is behind, more or less', () => {
  test('is told of a final block once as such, lowest first, and never that it is orphaned', () => {
    fc.assert(
      fc.property(finalWalk, depth, pace, (moves, n, paces) => {
        const outbox = outboxOf(moves)
        const listener = new Listener()
        tellAtPace(outbox, paces, {
          tell: (written, place) => tellNext(written, place, viewOf(written, n)),
          heard: (told, known) => listener.hear(told, known),
        })
        const { chain, final } = knownOf(outbox.entries)
        expect(listener.standing).toEqual(chain.slice(0, listener.standing.length))
        expect(listener.standing.length).toBeGreaterThanOrEqual(chain.length - n + 1)
        expect(listener.settled).toBe(Math.min(final, listener.standing.length))
      }),
      { numRuns: 1_000 },
    )
  })

  test('that begins when all is over is told of what is final once only', () => {
    fc.assert(
      fc.property(finalWalk, depth, (moves, n) => {
        const { entries } = outboxOf(moves)
        const { final } = knownOf(entries)
        const { told } = tellAll(entries, beginning, viewOf(entries, n))
        const listener = new Listener()
        for (const each of told) listener.hear(each, knownOf(entries))
        for (let height = 1; height <= listener.settled; height++) {
          const last = told.findLast(({ index, orphaned }) => index === height && !orphaned)!
          expect(told.filter(({ sequence }) => sequence === last.sequence)).toHaveLength(1)
        }
        expect(listener.settled).toBe(Math.min(final, listener.standing.length))
      }),
    )
  })

  test('goes on from any message as it did the first time', () => {
    fc.assert(
      fc.property(finalWalk, depth, fc.nat(), (moves, n, cut) => {
        const { entries } = outboxOf(moves)
        const whole = tellAll(entries, beginning, viewOf(entries, n)).told
        const at = whole.length === 0 ? 0 : cut % whole.length
        const from = at === 0 ? beginning : whole[at - 1]!.place
        expect(tellAll(entries, from, viewOf(entries, n)).told).toEqual(whole.slice(at))
      }),
    )
  })
})

test('from now on: of what was recorded before nothing, neither that it is final', () => {
  fc.assert(
    fc.property(finalWalk, finalWalk, depth, pace, (before, after, n, paces) => {
      const outbox = outboxOf([...before, ...after])
      const early = outboxOf(before)
      const { chain } = knownOf(early.entries)
      const reported = Math.max(0, chain.length - n + 1)
      const now: Place = { sequence: early.entries.at(-1)?.sequence ?? 0, reported, final: reported, floor: reported }
      const later = { ...outbox, ends: outbox.ends.slice(early.ends.length) }
      const told: Told[] = []
      const hear: Hear = {
        tell: (written, place) => tellNext(written, place, viewOf(written, n)),
        heard: (each) => void told.push(each),
      }
      const place = tellAtPace(later, [{ commits: 0, messages: 0 }, ...paces], hear, now)
      const { chain: last, final } = knownOf(outbox.entries)
      expect(
        told.filter(({ index, hash }) => index <= reported && chain[index - 1] === hash && index <= place.floor),
      ).toEqual([])
      expect(place.reported).toBeGreaterThanOrEqual(last.length - n + 1)
      const standing = last.slice(place.floor, Math.max(place.floor, Math.min(final, place.reported)))
      expect(told.filter((each) => each.final).map(({ hash }) => hash)).toEqual(standing)
    }),
    { numRuns: 500 },
  )
})

describe('who wants only what is final', () => {
  test('is told of each block of the chain up to the final one, once, in order, and nothing else', () => {
    fc.assert(
      fc.property(finalWalk, pace, (moves, paces) => {
        const outbox = outboxOf(moves)
        const told: Told[] = []
        tellAtPace(outbox, paces, {
          tell: (written, place) => tellNext(written, place, viewOf(written, 1, 'final')),
          heard: (each) => void told.push(each),
        })
        const { chain, final } = knownOf(outbox.entries)
        expect(texts(told)).toEqual(
          chain.slice(0, final).map((hash, at) => `block_confirmation ${at + 1} ${hash} final`),
        )
      }),
      { numRuns: 300 },
    )
  })

  test('may change his mind at any time, either way, and misses nothing', () => {
    fc.assert(
      fc.property(finalWalk, pace, fc.infiniteStream(fc.boolean()), depth, (moves, paces, minds, n) => {
        // What is next is told by the last mind: at the end everything is wanted, by one more block.
        const outbox = outboxOf([...moves, { undone: 0, applied: n, branch: 0, final: 0 }])
        const listener = new Listener()
        let asked = 0
        const place = tellAtPace({ ...outbox, ends: outbox.ends.slice(0, -1) }, paces, {
          tell: (written, at) => {
            const when = minds.next().value && ++asked % 3 !== 0 ? 'final' : 'included'
            return tellNext(written, at, viewOf(written, n, when))
          },
          heard: (told, known) => listener.hear(told, known),
        })
        const { entries } = outbox
        for (const told of tellAll(entries, place, viewOf(entries, n)).told) listener.hear(told, knownOf(entries))
        const { chain, final } = knownOf(entries)
        expect(listener.standing).toEqual(chain.slice(0, chain.length - n + 1))
        expect(listener.settled).toBe(Math.min(final, listener.standing.length))
      }),
      { numRuns: 300 },
    )
  })
})

test('a place from before there was anything final is not told all of it again', () => {
  const { entries } = outboxOf([
    { undone: 0, applied: 3, branch: 0, final: 0 },
    { undone: 0, applied: 1, branch: 0, final: 4 },
  ])
  const place: Place = { sequence: entries[2]!.sequence, reported: 3, final: 3, floor: 0 }
  expect(texts(tellAll(entries, place, viewOf(entries, 1)).told)).toEqual(['block_confirmation 4 /0/0/0/0 final'])
})

test('an outbox without the block that became final is a damaged one', () => {
  const final = { sequence: 9, kind: 'final', index: 1, hash: 'h', body: undefined } as const
  const place = { ...beginning, reported: 1 }
  expect(() => step(place, final, viewOf([], 1))).toThrow(expect.objectContaining({ code: 'outbox-damaged' }))
})
