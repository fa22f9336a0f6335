import { AurexError, type Hash, type OutboxEntry, type RecordChange, type Storage } from '../../core/index.ts'

// A block that was undone is dropped when it lies deep enough, and a target may still have to be told of it. What is told
// is noted while the block is there. A note has 150 bytes and stays, as the entry of the outbox does that it explains.

interface Note {
  readonly miner_id: string
  readonly timestamp: string
}

/** Of a block that was undone and dropped before this plugin was there to note it. */
const nothingKnown: Note = { miner_id: '', timestamp: '1970-01-01T00:00:00.000Z' }

const owner = 'notifier'
const placeKey = 'noted'
/** Looked at in one go, so that a long outbox does not keep the event loop to itself. */
const entriesMax = 512
const noteKey = (hash: Hash): string => `undone/${hash}`

/** What was noted of a block that is not here any more. Throws `note-damaged`. */
export function noteOf(storage: Storage, hash: Hash): Note {
  const text = storage.records(owner).get(noteKey(hash))
  if (text === undefined) return nothingKnown
  try {
    const { miner_id, timestamp } = JSON.parse(text) as Note
    return { miner_id, timestamp }
  } catch (cause) {
    const message = `the record ${noteKey(hash)} of the notifier cannot be read; check the ledger with aurex verify`
    throw new AurexError('note-damaged', message, { cause })
  }
}

export class Notes {
  readonly #storage: Storage
  /** Everything up to this entry of the outbox was looked at; the record may be behind. */
  #seen: number

  constructor(storage: Storage) {
    this.#storage = storage
    this.#seen = Number(storage.records(owner).get(placeKey) ?? 0)
  }

  /** Notes what was undone among the next entries. Returns whether there may be more. Throws as `Storage` does. */
  take(): boolean {
    const entries = this.#storage.outbox(this.#seen, entriesMax)
    const last = entries.at(-1)
    if (last === undefined) return false
    const notes = entries.filter(({ kind }) => kind === 'undone').flatMap((entry) => note(this.#storage, entry))
    const more = entries.length === entriesMax
    // Where nothing was undone, looking again after a restart costs less than a durable write with every block.
    if (more || notes.length > 0) this.#storage.records(owner).write([...notes, [placeKey, String(last.sequence)]])
    this.#seen = last.sequence
    return more
  }
}

function note(storage: Storage, { hash }: OutboxEntry): RecordChange[] {
  const header = storage.header(hash)?.header
  if (header === undefined) return []
  const { miner_id, timestamp } = header
  return [[noteKey(hash), JSON.stringify({ miner_id, timestamp })]]
}
