import { AurexError, isObject, parseJson, utf8Bytes, type OutboxEntry } from '../../core/index.ts'

/** How far one target has been told. */
export interface Place {
  /** Of the outbox: everything up to this entry is dealt with. */
  readonly sequence: number
  /** Up to this height the blocks are told of. */
  readonly reported: number
  /** Up to this height they are told of as final, or are not to be; never above `reported`. */
  readonly final: number
  /** Up to this height nothing was said, since the target came later: what is undone there is not told either. */
  readonly floor: number
}

/** What there is to tell: of which block, and by which entry of the outbox it is known for ever. */
export type Saying =
  | { readonly type: 'block_confirmation'; readonly entry: OutboxEntry; readonly final: boolean }
  | { readonly type: 'block_orphaned'; readonly entry: OutboxEntry }
  | { readonly type: 'forward'; readonly entry: OutboxEntry }

export interface Step {
  /** Where the target stands afterwards. `sequence` is not that of the entry yet where the entry has more to say. */
  readonly place: Place
  readonly says?: Saying
}

/** Blocks as soon as they are so deep, and once more when they are final; or only what is final. */
export type When = 'included' | 'final'

/** What a target is told of: this node's own blocks, or what others reported. */
export type View = ChainView | { readonly of: 'reports'; readonly when: When }

export interface ChainView {
  readonly of: 'chain'
  readonly when: When
  /** How deep; 1: as soon as it is recorded. */
  readonly confirmations: number
  /** The last `applied` of a height up to a sequence. */
  readonly appliedAt: (height: number, sequence: number) => OutboxEntry | undefined
  /** Whether the block of an entry can no longer be undone, as far as is known by now. Once true, always true. */
  readonly isFinal: (entry: OutboxEntry) => boolean
}

/**
 * What the next entry of the outbox makes of a place. The same entry on the same place says the same, as long as no more
 * is known to be final. A block is told by its own `applied`, whichever entry made it deep enough or final, so that
 * neither its id nor the order of sequences depends on `confirmations`.
 */
export function step(place: Place, entry: OutboxEntry, view: View): Step {
  const passed = { ...place, sequence: entry.sequence }
  if (view.of === 'reports') return forwarded(passed, entry, view.when)
  switch (entry.kind) {
    case 'applied':
      return view.when === 'included' ? included(place, entry, view) : { place: passed }
    case 'undone':
      return entry.index <= place.reported ? undone(passed, entry, view) : { place: passed }
    case 'final':
      return settled(place, entry, view)
    default:
      return { place: passed }
  }
}

function included(place: Place, entry: OutboxEntry, view: ChainView): Step {
  const deep = entry.index - view.confirmations + 1
  const next = place.reported + 1
  if (next > deep) return { place: { ...place, sequence: entry.sequence } }
  const block = blockAt(next, entry, view)
  const final = view.isFinal(block)
  // What is final is told from below: first what was told before, and became so meanwhile.
  if (final && place.final < next - 1) return tellFinal(place, entry, view)
  // More than one where fewer confirmations are asked for than before.
  const sequence = next === deep ? entry.sequence : place.sequence
  const after = { ...place, sequence, reported: next, final: final ? next : place.final }
  return { place: after, says: { type: 'block_confirmation', entry: block, final } }
}

/** The blocks up to a final one, each by itself, lowest first; those that are not told at all yet will be told as final. */
function settled(place: Place, entry: OutboxEntry, view: ChainView): Step {
  const last = view.when === 'final' ? entry.index : Math.min(entry.index, place.reported)
  if (place.final >= last) return { place: { ...place, sequence: entry.sequence } }
  const { place: told, says } = tellFinal(place, entry, view)
  const after = { ...told, sequence: told.final === last ? entry.sequence : place.sequence }
  return { place: after, says }
}

function tellFinal(place: Place, entry: OutboxEntry, view: ChainView): Required<Step> {
  const final = place.final + 1
  const after = { ...place, final, reported: Math.max(place.reported, final) }
  return { place: after, says: { type: 'block_confirmation', entry: blockAt(final, entry, view), final: true } }
}

function undone(passed: Place, entry: OutboxEntry, view: ChainView): Step {
  const reported = entry.index - 1
  // It came back for good: nothing of what was in its place meanwhile is worth telling.
  if (view.isFinal(entry)) return { place: { ...passed, sequence: lastApplied(entry, view) } }
  const place = { ...passed, reported, final: Math.min(passed.final, reported) }
  if (entry.index <= passed.floor) return { place: { ...place, floor: reported } }
  return { place, says: { type: 'block_orphaned', entry } }
}

/** After it was undone, it was recorded again. */
const lastApplied = (entry: OutboxEntry, view: ChainView): number =>
  Math.max(entry.sequence, view.appliedAt(entry.index, Number.MAX_SAFE_INTEGER)?.sequence ?? 0)

function blockAt(height: number, { sequence }: OutboxEntry, view: ChainView): OutboxEntry {
  const block = view.appliedAt(height, sequence)
  if (block !== undefined) return block
  const message = `the outbox has no block ${height} before its entry ${sequence}; check the ledger with aurex verify`
  throw new AurexError('outbox-damaged', message)
}

function forwarded(passed: Place, entry: OutboxEntry, when: When): Step {
  if (entry.kind !== 'reported' || (when === 'final' && !saysFinal(entry))) return { place: passed }
  return { place: passed, says: { type: 'forward', entry } }
}

function saysFinal({ body = '' }: OutboxEntry): boolean {
  const read = parseJson(utf8Bytes(body))
  return read.ok && isObject(read.value) && read.value['final'] === true
}
