// Random walks of a recorded chain, the outbox that a ledger writes for them, and what a target is told of it.
import * as fc from 'fast-check'
import type { OutboxEntry } from '../../../core/index.ts'
import { step, type ChainView, type Place, type When } from '../../../plugins/notifier/projection.ts'

/** So many blocks leave, so many of a branch come, and so many more than before are final. A block that left may come back. */
const move = fc.record({ undone: fc.nat(4), applied: fc.nat(5), branch: fc.nat(2), final: fc.nat(3) })
export const finalWalk = fc.array(move, { maxLength: 25 })
/** Of a chain on which nothing is ever final. */
export const walk = fc.array(
  move.map((each) => ({ ...each, final: 0 })),
  { maxLength: 25 },
)
export type Walk = readonly {
  readonly undone: number
  readonly applied: number
  readonly branch: number
  readonly final: number
}[]

export interface Outbox {
  readonly entries: readonly OutboxEntry[]
  /** After so many entries each, the ledger has done something whole. */
  readonly ends: readonly number[]
}

export function outboxOf(moves: Walk): Outbox {
  const chain: string[] = []
  const entries: OutboxEntry[] = []
  const ends: number[] = []
  let final = 0
  const add = (kind: 'applied' | 'undone' | 'final', index: number, hash: string): void => {
    // Sequences have gaps, as those of SQLite may.
    const sequence = (entries.at(-1)?.sequence ?? 0) + 1 + (entries.length % 3)
    entries.push({ sequence, kind, index, hash, body: undefined })
  }
  for (const { undone, applied, branch, final: more } of moves) {
    for (let i = 0; i < undone && chain.length > final; i++) add('undone', chain.length, chain.pop()!)
    for (let i = 0; i < applied; i++) {
      // As a hash does, it tells of all that it stands on.
      chain.push(`${chain.at(-1) ?? ''}/${branch}`)
      add('applied', chain.length, chain.at(-1)!)
    }
    // What only adds may be final with its very commit.
    if (undone > 0) ends.push(entries.length)
    if (more > 0 && final < chain.length) {
      final = Math.min(chain.length, final + more)
      add('final', final, chain[final - 1]!)
    }
    ends.push(entries.length)
  }
  return { entries, ends }
}

export interface Known {
  readonly chain: readonly string[]
  readonly final: number
}

/** Where these entries lead to. */
export function knownOf(entries: readonly OutboxEntry[]): Known {
  const chain: string[] = []
  let final = 0
  for (const { kind, hash, index } of entries) {
    if (kind === 'applied') chain.push(hash)
    else if (kind === 'undone') chain.pop()
    else final = index
  }
  return { chain, final }
}

/** The ledger as it is when it has written these entries. */
export function viewOf(entries: readonly OutboxEntry[], confirmations: number, when: When = 'included'): ChainView {
  const { chain, final } = knownOf(entries)
  return {
    of: 'chain',
    when,
    confirmations,
    appliedAt: (height, sequence) =>
      entries.findLast((entry) => entry.kind === 'applied' && entry.index === height && entry.sequence <= sequence),
    isFinal: ({ index, hash }) => index <= final && chain[index - 1] === hash,
  }
}

export const beginning: Place = { sequence: 0, reported: 0, final: 0, floor: 0 }

export interface Told {
  /** `block_confirmation 3 <hash>`, and ` final` where it is. */
  readonly text: string
  readonly index: number
  readonly hash: string
  readonly sequence: number
  readonly final: boolean
  readonly orphaned: boolean
  /** Where the target stands after it. */
  readonly place: Place
}

/** The next message, or where the target stands when there is none; reading as a courier does: always the entry after the place. */
export function tellNext(entries: readonly OutboxEntry[], from: Place, view: ChainView): Told | { place: Place } {
  for (let place = from; ;) {
    const entry = entries.find(({ sequence }) => sequence > place.sequence)
    if (entry === undefined) return { place }
    const next = step(place, entry, view)
    place = next.place
    if (next.says === undefined) continue
    const { type, entry: about } = next.says
    const final = next.says.type === 'block_confirmation' && next.says.final
    const { index, hash, sequence } = about
    const text = `${type} ${index} ${hash}${final ? ' final' : ''}`
    return { text, index, hash, sequence, final, orphaned: type === 'block_orphaned', place }
  }
}

/** Everything that is told from a place on, and where the target stands then. */
export function tellAll(entries: readonly OutboxEntry[], from: Place, view: ChainView): { told: Told[]; place: Place } {
  const told: Told[] = []
  for (let place = from; ;) {
    const next = tellNext(entries, place, view)
    place = next.place
    if (!('text' in next)) return { told, place }
    told.push(next)
  }
}

/** What a target is told that is always up to date. */
export function follow({ entries, ends }: Outbox, from: Place, confirmations: number, when?: When): Told[] {
  const told: Told[] = []
  let place = from
  for (const end of ends) {
    const written = entries.slice(0, end)
    const next = tellAll(written, place, viewOf(written, confirmations, when))
    told.push(...next.told)
    place = next.place
  }
  return told
}

export const texts = (told: readonly Told[]): string[] => told.map(({ text }) => text)
