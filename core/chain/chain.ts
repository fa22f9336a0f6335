import { accepted, AurexError, decline, found, messageOf, refuse, type Result, type Verdict } from '../errors.ts'
import type { CoreEvents } from '../events.ts'
import type { Limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type {
  Admission,
  Chain as ChainSlot,
  Change,
  Consensus,
  Due,
  RecordedTransaction,
  Storage,
  StoredHeader,
  TransactionStatus,
} from '../plugin.ts'
import type { Runtime } from '../runtime.ts'
import { AdmissionDesk } from './admission.ts'
import { Ancestors } from './ancestry.ts'
import { readBody, readHeader, sealedHeaderOf, type Block, type ReadBlock, type SealedHeader } from './block.ts'
import { Branches, type Branch } from './branch.ts'
import type { Hash } from './canonical.ts'
import { DiskWatch } from './diskwatch.ts'
import { isBetter } from './forkchoice.ts'
import type { Genesis } from './genesis.ts'
import { Mempool, type PoolEntry } from './mempool.ts'
import { Orphans } from './orphans.ts'
import { checkSuccession } from './succession.ts'
import { parseTimestamp } from './timestamp.ts'
import type { HeaderTrail } from './trail.ts'
import { badSignature, readTransaction, type ReadTransaction, type Transaction } from './transaction.ts'
import { Verifier } from './verifier.ts'

export interface ChainParts {
  readonly genesis: Genesis
  readonly consensus: Consensus
  readonly storage: Storage
  readonly runtime: Runtime
  readonly limits: Limits
  readonly log: Log
  readonly emit: <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]) => void
  /** Called after the head moved or a transaction came in: who produces looks again. */
  readonly changed: (what: 'head' | 'transactions') => void
}

type ReadHeader = Omit<ReadBlock, 'transactions' | 'bytes'>

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
  readonly applied: readonly Hash[]
  readonly from: string
}

/** What became of a row of blocks that stand on each other. */
export interface BranchResult {
  /** Of the first block that was not taken; accepted when all were, or are here already. */
  readonly verdict: Verdict
  /** How many of them are here now, from the first on. */
  readonly taken: number
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
  readonly #branches: Branches
  readonly #disk: DiskWatch
  readonly #orphans: Orphans
  readonly #verifier: Verifier
  readonly #desk: AdmissionDesk
  /** Orphans that found their parent and are on their way in. */
  readonly #adoptions = new Set<Promise<void>>()
  readonly #watchers: ChainWatcher[] = []
  #closed = false

  constructor(parts: ChainParts) {
    this.#parts = parts
    this.genesis = parts.genesis
    this.mempool = new Mempool(parts.limits)
    this.ancestors = new Ancestors(parts.storage)
    this.#branches = new Branches(parts.storage, this.mempool, parts.genesis.rules.chainId)
    this.#disk = new DiskWatch({ clock: parts.runtime.clock, log: parts.log, emit: parts.emit })
    this.#orphans = new Orphans(parts.limits)
    this.#verifier = new Verifier(parts.runtime)
    this.#desk = new AdmissionDesk({
      storage: parts.storage,
      mempool: this.mempool,
      verifying: () => this.#verifier.inFlight,
      limits: parts.limits,
      clock: parts.runtime.clock,
      admitted: (entries) => this.#admitted(entries),
      storageFailed: (error) => this.#disk.failed(error),
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

  /** Until the chain is closed. */
  watch(watcher: ChainWatcher): void {
    this.#watchers.push(watcher)
  }

  /** An empty trail on a block; undefined where there is no such block. */
  trail(base: Hash): HeaderTrail | undefined {
    throw new Error(`to be built: ${base}`)
  }

  /**
   * Takes blocks that stand on each other, oldest first, the first on a block that is here. Their signatures are checked
   * together, and those that become the recorded chain are written in one step. Refusals as of `submitBlock`.
   */
  async submitBranch(values: readonly unknown[], from = 'local'): Promise<BranchResult> {
    let taken = 0
    for (const value of values) {
      const verdict = await this.submitBlock(value, from)
      if (!verdict.ok && verdict.code !== 'known') return { verdict, taken }
      taken++
    }
    return { verdict: accepted, taken }
  }

  transaction(hash: Hash): RecordedTransaction | undefined {
    return this.#parts.storage.transaction(hash)
  }

  pendingCount(): number {
    return this.mempool.size
  }

  due(): Due {
    const { consensus, runtime } = this.#parts
    return consensus.due(this.ancestors.of(this.head().header), this.mempool.size, runtime.clock.now())
  }

  status(hash: Hash): TransactionStatus {
    const { storage } = this.#parts
    const place = storage.locate(hash)
    if (place === undefined) return { status: this.mempool.get(hash) === undefined ? 'unknown' : 'pending' }
    const blockHash = storage.headerAt(place.blockIndex)!.header.current_hash
    const confirmations = storage.head().header.index - place.blockIndex + 1
    return { status: 'included', blockIndex: place.blockIndex, blockHash, confirmations }
  }

  /** Takes nothing more of its own accord; resolves when what is on its way in is written or refused. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([this.#desk.settled(), ...this.#adoptions])
  }

  // ---- transactions ----

  /** Takes up what was pending when the node stopped. Rows that do not hold any more are named in the log and left alone. */
  async restorePending(): Promise<void> {
    const { storage, log } = this.#parts
    const entries: PoolEntry[] = []
    for (const { hash, transaction, receivedAt } of storage.pending()) {
      const read = readTransaction(transaction, this.genesis.rules)
      if (read.ok && read.value.hash === hash) entries.push({ read: read.value, receivedAt })
      else
        log.error('a pending transaction in the ledger is damaged', { hash, why: read.ok ? 'wrong id' : read.detail })
    }
    const bad = await Promise.all(entries.map(async (entry) => !(await this.#verifier.verify(entry.read))))
    for (const [i, entry] of entries.entries()) {
      if (bad[i] === true)
        log.error('a pending transaction in the ledger is damaged', { hash: entry.read.hash, why: 'signature' })
      else this.mempool.add(entry)
    }
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
    if (!(await this.#verifier.verify(read))) return badSignature
    const late = this.#known(read, head)
    if (late !== undefined) return late
    const room = this.#desk.room(read, from)
    return room.ok ? this.#desk.admit(read, from) : room
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
   * `duplicate-transaction` (recorded on this branch already), `storage-unavailable`. Only a block that was found valid
   * is remembered: an invalid variant of it does not keep it out. `reads`: as in `readBody`, of a block made here.
   */
  async submitBlock(value: unknown, from = 'local', reads?: readonly ReadTransaction[]): Promise<Verdict> {
    const started = this.#parts.runtime.clock.monotonic()
    const header = readHeader(value, this.genesis.rules)
    const verdict = header.ok ? await this.#examine(header.value, from, started, reads) : header
    if (!verdict.ok && verdict.code !== 'known' && verdict.code !== 'orphan') {
      const hash = header.ok ? header.value.block.current_hash : undefined
      this.#parts.emit('block:refused', { hash, code: verdict.code, detail: verdict.detail })
    }
    return verdict
  }

  async #examine(
    header: ReadHeader,
    from: string,
    started: number,
    reads: readonly ReadTransaction[] | undefined,
  ): Promise<Verdict> {
    const { block } = header
    if (this.#parts.storage.header(block.current_hash) !== undefined) return known
    const branch = this.#branches.below(block)
    if (branch === undefined) return this.#keepOrphan(header, from)
    const headerVerdict = this.#checkHeader(block, branch)
    if (!headerVerdict.ok) return headerVerdict
    if (!(await this.#verifier.verify(header))) {
      return refuse('bad-signature', 'the signature over current_hash is not by the key in public_key_pem')
    }
    const read = readBody(header, this.genesis.rules, reads)
    if (!read.ok) return read
    const bad = await this.#firstBadSignature(read.value.transactions)
    if (bad !== undefined) return refuse('bad-signature', `transaction ${bad} of the block: ${badSignature.detail}`)
    return this.#write(read.value, started, from)
  }

  /** What a header must be after this parent, before anybody looks at the body. */
  #checkHeader(header: SealedHeader, branch: Branch): Verdict {
    const { consensus, runtime } = this.#parts
    const rules = checkSuccession(header, this.ancestors.of(branch.parent.header), consensus)
    if (!rules.ok) return rules
    // Clocks differ: a block from the future may be good in a while, so nobody is to blame.
    if (parseTimestamp(header.timestamp)! > runtime.clock.now() + consensus.futureMillisecondsMax) {
      return decline(
        'timestamp-ahead',
        `timestamp: more than ${consensus.futureMillisecondsMax / 1000} s ahead of this clock`,
      )
    }
    return this.#checkDepth(header, branch)
  }

  #checkDepth(header: SealedHeader, { fork }: Branch): Verdict {
    const depth = this.head().header.index - fork.header.index
    const limit = this.#parts.limits.reorganisation_blocks_max
    if (depth <= limit) return accepted
    this.#parts.log.error('a branch that would undo more blocks than allowed was refused', {
      block: header.current_hash,
      depth,
      limit,
    })
    return decline('reorganisation-too-deep', `the branch leaves the recorded chain ${depth} blocks below its head`)
  }

  async #firstBadSignature(reads: readonly ReadTransaction[]): Promise<Hash | undefined> {
    // The id does not cover the signature, so only the very same one, by the same key, counts as seen.
    const unseen = reads.filter((read) => {
      const pooled = this.mempool.get(read.hash)?.read
      return (
        pooled?.transaction.signature !== read.transaction.signature || pooled.signer.address !== read.signer.address
      )
    })
    return unseen[await this.#verifier.firstBad(unseen)]?.hash
  }

  #keepOrphan(header: ReadHeader, from: string): Verdict {
    const { block } = header
    // Its transactions are not read yet, so its size is not known better than this.
    const bytes = Buffer.byteLength(JSON.stringify(block))
    const { blockTransactionsMax, blockBytesMax } = this.genesis.rules.limits
    if (block.transactions.length > blockTransactionsMax || bytes > 2 * blockBytesMax) {
      return refuse('too-large', `${block.transactions.length} transactions, ${bytes} bytes`)
    }
    return this.#orphans.keep(block, bytes, from)
  }

  // ---- the writer: nothing below awaits ----

  #write(read: ReadBlock, started: number, from: string): Verdict {
    const { storage, consensus, runtime } = this.#parts
    const { block } = read
    if (storage.header(block.current_hash) !== undefined) return known
    // Again, since heads move and branches are pruned while signatures are checked.
    const branch = this.#branches.below(block)
    if (branch === undefined) return decline('orphan', `the parent ${block.prev_hash} is not known here any more`)
    const depth = this.#checkDepth(block, branch)
    if (!depth.ok) return depth
    const totalWork = branch.parent.totalWork + consensus.weight(block)
    const head = storage.head()
    const repeated = this.#branches.repeatedTransaction(read, branch)
    if (repeated !== undefined) return refuse('duplicate-transaction', `${repeated} is recorded on this branch already`)
    const candidate = { hash: block.current_hash, totalWork }
    const wins = isBetter(candidate, { hash: head.header.current_hash, totalWork: head.totalWork })
    let change: Change | undefined
    try {
      if (wins) {
        change = this.#branches.changeTo(read, totalWork, branch, runtime.clock.now())
        storage.commit(change)
      } else {
        storage.keepSide(block, totalWork)
      }
    } catch (error) {
      if (!(error instanceof AurexError)) throw error
      this.#disk.failed(error)
      return decline('storage-unavailable', `nothing is recorded at the moment: ${messageOf(error)}`)
    }
    this.#disk.worked()
    const milliseconds = runtime.clock.monotonic() - started
    this.#parts.emit('block:accepted', {
      header: sealedHeaderOf(block),
      transactions: read.transactions.length,
      milliseconds,
    })
    this.#tell(block, change, milliseconds)
    if (change !== undefined) this.#moved(change, block, from)
    this.#pruneSide()
    this.#adopt(block.current_hash)
    return accepted
  }

  #tell(block: Block, change: Change | undefined, milliseconds: number): void {
    const { index, current_hash: hash, transactions } = block
    const undone = change?.undone.length ?? 0
    this.#parts.log.info(change === undefined ? 'block kept beside the chain' : 'block recorded', {
      index,
      hash,
      transactions: transactions.length,
      ...(undone > 0 ? { undone } : {}),
      milliseconds: Math.round(milliseconds),
    })
  }

  #moved(change: Change, block: Block, from: string): void {
    for (const { hashes } of change.applied) for (const hash of hashes) this.mempool.remove(hash)
    for (const { transaction, receivedAt } of change.returned) {
      const read = readTransaction(transaction, this.genesis.rules)
      if (read.ok) this.mempool.add({ read: read.value, receivedAt })
    }
    const head = sealedHeaderOf(block)
    const applied = change.applied.map((one) => one.block.current_hash)
    this.#parts.emit('head:moved', { head, undone: change.undone, applied })
    for (const watcher of this.#watchers) watcher.moved?.({ head, undone: change.undone, applied, from })
    this.#parts.changed('head')
  }

  #pruneSide(): void {
    const { storage, limits } = this.#parts
    const lowest = storage.head().header.index - limits.reorganisation_blocks_max
    try {
      storage.pruneSide(lowest, limits.side_blocks_max, limits.side_bytes_max)
    } catch (error) {
      if (!(error instanceof AurexError)) throw error
      this.#disk.failed(error) // What is too much stays for now: the next block tries again.
    }
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
    if (this.#closed) return
    try {
      await this.submitBlock(block, source)
    } catch (error) {
      // Nobody waits for this answer: a ledger that cannot be read is told by whoever asks it next.
      this.#parts.log.error('a block that had waited for its parent could not be examined', { error })
    }
  }
}

const known = decline('known', 'the block is recorded already')
