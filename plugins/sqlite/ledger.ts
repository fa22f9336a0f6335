import type { Database } from 'bun:sqlite'
import { existsSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import {
  AurexError,
  canonicalJson,
  exitCode,
  sealedHeaderOf,
  sidesToDrop,
  type AppliedBlock,
  type Block,
  type Change,
  type Genesis,
  type Hash,
  type OwnedChanges,
  type PendingTransaction,
  type StateEntry,
  type Storage,
} from '../../core/index.ts'
import { makeFolder, openForReading, openForWriting } from './file.ts'
import { storageFailure } from './failure.ts'
import { Keeper, unfit } from './keeper.ts'
import { holdLock } from './lock.ts'
import type { RecordedBlock } from './reader.ts'
import { blob, columnsOf, difficultyOf, outboxPlace, statePlace, stateText, transactionPlace, wrong } from './rows.ts'
import { placesPerBlock } from './schema.ts'

export interface OpenOptions {
  /** One unchanging snapshot, without the lock and without writing, even while the ledger's node runs. */
  readonly readonly?: boolean
}

/**
 * Opens the ledger at `path`, making it unless it is to be read only. Throws `ledger-in-use`, `ledger-missing`,
 * `ledger-newer`, `ledger-older`, `not-a-ledger`, `storage-full`, `storage-readonly`, `storage-failed`.
 */
export function openLedger(path: string, { readonly = false }: OpenOptions = {}): Ledger {
  if (readonly) return ledgerOver(path, openForReading(path), undefined)
  makeFolder(path)
  const letGo = holdLock(realPath(path))
  try {
    return ledgerOver(path, openForWriting(path), letGo)
  } catch (error) {
    letGo()
    throw error
  }
}

function ledgerOver(path: string, database: Database, letGo: (() => void) | undefined): Ledger {
  try {
    return new Ledger(path, database, letGo)
  } catch (cause) {
    database.close()
    throw storageFailure(cause, path, 'preparing its statements')
  }
}

/** The ledger in an SQLite file. */
export class Ledger extends Keeper implements Storage {
  // ---- writing -----------------------------------------------------------------------------------------------

  begin(genesis: Genesis, block: Block, now: number, opening: readonly StateEntry[] = []): void {
    const known = this.genesis()
    const chainId = this.run.meta.get('chain_id')?.value
    if (known === genesis.text && chainId === genesis.rules.chainId) return this.#refuseStrayRows()
    if (known !== undefined) throw wrongGenesis(this.location, chainId, genesis)
    this.write('writing block 0', () => {
      this.run.setMeta.run('genesis', genesis.text)
      this.run.setMeta.run('chain_id', genesis.rules.chainId)
      const state = opening.filter(({ value }) => value !== undefined)
      this.#addBlock({ block, hashes: [], receivedAt: [], totalWork: 0n, state }, 0, now)
    })
  }

  /**
   * A file whose last blocks were deleted would pass for a shorter chain, but for what they left behind; and what was put
   * above or below the chain would be taken for a part of it one day.
   */
  #refuseStrayRows(): void {
    const lost = this.run.strayTransaction.get()
    if (lost !== null) throw wrong(transactionPlace(this.location, lost.id), 'there is no block for it')
    const state = this.run.strayState.get()
    if (state !== null) {
      throw wrong(statePlace(this.location, state.key, state.height), 'there is no block for it')
    }
    const final = this.run.strayFinal.get()
    if (final !== null) {
      const place = outboxPlace(this.location, final.sequence)
      throw wrong(place, `block ${final.height} is final, and it is not the one that is recorded there`)
    }
    const told = this.run.lastTold.get()
    if (told === null) return
    const height = this.headBlock().height
    throw wrong(outboxPlace(this.location, told.sequence), `expected it to end at block ${height}, got ${told.height}`)
  }

  commit(change: Change): void {
    let head = this.headBlock()
    this.write(`recording ${change.applied.length} and undoing ${change.undone.length} blocks`, () => {
      // Newest first: each block undone is the head at that moment.
      for (const hash of change.undone) head = this.#undo(head, hash)
      this.#addPending(change.returned)
      for (const applied of change.applied) head = this.#apply(head, applied, change.writtenAt)
      this.writeRecords(change.records ?? [])
      if (change.final !== undefined) this.run.tellFinal.run(change.final)
    })
    this.top = head
  }

  keepSide(
    block: Block,
    totalWork: bigint,
    state: readonly StateEntry[] = [],
    records: readonly OwnedChanges[] = [],
  ): void {
    if (new Set(state.map(({ key }) => key)).size < state.length) {
      throw unfit(this.location, `side block ${block.current_hash}: two changes of one key`)
    }
    const isRecorded = this.run.blockOf.get(block.current_hash) !== null
    if (isRecorded && records.length === 0) return
    const change = () => {
      if (!isRecorded) this.#addSide(block, totalWork, state)
      this.writeRecords(records)
    }
    const doing = `keeping side block ${block.current_hash}`
    if (records.length === 0) this.writeLazily(doing, change)
    else this.write(doing, change)
  }

  /**
   * Waits for the disk: an observer reads the entry at once and may act on it for good, and one that a power failure
   * took would come back with another block under the same sequence.
   */
  finalize(height: number): void {
    if (height <= this.finalHeight()) return
    this.write(`making block ${height} final`, () => this.run.tellFinal.run(height))
  }

  pruneSide(belowIndex: number, blocksMax: number, bytesMax: number, keep: readonly Hash[] = []): void {
    const { blocks, bytes, lowest } = this.run.countSide.get() ?? { blocks: 0, bytes: 0, lowest: 0 }
    if (blocks === 0 || (blocks <= blocksMax && bytes <= bytesMax && lowest >= belowIndex)) return
    const sides = this.run.sides.all().map((side) => ({ ...side, totalWork: BigInt(side.totalWork) }))
    this.write('dropping side blocks', () => {
      for (const hash of sidesToDrop(sides, belowIndex, blocksMax, bytesMax, keep)) this.run.dropSide.run(hash)
    })
  }

  keepPending(transactions: readonly PendingTransaction[]): void {
    if (transactions.length === 0) return
    this.write(`keeping ${transactions.length} pending transactions`, () => this.#addPending(transactions))
  }

  dropPending(hashes: readonly Hash[]): void {
    if (hashes.length === 0) return
    this.write(`dropping ${hashes.length} pending transactions`, () => {
      for (const hash of hashes) this.run.dropPending.run(hash)
    })
  }

  // ---- the parts of a change ---------------------------------------------------------------------------------

  #undo(head: RecordedBlock, hash: Hash): RecordedBlock {
    if (head.stored.header.current_hash !== hash || head.height === 0) {
      throw unfit(this.location, `undone: expected the head, ${head.stored.header.current_hash}, got ${hash}`)
    }
    const final = this.finalHeight()
    if (head.height <= final) {
      throw unfit(this.location, `undone: block ${head.height}, ${hash}: nothing up to block ${final} is ever undone`)
    }
    const block = this.wholeBlock(head)
    const state = this.changesAt(head.height)
    this.run.dropTransactions.run(head.height * placesPerBlock, (head.height + 1) * placesPerBlock)
    this.run.dropBlock.run(head.height)
    this.run.dropState.run(head.height)
    this.#addSide(block, head.stored.totalWork, state)
    this.run.tell.run('undone', head.height, blob(hash), null)
    return this.topBlock()
  }

  #apply(head: RecordedBlock, applied: AppliedBlock, now: number): RecordedBlock {
    const { block } = applied
    if (block.prev_hash !== head.stored.header.current_hash || block.index !== head.height + 1) {
      throw unfit(
        this.location,
        `applied: block ${block.index} on ${block.prev_hash} does not follow block ${head.height}, ` +
          head.stored.header.current_hash,
      )
    }
    this.run.dropSide.run(block.current_hash)
    this.run.tell.run('applied', block.index, blob(block.current_hash), null)
    return this.#addBlock(applied, head.transactionsTotal, now)
  }

  #addBlock(applied: AppliedBlock, transactionsBefore: number, now: number): RecordedBlock {
    const { block, hashes, receivedAt, totalWork } = applied
    const count = block.transactions.length
    if (hashes.length !== count || receivedAt.length !== count || count > placesPerBlock) {
      throw unfit(this.location, `applied: block ${block.index} has ${count} transactions, ${hashes.length} hashes`)
    }
    const header = sealedHeaderOf(block)
    const total = transactionsBefore + count
    this.run.addBlock.run(
      block.index,
      blob(block.current_hash),
      canonicalJson(header),
      difficultyOf(block.work),
      String(totalWork),
      count,
      total,
      now,
    )
    const anyPending = this.run.anyPending.get()?.found === 1
    for (const [position, transaction] of block.transactions.entries()) {
      const hash = hashes[position]!
      const columns = columnsOf(hash, transaction, receivedAt[position]!)
      this.run.addTransaction.run(block.index * placesPerBlock + position, ...columns)
      if (anyPending) this.run.dropPending.run(hash)
    }
    for (const { key, value } of applied.state ?? []) {
      this.run.addState.run(this.text(key), block.index, value === undefined ? null : this.text(value))
    }
    return {
      height: block.index,
      transactions: count,
      transactionsTotal: total,
      stored: { header, totalWork, recorded: true },
    }
  }

  #addSide(block: Block, totalWork: bigint, state: readonly StateEntry[]): void {
    const header = canonicalJson(sealedHeaderOf(block))
    const transactions = canonicalJson(block.transactions)
    // Of the whole block as canonical JSON: the list stands in it with its name, a colon and a comma.
    const blockBytes = Buffer.byteLength(header) + Buffer.byteLength(transactions) + '"transactions":,'.length
    const changes = stateText(state)
    const bytes = blockBytes + (state.length === 0 ? 0 : Buffer.byteLength(changes))
    this.run.addSide.run(block.current_hash, block.index, header, transactions, String(totalWork), changes, bytes)
  }

  #addPending(transactions: readonly PendingTransaction[]): void {
    for (const { hash, transaction, receivedAt, returned } of transactions) {
      // A transaction is recorded or pending, never both.
      if (this.run.idOf.get(hash) !== null) continue
      this.run.addPending.run(...columnsOf(hash, transaction, receivedAt), returned === true ? 1 : 0)
    }
  }
}

// Two paths to one file must meet at one lock.
function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : join(realpathSync(dirname(path)), basename(path))
}

const wrongGenesis = (location: string, chainId: Hash | undefined, genesis: Genesis) =>
  new AurexError(
    'wrong-genesis',
    `${location}: expected the genesis of chain ${chainId}, for which this ledger was made, got the one of chain ` +
      `${genesis.rules.chainId} (${genesis.name}); give the right --genesis, or another --data-dir`,
    { exit: exitCode.config },
  )
