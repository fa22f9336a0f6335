import type { Block, SealedHeader } from '../chain/block.ts'
import type { Hash } from '../chain/canonical.ts'
import type { Genesis } from '../chain/genesis.ts'
import type { NodeId } from '../chain/keys.ts'
import type { Transaction } from '../chain/transaction.ts'
import type { StateEntry } from './application.ts'

export interface PendingTransaction {
  readonly hash: Hash
  readonly transaction: Transaction
  /** Milliseconds, wall clock: when this node received it. */
  readonly receivedAt: number
  /** It was recorded, and its block was undone. */
  readonly returned?: boolean
}

export interface StoredHeader {
  readonly header: SealedHeader
  /** Sum of the weights up to this block. */
  readonly totalWork: bigint
  /** Part of the recorded chain; false for a block kept on a side branch. */
  readonly recorded: boolean
}

export interface RecordedTransaction extends PendingTransaction {
  readonly blockIndex: number
  readonly blockHash: Hash
  /** Place in the block, from 0. */
  readonly position: number
}

export interface AppliedBlock {
  readonly block: Block
  /** Ids of `block.transactions`, in their order. */
  readonly hashes: readonly Hash[]
  /** Milliseconds, wall clock, for each transaction: when this node received it. */
  readonly receivedAt: readonly number[]
  readonly totalWork: bigint
  /** What the block changed of the application's state, each key once, in the order of keys; none without an application. */
  readonly state?: readonly StateEntry[]
}

/** Everything that one move of the head changes. It is written whole or not at all. */
export interface Change {
  /** Hashes of the recorded blocks that leave, newest first. They stay as a side branch. */
  readonly undone: readonly Hash[]
  /** The blocks that come, oldest first; the first one's parent is the head that is left after undoing. */
  readonly applied: readonly AppliedBlock[]
  /** Transactions of undone blocks that are pending again. */
  readonly returned: readonly PendingTransaction[]
  /** Milliseconds, wall clock. */
  readonly writtenAt: number
  /** Records that are written with it. */
  readonly records?: readonly OwnedChanges[]
  /** Up to this height nothing is ever undone from now on; of a chain whose blocks are final at once. */
  readonly final?: number
}

/** Changes of the records of one plugin, or of core's own (`signing`). */
export interface OwnedChanges {
  readonly owner: string
  readonly changes: readonly RecordChange[]
}

/**
 * What an observer must not miss, in the order in which it happened. What becomes of the recorded chain is written with
 * the very change that makes it so.
 */
export interface OutboxEntry {
  /** Grows by one or more from entry to entry, also over restarts. */
  readonly sequence: number
  /**
   * A block was recorded; a recorded block was undone; it and all below it became final; or a plugin reported something
   * about a block.
   */
  readonly kind: 'applied' | 'undone' | 'final' | 'reported'
  readonly index: number
  readonly hash: Hash
  /** JSON text of who reported it; undefined for what became of the recorded chain. */
  readonly body: string | undefined
}

export type RecordChange = readonly [key: string, value: string | undefined]

/** What a plugin has to say of a block, for the outbox. */
export interface Report {
  readonly index: number
  readonly hash: Hash
  /** JSON text. */
  readonly body: string
}

/** A plugin's own durable records: text under keys, which are ordered by their UTF-8 bytes. */
export interface Records {
  get(key: string): string | undefined
  /** All of them or none; undefined removes. Durable on return. Throws as `Storage` does. */
  write(changes: readonly RecordChange[]): void
  /** Those whose key begins with `prefix` and comes after `after`, in order of keys, at most `max`. */
  list(prefix: string, after: string | undefined, max: number): readonly (readonly [key: string, value: string])[]
  count(prefix: string): number
}

export interface NodeRecord {
  readonly node_id: NodeId
  readonly host: string
  readonly port: number
  readonly node_type: string
  readonly status: string
  /** Milliseconds, wall clock. */
  readonly last_seen: number
}

/** Nonces `start` up to but not including `end`, handed to one worker. */
export interface MiningRange {
  readonly worker: string
  readonly start: number
  readonly end: number
}

/**
 * The ledger. Synchronous; what changes something is durable on return or throws `AurexError` with code
 * `storage-full`, `storage-readonly` or `storage-failed` and has changed nothing. What is read back and cannot be
 * understood throws `ledger-damaged`, naming the row.
 */
export interface Storage {
  /** What a person would look for: a path, or `memory`. */
  readonly location: string
  /**
   * Binds an empty ledger to its genesis and writes block 0 and the state before block 1. Throws `wrong-genesis` when it
   * was made for another.
   */
  begin(genesis: Genesis, block: Block, now: number, opening?: readonly StateEntry[]): void
  /** Canonical JSON of the genesis that the ledger was made for; undefined while it is empty. */
  genesis(): string | undefined
  /** Throws `storage-failed` before `begin`. */
  head(): StoredHeader
  /** Header of the recorded chain. */
  headerAt(index: number): StoredHeader | undefined
  /** Header of a recorded block or of one on a side branch. */
  header(hash: Hash): StoredHeader | undefined
  block(hash: Hash): Block | undefined
  /** A transaction of the recorded chain. */
  transaction(hash: Hash): RecordedTransaction | undefined
  /** Whether a transaction is recorded, and where: cheaper than reading it. */
  locate(hash: Hash): { readonly blockIndex: number; readonly position: number } | undefined
  /** The transactions of a recorded block, in their order, by the ids under which they are filed; none above the head. */
  transactionsAt(index: number): readonly RecordedTransaction[]
  /** What the store itself finds wrong with its structure (SQLite: integrity_check), or undefined. May take seconds. */
  integrity(): string | undefined
  /** Adds to the outbox, beside all else: `undone` for each block that leaves, newest first, then `applied`, oldest first. */
  commit(change: Change): void
  /**
   * Keeps a valid block that is not on the heaviest branch, with what it would change of the state. Need not be durable
   * on return, since it can be fetched again, unless it comes with `records`: then both are, or neither.
   */
  keepSide(block: Block, totalWork: bigint, state?: readonly StateEntry[], records?: readonly OwnedChanges[]): void
  /** The side blocks on which no other stands, in no order. */
  sideTips(): readonly StoredHeader[]
  /**
   * The recorded block of this height, and all below it, are never undone from now on: the outbox gets a `final` for it,
   * and people see it. Less than before, or above the head, changes nothing.
   */
  finalize(height: number): void
  /** What `finalize` or a `Change` said last; 0 at the beginning. */
  finalHeight(): number
  /** The application's state as it was after the recorded block of this height. */
  stateAt(key: string, height: number): string | undefined
  /** What a block changed of the state, recorded or beside; in the order of keys. None for a block that is not here. */
  stateChanges(hash: Hash): readonly StateEntry[]
  /** Entries after this sequence, oldest first, at most `max`. */
  outbox(after: number, max: number): readonly OutboxEntry[]
  /** The last `applied` of this height up to and with this sequence: the block that was recorded there at that time. */
  appliedAt(height: number, sequence: number): OutboxEntry | undefined
  /** The sequence of the last entry; 0 where there is none. */
  outboxEnd(): number
  /** Adds reports to the outbox, and writes to the records of `owner` with them: all of it or nothing. */
  report(reports: readonly Report[], owner: string, changes: readonly RecordChange[]): void
  /**
   * What was reported up to this sequence is wanted by nobody any more. The oldest of it goes, at most 1,000 entries at
   * once; some may stay, and the last entry of all does. Need not be durable on return.
   */
  forgetReports(sequence: number): void
  /** The records of one plugin. `owner` is its name. They need no `begin`. */
  records(owner: string): Records
  /** Drops what `sidesToDrop` says of its side blocks: none that is left may lose its parent. */
  pruneSide(belowIndex: number, blocksMax: number, bytesMax: number, keep?: readonly Hash[]): void
  /** All of them or none. A hash that is pending or recorded already is left as it is. */
  keepPending(transactions: readonly PendingTransaction[]): void
  dropPending(hashes: readonly Hash[]): void
  /** In the order in which they were kept. */
  pending(): Iterable<PendingTransaction>
  saveNode(node: NodeRecord): void
  dropNode(nodeId: NodeId): void
  nodes(): readonly NodeRecord[]
  /**
   * Records that a range was handed out; returns its id. Only the newest 10,000 are kept. Ranges alone need not be
   * durable on return: nobody was promised anything, and they come with every block.
   */
  openRange(range: MiningRange, now: number): number
  /** `solution` is the nonce that was found, or undefined when the range was used up or given up at `end`. */
  closeRange(id: number, completed: boolean, solution: number | undefined): void
  counts(): { readonly transactions: number; readonly sideBlocks: number }
}
