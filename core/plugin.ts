// The contract between core and its plugins. It is a public interface: plugins/README.md teaches it, the suites under
// test/contract check it, plugins/instant is its example.
import type * as v from 'valibot'
import type { ReadTransaction, Transaction } from './chain/transaction.ts'
import type { Block, Header, SealedHeader } from './chain/block.ts'
import type { Hash } from './chain/canonical.ts'
import type { Genesis } from './chain/genesis.ts'
import type { Json, JsonObject } from './chain/json.ts'
import type { Address, KeyPair, NodeId } from './chain/keys.ts'
import type { Refusal, Result, Verdict } from './errors.ts'
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

// ---- application -----------------------------------------------------------------------------------------------

/** One entry of an application's state. `value` is text of the application's choice; undefined: there is none. */
export interface StateEntry {
  readonly key: string
  readonly value: string | undefined
}

/** What was true before the transaction that is looked at. */
export interface StateView {
  get(key: string): string | undefined
}

/** What an application is told of a transaction whose signature is the signer's. */
export interface StatedTransaction {
  readonly hash: Hash
  readonly sender: string
  readonly data: JsonObject
  /** The address of the key that signed. */
  readonly signer: Address
  /**
   * Why this key may sign for `sender`: it is the sender's own address; it is a gateway's that the genesis names; the
   * genesis lets anybody sign for any name; or for no reason that core knows, and only the application may let it.
   */
  readonly right: 'own' | 'gateway' | 'anyone' | 'none'
}

/**
 * What transactions mean. Pure: the same transaction on the same state gives the same changes on every node. A block
 * whose transactions are not all taken, each on what those before it left, is no valid block. Core keeps the state,
 * undoes it exactly, and commits to it in every header's `state_root`.
 */
export interface Application {
  /** What the genesis says in `application`: the plugin's name. */
  readonly id: string
  /** The state before block 1, as the genesis has it. Keys are unique. */
  opening(): readonly StateEntry[]
  /**
   * What recording a transaction changes, or why it may not be recorded. A refusal's code and detail reach the client.
   * Whether the sender is provably wrong depends on the state, so that no peer is banned for it: `decline`. Where
   * `right` is `none` and this application does not know better, it declines `wrong-key`.
   */
  apply(transaction: StatedTransaction, state: StateView): Result<readonly StateEntry[]>
}

// ---- storage ---------------------------------------------------------------------------------------------------

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
}

/**
 * What an observer must not miss, in the order in which it happened. What becomes of the recorded chain is written with
 * the very change that makes it so.
 */
export interface OutboxEntry {
  /** Grows by one or more from entry to entry, also over restarts. */
  readonly sequence: number
  /** A block was recorded; a recorded block was undone; or a plugin reported something about a block. */
  readonly kind: 'applied' | 'undone' | 'reported'
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
   * on return: it can be fetched again.
   */
  keepSide(block: Block, totalWork: bigint, state?: readonly StateEntry[]): void
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
  /** Where it listens; undefined while it does not. Of a transport that can `dial`: where other nodes reach this one. */
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
      /** `final`: its block can no longer be undone. */
      readonly status: 'included' | 'final'
      readonly blockIndex: number
      readonly blockHash: Hash
      /** Blocks from its own up to the head. */
      readonly confirmations: number
    }
  /** It was recorded, its block was undone, and no block holds it now. `refusal`: it will not be recorded again, and why. */
  | { readonly status: 'orphaned'; readonly refusal?: Refusal }
  /** `refusal`: it was pending here and was dropped, since what was recorded meanwhile rules it out. */
  | { readonly status: 'unknown'; readonly refusal?: Refusal }

/** Of a transaction that is in a block of the recorded chain. */
export type Recorded = Extract<TransactionStatus, { readonly blockIndex: number }>

export interface Chain {
  readonly genesis: Genesis
  head(): StoredHeader
  headerAt(index: number): StoredHeader | undefined
  block(hash: Hash): Block | undefined
  transaction(hash: Hash): RecordedTransaction | undefined
  status(hash: Hash): TransactionStatus
  /** Up to this height, nothing can be undone any more. 0 on a chain without finality: the genesis alone is final. */
  finalHeight(): number
  pendingCount(): number
  /** When this node makes a block of what is pending, or what it waits for. */
  due(): Due
  /**
   * Checks a transaction and keeps it until it is recorded. Resolves when it is durable. Refusals: those of
   * `readTransaction`, `bad-signature`, `mempool-full`, `sender-quota`, `storage-unavailable`, what the application declines
   * on top of all that is pending, and `application-failed` where it throws. One that is known
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
  application: Application
  transport: Transport
  chain: Chain
}
export type Slot = keyof Slots
/** How the slots look to who needs them: a transport is one of several. */
export type Filled<S extends Slot> = S extends 'transport' ? readonly Transport[] : Slots[S]

// ---- the network, as plugins see it ------------------------------------------------------------------------------

/** Another node with which this one has shaken hands. */
export interface PeerView {
  readonly nodeId: NodeId
  readonly address: Address
  /** What it says that it is: `full`, `gateway`. */
  readonly nodeType: string
  /** Where it listens, for peers and clients alike; undefined where it does not. */
  readonly listens: { readonly host: string; readonly port: number } | undefined
}

export interface NetworkView {
  /**
   * The rules of the chain that the network is on. On a node without a chain of its own they are those of a genesis file,
   * or are learnt from the peers that the operator named; undefined until then.
   */
  genesis(): Genesis | undefined
  /** The peers of this moment. */
  peers(): readonly PeerView[]
}

// ---- what plugins contribute -------------------------------------------------------------------------------------

/** A figure that whoever shows figures picks up. Read when it is shown, so it must be cheap. */
export interface Metric {
  /** Prometheus' way to name things: `notifier_backlog_blocks`. */
  readonly name: string
  readonly help: string
  readonly kind: 'gauge' | 'counter'
  /** One value, or one for each set of labels. */
  read(): number | readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[]
}

/** Whether a part of the node works. Read when it is shown, so it must be cheap. */
export interface HealthCheck {
  /** `notifier:targets`. */
  readonly name: string
  check(): { readonly status: 'pass' | 'warn' | 'fail'; readonly output?: string }
}

/** A way to tell others what a node has to say of its blocks, for whoever does the telling (the notifier). */
export interface Sink {
  /** The scheme of the URLs that name its targets: `nats` of `nats://127.0.0.1:4222/blocks`. */
  readonly name: string
  /**
   * Resolves when the other side has it for good; rejects, and it is delivered again later. `id` is the same for the same
   * news however often it is delivered, and `line` too: one line of JSON, without its end. `signal` is aborted when the
   * node stops.
   */
  deliver(target: string, news: { readonly id: string; readonly line: string }, signal: AbortSignal): Promise<void>
}

export interface Contributions {
  readonly metric: Metric
  readonly health: HealthCheck
  readonly sink: Sink
}

export interface NodeFacts {
  readonly name: string
  readonly dataDir: string
  readonly port: number
  readonly version: string
}

/** What a plugin gets: exactly the slots that it named, and ways to take part. */
export interface Context<N extends Slot = never, W extends Slot = never> {
  /** What it `needs`, and of what it `wants` that which is there. */
  readonly use: { readonly [S in N]: Filled<S> } & { readonly [S in W]?: Filled<S> }
  readonly node: NodeFacts
  /** This node's key. */
  readonly identity: KeyPair
  /** undefined on a node without a chain. */
  readonly genesis: Genesis | undefined
  /** Empty until the node is up. */
  readonly network: NetworkView
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
  /** Hands over what others show: the names of a kind are unique. */
  contribute<K extends keyof Contributions>(kind: K, what: Contributions[K]): void
  /** What all plugins have handed over so far. */
  contributed<K extends keyof Contributions>(kind: K): readonly Contributions[K][]
  /** Releases what was just acquired. Last in, first out, awaited one by one. */
  defer(release: () => void | Promise<void>): void
}

export type Parameters = v.GenericSchema<unknown, JsonObject>

export interface Plugin<
  C extends v.GenericSchema = v.GenericSchema,
  P extends Slot | 'none' = Slot | 'none',
  N extends Slot = Slot,
  G extends Parameters = Parameters,
  W extends Slot = Slot,
> {
  readonly name: string
  /** One line for `--help`. */
  readonly summary: string
  readonly provides: P
  readonly needs: readonly N[]
  /** Slots that it uses where they are filled. */
  readonly wants?: readonly W[]
  /** A strict valibot object: this plugin's section of the config, every key with a default. */
  readonly config: C
  /**
   * An engine's or an application's parameters, which all nodes must agree on: a strict valibot object for the table of
   * the genesis that bears the plugin's name. Its defaults make the development genesis.
   */
  readonly parameters?: G
  setup(
    context: Context<N, W>,
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
  const W extends Slot = never,
>(
  plugin: Plugin<C, P, N, G, W>,
): Plugin<C, P, N, G, W> => plugin

/** A plugin whose types are not known any more, as the loader holds it. */
// The parameters of `setup` are contravariant, so no concrete plugin is assignable to the general one.
export interface LoadedPlugin extends Omit<Plugin, 'setup'> {
  setup(context: Context<Slot>, config: never, parameters: never): unknown
}
