import { crc32 } from 'node:zlib'
import { readGenesis } from '../../core/chain/genesis.ts'
import type { JsonObject } from '../../core/chain/json.ts'
import type {
  Hash,
  Block,
  Change,
  Genesis,
  MiningRange,
  NodeId,
  NodeRecord,
  OwnedChanges,
  PendingTransaction,
  RecordChange,
  Report,
  StateEntry,
} from '../../core/index.ts'
import { MemoryLedger } from '../../plugins/memory/index.ts'
import type { DiskFile } from './disk.ts'

/** What a record says: the method that was called, and with what. */
type Entry =
  | readonly ['begin', string, Block, number, (readonly StateEntry[] | undefined)?]
  | readonly ['commit', Change]
  | readonly ['keepSide', Block, bigint, (readonly StateEntry[] | undefined)?, (readonly OwnedChanges[] | undefined)?]
  | readonly ['finalize', number]
  | readonly ['report', readonly Report[], string, readonly RecordChange[]]
  | readonly ['pruneSide', number, number, number, readonly Hash[]]
  | readonly ['keepPending', readonly PendingTransaction[]]
  | readonly ['dropPending', readonly string[]]
  | readonly ['saveNode', NodeRecord]
  | readonly ['dropNode', NodeId]
  | readonly ['range']

/**
 * A ledger for the simulator: the memory plugin's, and every change of it as one line, checksum first, in a file of a
 * virtual disk, synced before the call returns. Opening it replays the lines that are whole and cuts off what follows.
 */
export class JournalLedger extends MemoryLedger {
  override readonly location: string = 'journal'
  readonly #file: DiskFile
  #replaying = true
  #committing = false

  constructor(file: DiskFile) {
    super()
    this.#file = file
    const text = file.text()
    const whole = this.#replay(text)
    if (whole < text.length) file.truncate(whole)
    this.#replaying = false
  }

  override begin(genesis: Genesis, block: Block, now: number, opening?: readonly StateEntry[]): void {
    const isNew = this.genesis() === undefined
    super.begin(genesis, block, now, opening)
    if (isNew) this.#record(['begin', genesis.text, block, now, opening])
  }

  override commit(change: Change): void {
    this.#committing = true
    try {
      super.commit(change)
    } finally {
      this.#committing = false
    }
    this.#record(['commit', change])
  }

  override keepSide(
    block: Block,
    totalWork: bigint,
    state?: readonly StateEntry[],
    records?: readonly OwnedChanges[],
  ): void {
    super.keepSide(block, totalWork, state, records)
    // It can be fetched again, but for what its records say of it.
    this.#record(['keepSide', block, totalWork, state, records], (records ?? []).length > 0)
  }

  override finalize(height: number): void {
    const before = this.finalHeight()
    super.finalize(height)
    if (this.finalHeight() !== before) this.#record(['finalize', height])
  }

  /** Records are written by this method too. */
  override report(reports: readonly Report[], owner: string, changes: readonly RecordChange[]): void {
    super.report(reports, owner, changes)
    if (reports.length + changes.length > 0) this.#record(['report', reports, owner, changes])
  }

  override pruneSide(belowIndex: number, blocksMax: number, bytesMax: number, keep: readonly Hash[] = []): void {
    const before = this.counts().sideBlocks
    super.pruneSide(belowIndex, blocksMax, bytesMax, keep)
    if (this.counts().sideBlocks !== before) this.#record(['pruneSide', belowIndex, blocksMax, bytesMax, keep])
  }

  override keepPending(transactions: readonly PendingTransaction[]): void {
    super.keepPending(transactions)
    // `commit` returns transactions by this method: they are part of its own record.
    if (!this.#committing && transactions.length > 0) this.#record(['keepPending', transactions])
  }

  override dropPending(hashes: readonly string[]): void {
    super.dropPending(hashes)
    if (hashes.length > 0) this.#record(['dropPending', hashes])
  }

  override saveNode(node: NodeRecord): void {
    super.saveNode(node)
    this.#record(['saveNode', node])
  }

  override dropNode(nodeId: NodeId): void {
    super.dropNode(nodeId)
    this.#record(['dropNode', nodeId])
  }

  /** Comes with the next block: nobody was promised anything. */
  override openRange(range: MiningRange, now: number): number {
    this.#record(['range'], false)
    return super.openRange(range, now)
  }

  #record(entry: Entry, durable = true): void {
    if (this.#replaying) return
    const text = JSON.stringify(entry, (_key, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value))
    this.#file.append(`${checksum(text)} ${text}\n`)
    if (durable) this.#file.sync()
  }

  /** Returns how many characters were whole. */
  #replay(text: string): number {
    let start = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      const body = text.slice(start + checksumDigits + 1, end)
      if (text.slice(start, start + checksumDigits) !== checksum(body)) return start
      this.#apply(JSON.parse(body) as Entry)
      start = end + 1
    }
    return start
  }

  #apply(entry: Entry): void {
    switch (entry[0]) {
      case 'begin':
        return super.begin(
          readGenesis(JSON.parse(entry[1]) as JsonObject, 'the journal'),
          entry[2],
          entry[3],
          entry[4] ?? undefined,
        )
      case 'commit':
        return super.commit(readCommit(entry[1]))
      case 'keepSide':
        return super.keepSide(entry[1], workOf(entry[2]), entry[3] ?? undefined, readRecords(entry[4]))
      case 'finalize':
        return super.finalize(entry[1])
      case 'report':
        return super.report(entry[1], entry[2], entry[3].map(readChange))
      case 'pruneSide':
        return super.pruneSide(entry[1], entry[2], entry[3], entry[4])
      case 'keepPending':
        return super.keepPending(entry[1])
      case 'dropPending':
        return super.dropPending(entry[1])
      case 'saveNode':
        return super.saveNode(entry[1])
      case 'dropNode':
        return super.dropNode(entry[1])
      case 'range':
        return void super.openRange({ worker: '', start: 0, end: 0 }, 0)
    }
  }
}

const checksumDigits = 8
const checksum = (text: string): string => crc32(text).toString(16).padStart(checksumDigits, '0')

/** `12n` as it stands in the file. */
const workOf = (written: unknown): bigint => BigInt(String(written).replace(/n$/, ''))

/** JSON has no undefined: what was removed stands as null in the file. */
const readChange = ([key, value]: RecordChange): RecordChange => [key, value ?? undefined]

const readRecords = (records: readonly OwnedChanges[] | null | undefined): readonly OwnedChanges[] =>
  (records ?? []).map(({ owner, changes }) => ({ owner, changes: changes.map(readChange) }))

const readCommit = (change: Change): Change => ({
  ...change,
  applied: change.applied.map((one) => ({ ...one, totalWork: workOf(one.totalWork) })),
  records: readRecords(change.records),
})
