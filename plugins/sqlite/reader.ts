import type { Database } from 'bun:sqlite'
import {
  AurexError,
  type Block,
  type Hash,
  type NodeRecord,
  type OutboxEntry,
  type PendingTransaction,
  type RecordedTransaction,
  type StateEntry,
  type StoredHeader,
} from '../../core/index.ts'
import { storageFailure } from './failure.ts'
import { integrityOf } from './integrity.ts'
import {
  blockPlace,
  difficultyOf,
  entryOfRow,
  headerOfRow,
  outboxPlace,
  pendingPlace,
  sideBlockOfRow,
  sidePlace,
  stateOfRows,
  stateOfSide,
  totalWorkOfRow,
  transactionOfRow,
  transactionPlace,
  wrong,
  type BlockRow,
  type OutboxRow,
  type SideHeaderRow,
  type TransactionRow,
} from './rows.ts'
import { placesPerBlock } from './schema.ts'
import { prepareStatements, type Statements } from './statements.ts'

/** Pending rows that are read at a time. */
const pendingRowsPerRead = 500

/** A block of the recorded chain, without its body. */
export interface RecordedBlock {
  readonly height: number
  readonly stored: StoredHeader
  readonly transactions: number
  /** Recorded up to and with this block. */
  readonly transactionsTotal: number
}

/** The half of the ledger that asks. Everything that cannot be understood throws `ledger-damaged`, naming the row. */
export class Reader {
  readonly location: string
  protected readonly database: Database
  protected readonly run: Statements
  /** What was read of the last block; whoever moves the head sets it. */
  protected top: RecordedBlock | undefined

  constructor(location: string, database: Database) {
    this.location = location
    this.database = database
    this.run = prepareStatements(database)
  }

  genesis(): string | undefined {
    return this.read('the genesis', () => this.run.meta.get('genesis')?.value)
  }

  head(): StoredHeader {
    return this.headBlock().stored
  }

  headerAt(index: number): StoredHeader | undefined {
    return this.blockAt(index)?.stored
  }

  header(hash: Hash): StoredHeader | undefined {
    const row = this.read(`block ${hash}`, () => this.run.blockOf.get(hash))
    if (row !== null) return this.#understood(row).stored
    const side = this.read(`side block ${hash}`, () => this.run.sideOf.get(hash))
    return side === null ? undefined : this.#beside(side)
  }

  block(hash: Hash): Block | undefined {
    const row = this.read(`block ${hash}`, () => this.run.blockOf.get(hash))
    if (row !== null) return this.wholeBlock(this.#understood(row))
    const side = this.read(`side block ${hash}`, () => this.run.sideOf.get(hash))
    return side === null ? undefined : sideBlockOfRow(side, sidePlace(this.location, hash))
  }

  transaction(hash: Hash): RecordedTransaction | undefined {
    const row = this.read(`transaction ${hash}`, () => this.run.transactionOf.get(hash))
    if (row === null) return undefined
    const { blockIndex } = placeOf(row.id)
    const block = this.read(`block ${blockIndex}`, () => this.run.blockAt.get(blockIndex))
    if (block === null) throw wrong(blockPlace(this.location, blockIndex), 'the row is missing')
    return this.#recorded(row, block.current_hash)
  }

  locate(hash: Hash): { readonly blockIndex: number; readonly position: number } | undefined {
    const row = this.read(`transaction ${hash}`, () => this.run.idOf.get(hash))
    return row === null ? undefined : placeOf(row.id)
  }

  transactionsAt(index: number): readonly RecordedTransaction[] {
    const block = this.blockAt(index)
    return block === undefined ? [] : this.#body(block)
  }

  *pending(): Iterable<PendingTransaction> {
    for (let after = 0, rows: readonly PendingRow[] = []; ; after = rows.at(-1)!.place) {
      rows = this.read('the pending transactions', () => this.run.pendingAfter.all(after, pendingRowsPerRead))
      for (const row of rows) {
        const transaction = transactionOfRow(row, pendingPlace(this.location, row.place))
        const kept = { hash: row.tx_hash, transaction, receivedAt: row.received_at }
        yield row.returned === 1 ? { ...kept, returned: true } : kept
      }
      if (rows.length < pendingRowsPerRead) return
    }
  }

  stateAt(key: string, height: number): string | undefined {
    return this.read(`state ${key}`, () => this.run.stateAt.get(key, height)?.value) ?? undefined
  }

  stateChanges(hash: Hash): readonly StateEntry[] {
    const row = this.read(`block ${hash}`, () => this.run.blockOf.get(hash))
    if (row !== null) return this.changesAt(row.height)
    const side = this.read(`side block ${hash}`, () => this.run.sideOf.get(hash))
    return side === null ? [] : stateOfSide(side, sidePlace(this.location, hash))
  }

  outbox(after: number, max: number): readonly OutboxEntry[] {
    const rows = this.read('the outbox', () => this.run.outboxAfter.all(after, Math.max(0, max)))
    return rows.map((row) => this.#entry(row))
  }

  appliedAt(height: number, sequence: number): OutboxEntry | undefined {
    const row = this.read(`the outbox on block ${height}`, () => this.run.appliedAt.get(height, sequence))
    return row === null ? undefined : this.#entry(row)
  }

  outboxEnd(): number {
    return this.read('the end of the outbox', () => this.run.outboxEnd.get()?.sequence ?? 0)
  }

  sideTips(): readonly StoredHeader[] {
    return this.read('the tips of the side blocks', () => this.run.sideTips.all()).map((row) => this.#beside(row))
  }

  /** From the outbox: so what observers were told and what may be undone are one. */
  finalHeight(): number {
    return this.read('what is final', () => this.run.finalHeight.get()?.height ?? 0)
  }

  nodes(): readonly NodeRecord[] {
    return this.read('the known nodes', () => this.run.nodes.all())
  }

  counts(): { readonly transactions: number; readonly sideBlocks: number } {
    const transactions = this.genesis() === undefined ? 0 : this.headBlock().transactionsTotal
    return { transactions, sideBlocks: this.read('the counts', () => this.run.countSide.get()?.blocks ?? 0) }
  }

  /** SQLite's own check and the counts that must agree: the first complaint, or undefined. Reads the whole file. */
  integrity(): string | undefined {
    return integrityOf(this.database)
  }

  // ---- shared with the writing half --------------------------------------------------------------------------

  protected headBlock(): RecordedBlock {
    this.top ??= this.topBlock()
    return this.top
  }

  /** The last block, from the file. */
  protected topBlock(): RecordedBlock {
    const row = this.read('the head', () => this.run.headBlock.get())
    if (row === null) {
      throw new AurexError('storage-failed', `${this.location}: the ledger is empty: begin() comes first`)
    }
    return this.#understood(row)
  }

  protected blockAt(index: number): RecordedBlock | undefined {
    const row = this.read(`block ${index}`, () => this.run.blockAt.get(index))
    if (row !== null) return this.#understood(row)
    if (Number.isInteger(index) && index >= 0 && this.genesis() !== undefined && index < this.headBlock().height) {
      throw wrong(blockPlace(this.location, index), 'the row is missing')
    }
    return undefined
  }

  protected wholeBlock(block: RecordedBlock): Block {
    return { ...block.stored.header, transactions: this.#body(block).map(({ transaction }) => transaction) }
  }

  /** What the recorded block of this height changed of the state. */
  protected changesAt(height: number): readonly StateEntry[] {
    return stateOfRows(this.read(`the state of block ${height}`, () => this.run.stateIn.all(height)))
  }

  protected read<T>(what: string, read: () => T): T {
    try {
      return read()
    } catch (cause) {
      throw storageFailure(cause, this.location, `reading ${what}`)
    }
  }

  #understood(row: BlockRow): RecordedBlock {
    const place = blockPlace(this.location, row.height)
    const header = headerOfRow(row, place)
    const difficulty = difficultyOf(header.work)
    if (row.difficulty !== difficulty) throw wrong(place, `difficulty: expected ${difficulty}, got ${row.difficulty}`)
    return {
      height: row.height,
      transactions: row.transactions_count,
      transactionsTotal: row.transactions_total,
      stored: { header, totalWork: totalWorkOfRow(row, place), recorded: true },
    }
  }

  #beside(row: SideHeaderRow): StoredHeader {
    const place = sidePlace(this.location, row.current_hash)
    return { header: headerOfRow(row, place), totalWork: totalWorkOfRow(row, place), recorded: false }
  }

  #entry(row: OutboxRow): OutboxEntry {
    return entryOfRow(row, outboxPlace(this.location, row.sequence))
  }

  #body({ height, stored, transactions }: RecordedBlock): RecordedTransaction[] {
    const first = height * placesPerBlock
    const rows = this.read(`block ${height}`, () => this.run.transactionsIn.all(first, first + placesPerBlock))
    const gap = rows.findIndex((row, position) => row.id !== first + position)
    if (gap >= 0) throw wrong(transactionPlace(this.location, first + gap), 'the row is missing')
    if (rows.length !== transactions) {
      const found = `there are rows for ${rows.length}`
      throw wrong(blockPlace(this.location, height), `transactions_count: ${transactions}, but ${found}`)
    }
    return rows.map((row) => this.#recorded(row, stored.header.current_hash))
  }

  #recorded(row: TransactionRow & { readonly id: number }, blockHash: Hash): RecordedTransaction {
    const transaction = transactionOfRow(row, transactionPlace(this.location, row.id))
    return { hash: row.tx_hash, transaction, receivedAt: row.received_at, blockHash, ...placeOf(row.id) }
  }
}

type PendingRow = TransactionRow & { readonly place: number; readonly returned: number }

const placeOf = (id: number) => ({ blockIndex: Math.floor(id / placesPerBlock), position: id % placesPerBlock })
