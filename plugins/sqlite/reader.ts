import type { Database } from 'bun:sqlite'
import {
  AurexError,
  type Block,
  type Hash,
  type NodeRecord,
  type PendingTransaction,
  type RecordedTransaction,
  type StoredHeader,
} from '../../core/index.ts'
import { storageFailure } from './failure.ts'
import { integrityOf } from './integrity.ts'
import {
  blockPlace,
  difficultyOf,
  headerOfRow,
  pendingPlace,
  sideBlockOfRow,
  sidePlace,
  totalWorkOfRow,
  transactionOfRow,
  transactionPlace,
  wrong,
  type BlockRow,
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
    if (side === null) return undefined
    const place = sidePlace(this.location, hash)
    return { header: headerOfRow(side, place), totalWork: totalWorkOfRow(side, place), recorded: false }
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
        yield { hash: row.tx_hash, transaction, receivedAt: row.received_at }
      }
      if (rows.length < pendingRowsPerRead) return
    }
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

type PendingRow = TransactionRow & { readonly place: number }

const placeOf = (id: number) => ({ blockIndex: Math.floor(id / placesPerBlock), position: id % placesPerBlock })
