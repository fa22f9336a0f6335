import { AurexError, type OutboxEntry } from '../../core/index.ts'

/** How far one target has been told. */
export interface Place {
  /** Of the outbox: everything up to this entry is dealt with. */
  readonly sequence: number
  /** Up to this height the blocks are told of. */
  readonly reported: number
  /** Up to this height nothing was said, since the target came later: what is undone there is not told either. */
  readonly floor: number
}

/** What there is to tell: of which block, and by which entry of the outbox it is known for ever. */
export interface Saying {
  readonly type: 'block_confirmation' | 'block_orphaned' | 'forward'
  readonly entry: OutboxEntry
}

export interface Step {
  /** Where the target stands afterwards. `sequence` is not that of the entry yet where the entry has more to say. */
  readonly place: Place
  readonly says?: Saying
}

/** What a target is told of: blocks so many deep (1: as soon as they are recorded), or what others reported. */
export type View =
  | {
      readonly confirmations: number
      /** The last `applied` of a height up to a sequence. */
      readonly appliedAt: (height: number, sequence: number) => OutboxEntry | undefined
    }
  | 'reports'

/**
 * What the next entry of the outbox makes of a place. Pure: the same entry on the same place says the same. A block is
 * told by its own `applied`, whichever entry made it deep enough, so that neither its id nor the order of sequences
 * depends on `confirmations`.
 */
export function step(place: Place, entry: OutboxEntry, view: View): Step {
  const passed = { ...place, sequence: entry.sequence }
  if (view === 'reports')
    return entry.kind === 'reported' ? { place: passed, says: { type: 'forward', entry } } : { place: passed }
  if (entry.kind === 'applied') return confirmed(place, passed, entry, view)
  if (entry.kind === 'undone' && entry.index <= place.reported) return undone(passed, entry)
  return { place: passed }
}

function confirmed(place: Place, passed: Place, entry: OutboxEntry, view: Exclude<View, 'reports'>): Step {
  const deep = entry.index - view.confirmations + 1
  const next = place.reported + 1
  if (next > deep) return { place: passed }
  const block = view.appliedAt(next, entry.sequence)
  if (block === undefined) {
    const message = `the outbox has no block ${next} before its entry ${entry.sequence}; check the ledger with aurex verify`
    throw new AurexError('outbox-damaged', message)
  }
  // More than one where fewer confirmations are asked for than before.
  const sequence = next === deep ? entry.sequence : place.sequence
  return { place: { ...place, sequence, reported: next }, says: { type: 'block_confirmation', entry: block } }
}

function undone(passed: Place, entry: OutboxEntry): Step {
  const reported = entry.index - 1
  if (entry.index <= passed.floor) return { place: { ...passed, reported, floor: reported } }
  return { place: { ...passed, reported }, says: { type: 'block_orphaned', entry } }
}
