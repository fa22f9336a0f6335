import { accepted, decline, found, type Result, type Verdict } from '../errors.ts'
import type { CoreEvents } from '../events.ts'
import type { Limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type {
  Admission,
  Application,
  AppliedBlock,
  Chain as ChainSlot,
  Change,
  Consensus,
  Due,
  Finality,
  RecordedTransaction,
  Storage,
  StoredHeader,
  TransactionStatus,
} from '../plugin.ts'
import type { Runtime } from '../runtime.ts'
import type { EvidenceBook } from '../evidence/book.ts'
import type { Signing } from '../signing/signing.ts'
import { AdmissionDesk } from './admission.ts'
import { Ancestors } from './ancestry.ts'
import type { Block, ReadBlock, SealedHeader } from './block.ts'
import { Branches } from './branch.ts'
import { zeroHash, type Hash } from './canonical.ts'
import { DepthLimit } from './depth.ts'
import { DiskWatch } from './diskwatch.ts'
import { Executor } from './executor.ts'
import type { Genesis } from './genesis.ts'
import { Intake } from './intake.ts'
import { Mempool, type PoolEntry } from './mempool.ts'
import { Orphans } from './orphans.ts'
import { PendingRules } from './pendingrules.ts'
import { PreparedBranch } from './preparation.ts'
import { Recorder, type BranchResult, type Recorded } from './recorder.ts'
import { Trail, type HeaderTrail } from './trail.ts'
import { badSignature, readTransaction, type ReadTransaction, type Transaction } from './transaction.ts'
import { Verifier } from './verifier.ts'

export interface ChainParts {
  readonly genesis: Genesis
  readonly consensus: Consensus
  /** The one that the genesis names; undefined where it names none. */
  readonly application?: Application | undefined
  /** The one that the genesis asks for; undefined where it asks for none. */
  readonly finality?: Finality | undefined
  /** Where an engine has turns: what this node's key signed. */
  readonly signing?: Signing | undefined
  readonly evidence?: EvidenceBook | undefined
  readonly storage: Storage
  readonly runtime: Runtime
  readonly limits: Limits
  readonly log: Log
  readonly emit: <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]) => void
  /** Called after the head moved or a transaction came in: who produces looks again. */
  readonly changed: (what: 'head' | 'transactions') => void
}

/** Whoever must know at once and without fail; called by the writer, so it only takes note and works later. */
export interface ChainWatcher {
  /** These transactions were admitted just now. */
  admitted?(entries: readonly PoolEntry[]): void
  /** The head moved. `from`: the connection that the block came by, or `local`. */
  moved?(moved: HeadMove): void
}

export interface HeadMove {
  readonly head: SealedHeader
  /** Newest first. */
  readonly undone: readonly Hash[]
  /** Oldest first. */
  readonly applied: readonly AppliedBlock[]
  readonly from: string
}

/** What a block of this node's own holds. */
export interface Draft {
  readonly reads: readonly ReadTransaction[]
  readonly stateRoot: Hash
  /** How many were found not to hold, and dropped. */
  readonly dropped: number
}

/**
 * The single writer. Whatever is slow about a block or a transaction (signatures, proof of work) is done beside it;
 * from the last check to the commit nothing awaits, so there are no locks and no interleavings.
 */
export class Chain implements ChainSlot {
  readonly genesis: Genesis
  readonly mempool: Mempool
  readonly ancestors: Ancestors
  readonly #parts: ChainParts
  readonly #trailOn: (base: StoredHeader) => Trail
  readonly #intake: Intake
  readonly #recorder: Recorder
  readonly #disk: DiskWatch
  readonly #orphans: Orphans
  readonly #verifier: Verifier
  readonly #desk: AdmissionDesk
  readonly #executor: Executor | undefined
  readonly #pendingRules: PendingRules | undefined
  /** Orphans that found their parent and are on their way in. */
  readonly #adoptions = new Set<Promise<void>>()
  readonly #watchers: ChainWatcher[] = []
  #closed = false

  constructor(parts: ChainParts) {
    this.#parts = parts
    this.genesis = parts.genesis
    this.mempool = new Mempool(parts.limits)
    this.ancestors = new Ancestors(parts.storage)
    this.#disk = new DiskWatch({ clock: parts.runtime.clock, log: parts.log, emit: parts.emit })
    this.#orphans = new Orphans(parts.limits)
    this.#verifier = new Verifier(parts.runtime)
    this.#executor = parts.application && new Executor({ application: parts.application, storage: parts.storage })
    const shared = {
      ...parts,
      rules: parts.genesis.rules,
      clock: parts.runtime.clock,
      mempool: this.mempool,
      ancestors: this.ancestors,
      branches: new Branches(parts.storage, this.mempool, parts.genesis.rules),
      depth: new DepthLimit(parts),
      disk: this.#disk,
      orphans: this.#orphans,
      verifier: this.#verifier,
      executor: this.#executor,
      trail: (base: StoredHeader) => new Trail(shared, base),
      taken: this.#taken.bind(this),
    }
    this.#trailOn = shared.trail
    this.#intake = new Intake(shared)
    this.#recorder = new Recorder(shared)
    this.#desk = new AdmissionDesk({
      storage: parts.storage,
      mempool: this.mempool,
      verifying: () => this.#verifier.inFlight,
      limits: parts.limits,
      clock: parts.runtime.clock,
      admitted: (entries) => this.#admitted(entries),
      storageFailed: (error) => this.#disk.failed(error),
      lost: (entries) => this.#pendingRules?.letGo(entries),
    })
    this.#pendingRules =
      parts.application &&
      new PendingRules({
        application: parts.application,
        storage: parts.storage,
        mempool: this.mempool,
        desk: this.#desk,
        disk: this.#disk,
        log: parts.log,
        emit: parts.emit,
      })
  }

  // ---- queries ----

  head(): StoredHeader {
    return this.#parts.storage.head()
  }

  headerAt(index: number): StoredHeader | undefined {
    return this.#parts.storage.headerAt(index)
  }

  block(hash: Hash): Block | undefined {
    return this.#parts.storage.block(hash)
  }

  /** Of a recorded block or of one beside. */
  header(hash: Hash): StoredHeader | undefined {
    return this.#parts.storage.header(hash)
  }

  pending(hash: Hash): Transaction | undefined {
    return this.mempool.get(hash)?.read.transaction
  }

  /** In order of arrival. */
  pendingHashes(): Hash[] {
    return [...this.mempool.entries()].map(({ read }) => read.hash)
  }

  /** By the first 16 hex digits of its id; undefined where none or more than one begins so. */
  pendingByPrefix(prefix: string): ReadTransaction | undefined {
    return this.mempool.getByPrefix(prefix)?.read
  }

  /** When it was received, in milliseconds of the wall clock. */
  pendingSince(hash: Hash): number | undefined {
    return this.mempool.get(hash)?.receivedAt
  }

  /** At most `max` that have been pending for longer than this. */
  pendingOlderThan(milliseconds: number, max: number): Hash[] {
    return this.mempool.receivedBefore(this.#parts.runtime.clock.now() - milliseconds, max)
  }

  /** Until the chain is closed. */
  watch(watcher: ChainWatcher): void {
    this.#watchers.push(watcher)
  }

  /** An empty trail on a block of the ledger; undefined where there is no such block. */
  trail(base: Hash): HeaderTrail | undefined {
    const stored = this.#parts.storage.header(base)
    return stored && this.#trailOn(stored)
  }

  transaction(hash: Hash): RecordedTransaction | undefined {
    return this.#parts.storage.transaction(hash)
  }

  finalHeight(): number {
    return 0
  }

  pendingCount(): number {
    return this.mempool.size
  }

  /** Blocks that wait for their parents. */
  orphanCount(): number {
    return this.#orphans.size
  }

  due(): Due {
    const { consensus, runtime } = this.#parts
    const now = runtime.clock.now()
    return consensus.due(this.ancestors.of(this.head().header), this.mempool.size, now, now)
  }

  status(hash: Hash): TransactionStatus {
    const { storage } = this.#parts
    const place = storage.locate(hash)
    if (place === undefined) return this.#statusUnrecorded(hash)
    const blockHash = storage.headerAt(place.blockIndex)!.header.current_hash
    const confirmations = storage.head().header.index - place.blockIndex + 1
    const status = place.blockIndex <= this.finalHeight() ? 'final' : 'included'
    return { status, blockIndex: place.blockIndex, blockHash, confirmations }
  }

  #statusUnrecorded(hash: Hash): TransactionStatus {
    const pending = this.mempool.get(hash)
    if (pending !== undefined) return { status: pending.returned === true ? 'orphaned' : 'pending' }
    const dropped = this.#pendingRules?.dropped(hash)
    if (dropped === undefined) return { status: 'unknown' }
    return { status: dropped.returned ? 'orphaned' : 'unknown', refusal: dropped.refusal }
  }

  /**
   * The oldest pending transactions that fit into a block on the head, and the state's commitment after them. What does
   * not hold is dropped, so that it never keeps a block from being made. `bytesMax`: canonical JSON with commas between.
   */
  draft(bytesMax: number): Draft {
    const { blockTransactionsMax } = this.genesis.rules.limits
    const reads = this.mempool.oldest(blockTransactionsMax, bytesMax).map(({ read }) => read)
    if (this.#executor === undefined) return { reads, stateRoot: zeroHash, dropped: 0 }
    const { refused, ...draft } = this.#executor.draft(reads, this.head().header)
    if (refused.length > 0) this.#pendingRules?.drop(refused)
    return { ...draft, dropped: refused.length }
  }

  /** Takes nothing more of its own accord; resolves when what is on its way in is written or refused. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([this.#desk.settled(), ...this.#adoptions])
  }

  // ---- transactions ----

  /**
   * Takes up what was pending when the node stopped. Rows that are damaged are named in the log and left alone; what the
   * application does not take any more is dropped.
   */
  async restorePending(): Promise<void> {
    const { storage, log } = this.#parts
    const entries: PoolEntry[] = []
    for (const { hash, transaction, receivedAt, returned } of storage.pending()) {
      const read = readTransaction(transaction, this.genesis.rules)
      if (read.ok && read.value.hash === hash) entries.push({ read: read.value, receivedAt, returned })
      else
        log.error('a pending transaction in the ledger is damaged', { hash, why: read.ok ? 'wrong id' : read.detail })
    }
    const bad = await Promise.all(entries.map(async (entry) => !(await this.#verifier.verify(entry.read))))
    for (const [i, entry] of entries.entries()) {
      if (bad[i] === true)
        log.error('a pending transaction in the ledger is damaged', { hash: entry.read.hash, why: 'signature' })
      else this.mempool.add(entry)
    }
    this.#pendingRules?.restored()
  }

  /** `from`: the connection that it came by, which may not fill the mempool alone. */
  async submitTransaction(value: unknown, from?: string): Promise<Result<Admission>> {
    const read = readTransaction(value, this.genesis.rules)
    const result = read.ok ? await this.#admit(read.value, from) : read
    if (!result.ok) this.#parts.emit('tx:refused', { code: result.code, detail: result.detail })
    return result
  }

  async #admit(read: ReadTransaction, from: string | undefined): Promise<Result<Admission>> {
    // Cheap checks first: nobody gets a signature checked for what is known or has no room.
    const known = this.#known(read)
    if (known !== undefined && this.#wasSeen(read)) return known
    const early = known === undefined ? this.#desk.room(read, from) : accepted
    if (!early.ok) return early
    const head = known === undefined ? this.head() : undefined
    const signature = await this.#verifier.judge(read)
    if (signature !== 'good') return signature === 'bad' ? badSignature : busy
    const late = this.#known(read, head)
    if (late !== undefined) return late
    const room = this.#desk.room(read, from)
    if (!room.ok) return room
    // At the moment it is decided, so that whoever comes next is judged with it.
    const holds = this.#pendingRules?.admit(read) ?? accepted
    return holds.ok ? this.#desk.admit(read, from) : holds
  }

  /** Whether the known one has the very same signature: the id does not cover it, so another one may be made up. */
  #wasSeen({ hash, transaction }: ReadTransaction): boolean {
    const pending = this.mempool.get(hash) ?? this.#desk.get(hash)
    const known = pending?.read.transaction ?? this.#parts.storage.transaction(hash)?.transaction
    return known?.signature === transaction.signature && known.public_key_pem === transaction.public_key_pem
  }

  /** `unrecordedAt`: the head at which it was found not to be recorded. */
  #known(
    read: ReadTransaction,
    unrecordedAt?: StoredHeader,
  ): Result<Admission> | Promise<Result<Admission>> | undefined {
    const { hash } = read
    if (this.mempool.get(hash) !== undefined) return found({ hash, read, status: 'pending' })
    if (this.head().header.current_hash !== unrecordedAt?.header.current_hash) {
      if (this.#parts.storage.locate(hash) !== undefined) return found({ hash, read, status: 'included' })
    }
    return this.#desk.pendingAnswer(hash)
  }

  #admitted(entries: readonly PoolEntry[]): void {
    this.#disk.worked()
    for (const { read } of entries) {
      const { hash, transaction } = read
      this.#parts.emit('tx:admitted', { hash, transaction, pending: this.mempool.size })
    }
    if (entries.length === 0) return
    for (const watcher of this.#watchers) watcher.admitted?.(entries)
    this.#parts.changed('transactions')
  }

  // ---- blocks ----

  /**
   * Refusals, beside those of `readHeader` and `readBody`: `known`, `orphan` (kept until its parent comes),
   * `bad-index`, `bad-timestamp`, `timestamp-ahead`, the engine's own, `reorganisation-too-deep`, `bad-state-root`,
   * `duplicate-transaction` (recorded on this branch already), `bad-transaction` (the application does not take it, on
   * what stands below it), `application-failed`, `storage-unavailable`, `side-blocks-full`. Only a block
   * that was found valid is remembered: an invalid variant of it does not keep it out. `reads`: as in `readBody`, of a
   * block made or put together here.
   */
  async submitBlock(value: unknown, from = 'local', reads?: readonly ReadTransaction[]): Promise<Verdict> {
    const { verdict, added } = await this.#submit([value], from, reads)
    return verdict.ok && added === 0 ? known : verdict
  }

  /**
   * Takes blocks that stand on each other, oldest first, the first on a block that is here. Their signatures are checked
   * together, and those that become the recorded chain are written in one step. Refusals as of `submitBlock`; those that
   * are here already are passed over. What stands below the first that is refused is taken all the same. Of a branch
   * without a parent the first block is kept as an orphan, unless it was prepared beforehand.
   */
  async submitBranch(branch: readonly unknown[] | PreparedBranch, from = 'local'): Promise<BranchResult> {
    const { verdict, taken } = await this.#submit(branch, from)
    return { verdict, taken }
  }

  /**
   * Does beforehand what costs most of `submitBranch` and does not need the parent: hashes, bodies and signatures, but
   * not the rules of the engine. For blocks whose headers are known to be good, while those below them are written.
   */
  prepareBranch(values: readonly unknown[]): Promise<PreparedBranch> {
    return this.#intake.prepare(values)
  }

  /** Drops what waits for parents that only this connection could have sent. */
  forget(source: string): void {
    this.#orphans.forget(source)
  }

  async #submit(
    branch: readonly unknown[] | PreparedBranch,
    from: string,
    reads?: readonly ReadTransaction[],
  ): Promise<Recorded> {
    const started = this.#parts.runtime.clock.monotonic()
    const ready = branch instanceof PreparedBranch
    if (this.#closed) return stopping
    const { known, prepared } = ready ? { known: 0, prepared: branch } : await this.#intake.examine(branch, from, reads)
    if (this.#closed) return stopping
    const { verdict: written, taken, added } = this.#recorder.record(prepared.reads, from, started)
    const verdict = written.ok ? prepared.verdict : written
    if (!verdict.ok && verdict.code !== 'orphan') {
      const hash = prepared.reads[taken]?.block.current_hash ?? prepared.refused
      this.#parts.emit('block:refused', { hash, code: verdict.code, detail: verdict.detail })
    }
    return { verdict, taken: known + taken, added }
  }

  // ---- after the commit ----

  #taken(blocks: readonly ReadBlock[], change: Change | undefined, from: string): void {
    if (change !== undefined) this.#moved(change, from)
    for (const { block } of blocks) this.#adopt(block.current_hash)
  }

  #moved(change: Change, from: string): void {
    for (const { hashes } of change.applied) for (const hash of hashes) this.mempool.remove(hash)
    for (const { transaction, receivedAt, returned } of change.returned) {
      const read = readTransaction(transaction, this.genesis.rules)
      if (read.ok) this.mempool.add({ read: read.value, receivedAt, returned })
    }
    this.#pendingRules?.moved(change)
    const { header: head } = this.head()
    const applied = change.applied.map((one) => one.block.current_hash)
    this.#parts.emit('head:moved', { head, undone: change.undone, applied })
    for (const watcher of this.#watchers)
      watcher.moved?.({ head, undone: change.undone, applied: change.applied, from })
    this.#parts.changed('head')
  }

  /** Gives the blocks that waited for this one another try, in a later turn. */
  #adopt(hash: Hash): void {
    for (const { block, source } of this.#orphans.takeChildren(hash)) {
      const adoption = this.#adoptOne(block, source)
      this.#adoptions.add(adoption)
      void adoption.finally(() => this.#adoptions.delete(adoption))
    }
  }

  async #adoptOne(block: Block, source: string): Promise<void> {
    await new Promise<void>((resolve) => this.#parts.runtime.clock.soon(resolve))
    try {
      await this.submitBlock(block, source)
    } catch (error) {
      // Nobody waits for this answer: a ledger that cannot be read is told by whoever asks it next.
      this.#parts.log.error('a block that had waited for its parent could not be examined', { error })
    }
  }
}

const stopping: Recorded = { verdict: decline('stopping', 'this node is about to stop'), taken: 0, added: 0 }
const busy = decline('busy', 'too many signatures that do not hold at first sight are being checked; try again')
const known = decline('known', 'the block is recorded already')
