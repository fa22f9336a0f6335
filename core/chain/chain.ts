import { AurexError, decline, messageOf, type Result, type Verdict } from '../errors.ts'
import type { CoreEvents } from '../events.ts'
import type { Limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type {
  Admission,
  Application,
  Chain as ChainSlot,
  Change,
  Checkpoint,
  Consensus,
  Finality,
  OwnedChanges,
  Storage,
  StoredHeader,
} from '../plugin.ts'
import type { Runtime } from '../runtime.ts'
import { AdmissionDesk } from './admission.ts'
import { Adoptions } from './adoptions.ts'
import { Ancestors } from './ancestry.ts'
import { sealedHeaderOf, type Block, type ReadBlock } from './block.ts'
import { Branches } from './branch.ts'
import { zeroHash, type Hash } from './canonical.ts'
import { DepthLimit } from './depth.ts'
import { DiskWatch } from './diskwatch.ts'
import { examineProposal, type ExaminationParts } from './examination.ts'
import { Executor } from './executor.ts'
import { Finals } from './finals.ts'
import { ForkChoice } from './forkchoice.ts'
import type { Genesis } from './genesis.ts'
import { Intake } from './intake.ts'
import type { NodeId } from './keys.ts'
import { Mempool } from './mempool.ts'
import { News } from './news.ts'
import { Orphans } from './orphans.ts'
import { PendingRules, type Dropped } from './pendingrules.ts'
import { PreparedBranch } from './preparation.ts'
import { ChainQueries } from './queries.ts'
import { Reconsideration } from './reconsideration.ts'
import { Recorder, type BranchResult, type Recorded, type RecordOptions } from './recorder.ts'
import { Trail, type HeaderTrail } from './trail.ts'
import type { ReadTransaction } from './transaction.ts'
import { TransactionDoor } from './transactiondoor.ts'
import { Verifier } from './verifier.ts'
import type { ChainWatcher, Fetch, SignedBlock } from './watcher.ts'

export type { ChainWatcher, Fetch, HeadMove, SignedBlock } from './watcher.ts'

export interface ChainParts {
  readonly genesis: Genesis
  readonly consensus: Consensus
  /** The one that the genesis names; undefined where it names none. */
  readonly application?: Application | undefined
  /** The one that the genesis asks for; undefined where it asks for none. */
  readonly finality?: Finality | undefined
  /** Told of every block whose signature is good, whatever becomes of it, where the engine has turns. */
  readonly signed?: ((block: SignedBlock) => void) | undefined
  /** The block that this node's key signed last, where the engine has turns. */
  readonly signedLast?: (() => Hash | undefined) | undefined
  readonly storage: Storage
  readonly runtime: Runtime
  readonly limits: Limits
  readonly log: Log
  readonly emit: <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]) => void
  /** Called after the head moved, a transaction came in, or who says when to produce would say otherwise. */
  readonly changed: (what: 'head' | 'transactions' | 'due') => void
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
export class Chain extends ChainQueries implements ChainSlot {
  readonly #parts: ChainParts
  readonly #trailOn: (base: StoredHeader) => Trail
  readonly #intake: Intake
  readonly #recorder: Recorder
  readonly #reconsideration: Reconsideration
  readonly #finals: Finals
  readonly #examination: ExaminationParts
  readonly #branches: Branches
  readonly #disk: DiskWatch
  readonly #orphans: Orphans
  readonly #verifier: Verifier
  readonly #desk: AdmissionDesk
  readonly #door: TransactionDoor
  readonly #executor: Executor | undefined
  readonly #pendingRules: PendingRules | undefined
  readonly #adoptions: Adoptions
  readonly #news: News
  /** Somebody is told what was just written. */
  #writing = false
  /** What is final or justified moved since the chains beside were last compared with the recorded one. */
  #moved = false
  #closed = false

  constructor(parts: ChainParts) {
    const { storage, genesis, log, emit } = parts
    const { clock } = parts.runtime
    const mempool = new Mempool(parts.limits)
    const ancestors = new Ancestors(storage)
    const choice = new ForkChoice({ ...parts, ancestors })
    const disk = new DiskWatch({ clock, log, emit })
    const finals = new Finals({ ...parts, disk })
    super({ ...parts, clock, mempool, ancestors, choice, finals })
    this.#parts = parts
    this.#disk = disk
    this.#finals = finals
    this.#orphans = new Orphans(parts.limits)
    this.#verifier = new Verifier(parts.runtime)
    this.#branches = new Branches(storage, mempool, genesis.rules)
    this.#executor = parts.application && new Executor({ application: parts.application, storage })
    const shared = {
      ...parts,
      rules: genesis.rules,
      clock,
      mempool,
      ancestors,
      choice,
      finals,
      branches: this.#branches,
      depth: new DepthLimit({ ...parts, choice, finals }),
      disk,
      orphans: this.#orphans,
      verifier: this.#verifier,
      executor: this.#executor,
      trail: (base: StoredHeader) => new Trail(shared, base),
      pendingRules: () => this.#pendingRules,
      submit: (block: Block, from: string) => this.submitBlock(block, from),
      taken: (blocks: readonly ReadBlock[], change: Change | undefined, from: string) => {
        this.#news.taken(blocks, change, from)
        for (const { block } of blocks) this.#adoptions.begin(block.current_hash)
      },
    }
    this.#news = new News(shared)
    this.#adoptions = new Adoptions(shared)
    this.#trailOn = shared.trail
    this.#intake = new Intake(shared)
    this.#recorder = new Recorder(shared)
    this.#reconsideration = new Reconsideration(shared)
    this.#examination = shared
    this.#desk = new AdmissionDesk({
      storage: parts.storage,
      mempool: this.mempool,
      verifying: () => this.#verifier.inFlight,
      limits: parts.limits,
      clock: parts.runtime.clock,
      admitted: (entries) => {
        disk.worked()
        this.#news.admitted(entries)
      },
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
    this.#door = new TransactionDoor({ ...shared, desk: this.#desk, pendingRules: this.#pendingRules })
  }

  /** Until the chain is closed. */
  watch(watcher: ChainWatcher): void {
    this.#news.watch(watcher)
  }

  /** An empty trail on a block of the ledger; undefined where there is no such block. */
  trail(base: Hash): HeaderTrail | undefined {
    const stored = this.#parts.storage.header(base)
    return stored && this.#trailOn(stored)
  }

  /** Blocks that wait for their parents. */
  orphanCount(): number {
    return this.#orphans.size
  }

  /**
   * The oldest pending transactions that fit into a block on the head, and the state's commitment after them. What does
   * not hold is dropped, so that it never keeps a block from being made. `bytesMax`: canonical JSON with commas between.
   * `tip`: the last block of a branch beside, to build on that; then what does not hold there is left out. None on a chain
   * that halts: until it goes on, its blocks record nothing.
   */
  draft(bytesMax: number, tip: StoredHeader = this.head()): Draft {
    const { blockTransactionsMax } = this.genesis.rules.limits
    const branch = this.#branches.on(tip.header.current_hash)
    if (branch === undefined) return { reads: [], stateRoot: tip.header.state_root, dropped: 0 }
    const beside = this.#branches.idsBeside(branch)
    const isHalted = this.#parts.finality?.halted(this.ancestors.of(tip.header)) !== undefined
    const oldest = isHalted ? [] : this.mempool.oldest(blockTransactionsMax, bytesMax).map(({ read }) => read)
    const reads = oldest.filter(({ hash }) => !beside.has(hash))
    if (this.#executor === undefined) return { reads, stateRoot: zeroHash, dropped: 0 }
    const { refused, ...draft } = this.#executor.draft(reads, branch)
    // What holds on the recorded chain need not hold beside it.
    if (!tip.recorded || refused.length === 0) return { ...draft, dropped: 0 }
    this.#pendingRules?.drop(refused)
    return { ...draft, dropped: refused.length }
  }

  protected override dropped(hash: Hash): Dropped | undefined {
    return this.#pendingRules?.dropped(hash)
  }

  /** Why the ledger cannot be written, and since when, in milliseconds of the wall clock; undefined: it can. */
  storageFailure(): { readonly why: string; readonly since: number } | undefined {
    return this.#disk.failure
  }

  /** Takes nothing more of its own accord; resolves when what is on its way in is written or refused. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([this.#desk.settled(), this.#adoptions.settled()])
  }

  // ---- transactions ----

  /** As `TransactionDoor.restore`. */
  restorePending(): Promise<void> {
    return this.#door.restore()
  }

  /** `from`: the connection that it came by, which may not fill the mempool alone. */
  submitTransaction(value: unknown, from?: string): Promise<Result<Admission>> {
    return this.#door.submit(value, from)
  }

  // ---- blocks ----

  /**
   * Refusals, beside those of `readHeader` and `readBody`: `known`, `orphan` (kept until its parent comes), `bad-index`,
   * `bad-timestamp`, `timestamp-ahead`, the engine's own, `reorganisation-too-deep`, `below-final`, `bad-state-root`,
   * `duplicate-transaction` (recorded on this branch already), `bad-transaction` (the application does not take it, on
   * what stands below it), `application-failed`, `storage-unavailable`, `side-blocks-full`. Only a block
   * that was found valid is remembered: an invalid variant of it does not keep it out. `reads`: as in `readBody`, of a
   * block made or put together here. `records`: of a block of this node's own, what is written with it, or neither.
   */
  async submitBlock(
    value: unknown,
    from = 'local',
    reads?: readonly ReadTransaction[],
    records?: readonly OwnedChanges[],
  ): Promise<Verdict> {
    const { verdict, added } = await this.#submit([value], from, { reads, records })
    return verdict.ok && added === 0 ? known : verdict
  }

  /**
   * Takes blocks that stand on each other, oldest first, the first on a block that is here. Their signatures are checked
   * together, and those that become the recorded chain are written in one step. Refusals as of `submitBlock`; those that
   * are here already are passed over. What stands below the first that is refused is taken all the same. Of a branch
   * without a parent the first block is kept as an orphan, unless it was prepared beforehand. `wanted`: they lead to a
   * checkpoint that was asked for by `fetch`, and stay here until they are there, however light they are.
   */
  async submitBranch(
    branch: readonly unknown[] | PreparedBranch,
    from = 'local',
    wanted = false,
  ): Promise<BranchResult> {
    const { verdict, taken } = await this.#submit(branch, from, { wanted })
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
    options: RecordOptions & { readonly reads?: readonly ReadTransaction[] | undefined },
  ): Promise<Recorded> {
    const { reads, records } = options
    const started = this.#parts.runtime.clock.monotonic()
    const ready = branch instanceof PreparedBranch
    if (this.#closed) return stopping
    const { known, prepared } = ready ? { known: 0, prepared: branch } : await this.#intake.examine(branch, from, reads)
    if (this.#closed) return stopping
    const {
      verdict: written,
      taken,
      added,
    } = this.#write(() => this.#recorder.record(prepared.reads, from, started, options))
    // Of what was prepared beforehand, the engine has judged only what was taken. And a block of this node's own that was
    // not written was not signed, as far as anybody will ever know: in its place another one will be.
    const own = records !== undefined
    this.#tellSigned(ready || own ? prepared.reads.slice(0, taken) : prepared.reads, own)
    const verdict = written.ok ? prepared.verdict : written
    if (!verdict.ok && verdict.code !== 'orphan') {
      const hash = prepared.reads[taken]?.block.current_hash ?? prepared.refused
      this.#parts.emit('block:refused', { hash, code: verdict.code, detail: verdict.detail })
    }
    return { verdict, taken: known + taken, added }
  }

  // ---- what is final, and engines whose nodes agree ----

  /** As `ChainDoor.examine`. */
  examine(value: unknown): Promise<Result<Block>> {
    return examineProposal(this.#examination, value)
  }

  /**
   * What is justified or final is another than before: the best of all chains that are here becomes the recorded one, and
   * what is final on it is written.
   */
  reconsider(): void {
    this.#moved = true
    // In the middle of telling what was written: as soon as that is done.
    if (this.#writing || this.#closed) return
    this.#write(() => undefined)
    this.changed()
  }

  /** Who says when to produce would say otherwise than before. */
  changed(): void {
    this.#parts.changed('due')
  }

  /** Has a block fetched that is not here, with all below it. */
  fetch(checkpoint: Checkpoint, from: NodeId): void {
    this.#news.fetch(checkpoint, from)
  }

  /** Who fetches. Until the chain is closed. */
  wanted(fetch: Fetch): void {
    this.#news.wanted(fetch)
  }

  /** Says a block of this node's own again, if it is beside the recorded chain. */
  sayAgain(hash: Hash): void {
    this.#news.sayAgain(hash)
  }

  // ---- around the commit ----

  /** Nothing in here awaits, and nothing is written while others are told what was. */
  #write<T>(work: () => T): T {
    this.#writing = true
    try {
      const result = work()
      this.#finals.settle()
      while (this.#moved) {
        this.#moved = false
        const change = this.#reconsideration.adopt()
        // With the next block it is tried again.
        if (change === 'failed') this.#moved = true
        else if (change !== undefined) this.#news.taken([], change, 'local')
        this.#finals.settle()
        if (change === 'failed') break
      }
      return result
    } finally {
      this.#writing = false
    }
  }

  #tellSigned(reads: readonly ReadBlock[], own: boolean): void {
    const { consensus, signed } = this.#parts
    if (signed === undefined || consensus.turn === undefined) return
    try {
      for (const { block, signer } of reads) signed({ header: sealedHeaderOf(block), signer: signer.address, own })
    } catch (error) {
      if (error instanceof AurexError) this.#disk.failed(error)
      // What was written is written, whatever an engine makes of who signed it.
      else this.#parts.log.error('who signed a block could not be looked at', { why: messageOf(error) })
    }
  }
}

const stopping: Recorded = { verdict: decline('stopping', 'this node is about to stop'), taken: 0, added: 0 }
const known = decline('known', 'the block is recorded already')
