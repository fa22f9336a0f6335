// The contract between core and its plugins. It is a public interface: plugins/README.md teaches it, the suites under
// test/contract check it, plugins/instant is its example.
import type * as v from 'valibot'
import type { ReadTransaction, Transaction } from './chain/transaction.ts'
import type { Block, Header, SealedHeader } from './chain/block.ts'
import type { Hash } from './chain/canonical.ts'
import type { Genesis } from './chain/genesis.ts'
import type { Json, JsonObject } from './chain/json.ts'
import type { KeyPair, NodeId } from './chain/keys.ts'
import type { Result, Verdict } from './errors.ts'
import type { CoreEvents } from './events.ts'
import type { Limits } from './limits.ts'
import type { Log } from './log.ts'
import type { Runtime } from './runtime.ts'

// ---- consensus -------------------------------------------------------------------------------------------------

/** The headers below a block, on its own branch, so that a rule can look back (median time, retarget, turns). */
export interface Ancestry {
  readonly parent: SealedHeader
  /** undefined above the parent. */
  at(index: number): SealedHeader | undefined
}

/** When this node may produce: from `when` on (milliseconds, wall clock), or never by itself: it waits for something. */
export type Due = { readonly when: number } | { readonly waitsFor: string }

export interface Seal {
  readonly nonce: number
  readonly certificate?: Json
}

/**
 * The rules of one engine. Everything but `due` and `seal` is pure: the same header and ancestry give the same answer
 * on every node. Core itself checks hash, signature, body, parent, index and that time goes forward.
 */
export interface Consensus {
  /** What the header's `consensus` says: the plugin's name. */
  readonly id: string
  /** How far ahead of the clock a timestamp may be. */
  readonly futureMillisecondsMax: number
  /** Fills in what the rules demand of the block after `ancestry.parent`: `work`, `seal`, `signer_id`. */
  prepare(draft: Header, ancestry: Ancestry): Header
  /** Whether these rules hold for a header, and its seal. */
  verify(header: SealedHeader, ancestry: Ancestry): Verdict
  /** Fork choice adds these up; at least 1. */
  weight(header: Header): bigint
  /** `pending`: how many transactions wait to be recorded. */
  due(ancestry: Ancestry, pending: number, now: number): Due
  /** undefined when `signal` was aborted first. */
  seal(header: Header, signal: AbortSignal): Promise<Seal | undefined>
}

// ---- storage ---------------------------------------------------------------------------------------------------

export interface PendingTransaction {
  readonly hash: Hash
  readonly transaction: Transaction
  /** Milliseconds, wall clock: when this node received it. */
  readonly receivedAt: number
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
  /** Binds an empty ledger to its genesis and writes block 0. Throws `wrong-genesis` when it was made for another. */
  begin(genesis: Genesis, block: Block, now: number): void
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
  commit(change: Change): void
  /** Keeps a valid block that is not on the heaviest branch. Need not be durable on return: it can be fetched again. */
  keepSide(block: Block, totalWork: bigint): void
  /** Drops what `sidesToDrop` says of its side blocks: none that is left may lose its parent. */
  pruneSide(belowIndex: number, blocksMax: number, bytesMax: number): void
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

// ---- transports ------------------------------------------------------------------------------------------------

/** A connection, as the network sees it: whole messages in, whole messages out. */
export interface Connection {
  /** Unique in this process; for logs. */
  readonly id: string
  readonly remoteHost: string
  readonly remotePort: number
  /** Whether this node opened it. */
  readonly outbound: boolean
  /** It is a peer's from now on: the limits of peers hold for its messages, and no longer those of clients. */
  promote(): void
  /** The other side is slow to take what is sent: its answers had better not be made before `roomy`. Absent: never. */
  readonly full?: boolean
  /** Queues one message; a reader that never reads is dropped when its queue is full. */
  send(message: JsonObject): void
  /** Sends what is queued, then closes. The reason is for the log: a coded `ERROR` was sent before where one is due. */
  close(reason: string): void
  /** Stops and restarts the reading of messages. */
  pause(): void
  resume(): void
}

/** What the network wants to hear of one connection. */
export interface ConnectionHandlers {
  /** The bytes of one whole message, without its framing. */
  message(bytes: Uint8Array): void
  /** The framing was broken: too long, too slow, no end. The network answers and closes. */
  broken(code: string, detail: string): void
  /** There is room again on a connection that was `full`. */
  roomy?(): void
  /** The other side will send nothing more; what it asked is still answered. */
  finished(): void
  closed(): void
}

/** The only door into the network. Refuses `too-many-connections`; the transport says so to the other side and closes. */
export interface Inbox {
  connected(connection: Connection): Result<ConnectionHandlers>
}

export interface Transport {
  /** Starts to carry messages. Called once, when every plugin is set up. */
  open(inbox: Inbox): Promise<void>
  /** Where it listens; undefined while it does not. */
  address(): { readonly host: string; readonly port: number } | undefined
  /**
   * Opens a connection to another node; `host` is an IP address. `accept` is called once, as soon as it is open, and says
   * who hears of it. Rejects with `AurexError` `connect-failed` or `connect-slow`. A transport that serves clients only
   * has no such method.
   */
  dial?(host: string, port: number, accept: (connection: Connection) => ConnectionHandlers): Promise<void>
}

// ---- chain (core's own slot) -----------------------------------------------------------------------------------

export type TransactionStatus =
  | { readonly status: 'pending' }
  | {
      readonly status: 'included'
      readonly blockIndex: number
      readonly blockHash: Hash
      readonly confirmations: number
    }
  | { readonly status: 'unknown' }

export interface Chain {
  readonly genesis: Genesis
  head(): StoredHeader
  headerAt(index: number): StoredHeader | undefined
  block(hash: Hash): Block | undefined
  transaction(hash: Hash): RecordedTransaction | undefined
  status(hash: Hash): TransactionStatus
  pendingCount(): number
  /** When this node makes a block of what is pending, or what it waits for. */
  due(): Due
  /**
   * Checks a transaction and keeps it until it is recorded. Resolves when it is durable. Refusals: those of
   * `readTransaction`, `bad-signature`, `mempool-full`, `sender-quota`, `storage-unavailable`. One that is known
   * already is accepted again: the answer says what became of it. `from`: the connection that it came by, which may not
   * fill the mempool alone.
   */
  submitTransaction(value: unknown, from?: string): Promise<Result<Admission>>
  /** Checks a block and records it. Refusals: those of `readHeader` and `readBody`, and the chain's own (chain.ts). */
  submitBlock(value: unknown, from?: string): Promise<Verdict>
}

export interface Admission {
  readonly hash: Hash
  readonly read: ReadTransaction
  /** `admitted` now, or known before: `pending`, `included`. */
  readonly status: 'admitted' | 'pending' | 'included'
}

// ---- plugins ---------------------------------------------------------------------------------------------------

export interface Slots {
  storage: Storage
  consensus: Consensus
  transport: Transport
  chain: Chain
}
export type Slot = keyof Slots
/** How the slots look to who needs them: a transport is one of several. */
export type Filled<S extends Slot> = S extends 'transport' ? readonly Transport[] : Slots[S]

export interface NodeFacts {
  readonly name: string
  readonly dataDir: string
  readonly port: number
  readonly version: string
}

/** What a plugin gets: exactly the slots that it named, and ways to take part. */
export interface Context<N extends Slot = never> {
  readonly use: { readonly [S in N]: Filled<S> }
  readonly node: NodeFacts
  /** This node's key. */
  readonly identity: KeyPair
  /** undefined on a node without a chain. */
  readonly genesis: Genesis | undefined
  readonly limits: Limits
  readonly runtime: Runtime
  readonly log: Log
  /** Aborted when the node begins to stop. */
  readonly signal: AbortSignal
  /** Hears facts of core, in order, off the writer's stack. */
  on<E extends keyof CoreEvents>(event: E, hear: (fact: CoreEvents[E]) => void | Promise<void>): void
  /** Hears facts of another plugin, by their full name (`pow:progress`). */
  onPlugin(event: `${string}:${string}`, hear: (fact: unknown) => void | Promise<void>): void
  /** Tells a fact of this plugin's own: `publish('progress', ...)` in `pow` is heard as `pow:progress`. */
  publish(event: string, fact: unknown): void
  /** Releases what was just acquired. Last in, first out, awaited one by one. */
  defer(release: () => void | Promise<void>): void
}

export type Parameters = v.GenericSchema<unknown, JsonObject>

export interface Plugin<
  C extends v.GenericSchema = v.GenericSchema,
  P extends Slot | 'none' = Slot | 'none',
  N extends Slot = Slot,
  G extends Parameters = Parameters,
> {
  readonly name: string
  /** One line for `--help`. */
  readonly summary: string
  readonly provides: P
  readonly needs: readonly N[]
  /** A strict valibot object: this plugin's section of the config, every key with a default. */
  readonly config: C
  /**
   * An engine's parameters, which all nodes must agree on: a strict valibot object for the table of the genesis that
   * bears the plugin's name. Its defaults make the development genesis.
   */
  readonly parameters?: G
  setup(
    context: Context<N>,
    config: v.InferOutput<C>,
    parameters: v.InferOutput<G>,
  ): Promise<P extends Slot ? Slots[P] : void> | (P extends Slot ? Slots[P] : void)
}

/** Gives a plugin its types; returns it as it is. */
export const definePlugin = <
  C extends v.GenericSchema,
  const P extends Slot | 'none',
  const N extends Slot = never,
  G extends Parameters = Parameters,
>(
  plugin: Plugin<C, P, N, G>,
): Plugin<C, P, N, G> => plugin

/** A plugin whose types are not known any more, as the loader holds it. */
// The parameters of `setup` are contravariant, so no concrete plugin is assignable to the general one.
export interface LoadedPlugin extends Omit<Plugin, 'setup'> {
  setup(context: Context<Slot>, config: never, parameters: never): unknown
}
