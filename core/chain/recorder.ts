import { accepted, AurexError, decline, messageOf, refuse, type Refusal, type Verdict } from '../errors.ts'
import type { CoreEvents } from '../events.ts'
import type { Limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Change, Finality, OwnedChanges, Storage, StoredHeader } from '../plugin.ts'
import type { Clock } from '../runtime.ts'
import { sealedHeaderOf, type ReadBlock } from './block.ts'
import type { Branch, Branches, WeighedBlock } from './branch.ts'
import type { Hash } from './canonical.ts'
import type { DepthLimit } from './depth.ts'
import type { DiskWatch } from './diskwatch.ts'
import type { Executor } from './executor.ts'
import type { Finals } from './finals.ts'
import type { Candidate, ForkChoice } from './forkchoice.ts'
import type { Trail } from './trail.ts'

/** What became of a row of blocks that stand on each other. */
export interface BranchResult {
  /** Of the first block that was not taken; accepted when all were, or are here already. */
  readonly verdict: Verdict
  /** How many of them are here now, from the first on. */
  readonly taken: number
}

export interface Recorded extends BranchResult {
  /** How many of them were not here before. */
  readonly added: number
}

interface Parts {
  readonly storage: Storage
  readonly branches: Branches
  /** Where there is an application. */
  readonly executor: Executor | undefined
  readonly choice: ForkChoice
  readonly depth: DepthLimit
  readonly finals: Finals
  readonly finality?: Pick<Finality, 'final' | 'justified'> | undefined
  /** As `ChainParts.signedLast`. */
  readonly signedLast?: (() => Hash | undefined) | undefined
  readonly disk: DiskWatch
  readonly limits: Limits
  readonly clock: Clock
  readonly log: Log
  readonly emit: <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]) => void
  /** An empty trail on a block of the ledger. */
  readonly trail: (base: StoredHeader) => Trail
  /** Told when these blocks are here, and what that changed of the recorded chain, if anything. */
  readonly taken: (blocks: readonly ReadBlock[], change: Change | undefined, from: string) => void
}

export interface RecordOptions {
  readonly records?: readonly OwnedChanges[] | undefined
  readonly wanted?: boolean | undefined
}

/** What may be recorded, and why there is not more of it. */
interface Judged {
  readonly good: readonly WeighedBlock[]
  readonly verdict: Verdict
}

/** Blocks that are to be written, and the chain that they make. */
interface Writing {
  readonly good: readonly WeighedBlock[]
  readonly branch: Branch
  readonly candidate: Candidate
  readonly records: readonly OwnedChanges[]
}

/** What the ledger took. */
interface Written {
  readonly blocks: readonly WeighedBlock[]
  readonly change?: Change
  /** Why there are not more. */
  readonly failure?: Refusal
}

/** Writes blocks whose signatures hold. Nothing in here awaits: what is judged is what is written. */
export class Recorder {
  readonly #parts: Parts
  /** The last block of a branch that is being fetched for a checkpoint on it. */
  #wanted: Hash | undefined

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * Takes blocks that stand on each other, oldest first. Those that become the recorded chain are written in one step,
   * with those that they displace; otherwise they are kept beside it. `started`: by the monotonic clock. `records`: what
   * is written with a block of this node's own, or neither. `wanted`: as of `Chain.submitBranch`.
   */
  record(reads: readonly ReadBlock[], from: string, started: number, options: RecordOptions = {}): Recorded {
    const { records = [], wanted = false } = options
    const { storage, branches, clock } = this.#parts
    const known = reads.findIndex(({ block }) => storage.header(block.current_hash) === undefined)
    const first = reads[known]
    if (first === undefined) return { verdict: accepted, taken: reads.length, added: 0 }
    const branch = branches.on(first.block.prev_hash)
    if (branch === undefined) return { verdict: orphan(first.block.prev_hash), taken: known, added: 0 }
    const trail = this.#parts.trail(branch.parent)
    const { good, verdict } = this.#judge(reads.slice(known), branch, trail)
    const last = good.at(-1)
    if (last === undefined) return { verdict, taken: known, added: 0 }
    const candidate = trail.upTo(last.read.block, last.totalWork)
    const written = this.#write({ good, branch, candidate, records })
    this.#tell(written, from, clock.monotonic() - started)
    if (wanted) this.#wanted = last.read.block.current_hash
    this.#pruneSide()
    const added = this.#stillHere(written)
    const failure = written.failure ?? (added < written.blocks.length ? noRoom : undefined)
    return { verdict: failure ?? verdict, taken: known + added, added }
  }

  /** What must hold of each on top of those below it, up to the first of which it does not. */
  #judge(reads: readonly ReadBlock[], branch: Branch, trail: Trail): Judged {
    const beside = this.#parts.branches.idsBeside(branch)
    const good: WeighedBlock[] = []
    let verdict: Verdict = accepted
    for (const read of reads) {
      verdict = this.#judgeOne(read, trail, branch, beside)
      if (!verdict.ok) break
      for (const { hash } of read.transactions) beside.add(hash)
      good.push({ read, totalWork: trail.totalWork })
    }
    if (good.length === 0) return { good, verdict }
    const first = branch.side[0]?.header ?? reads[0]!.block
    const depth = this.#parts.depth.check({ first, fork: branch.fork, candidate: trail.candidate })
    return depth.ok ? this.#execute({ good, verdict }, branch) : { good: [], verdict: depth }
  }

  /** Last, since it costs the most: what does not belong here is never executed. */
  #execute(judged: Judged, branch: Branch): Judged {
    const { executor } = this.#parts
    if (executor === undefined) return judged
    const { good, verdict } = executor.run(judged.good, branch)
    return { good, verdict: verdict.ok ? judged.verdict : verdict }
  }

  #judgeOne(read: ReadBlock, trail: Trail, branch: Branch, beside: ReadonlySet<Hash>): Verdict {
    const rules = trail.add(read.block)
    if (!rules.ok) return rules
    const repeated = this.#parts.branches.repeatedTransaction(read, branch, beside)
    if (repeated === undefined) return accepted
    return refuse('duplicate-transaction', `${repeated} is recorded on this branch already`)
  }

  #write({ good, branch, candidate, records }: Writing): Written {
    const { storage, branches, choice, finals, disk, clock } = this.#parts
    const kept: WeighedBlock[] = []
    try {
      // Along a branch a chain only gets better, so the last block speaks for all.
      if (choice.beatsHead(candidate)) {
        const change: Change = {
          ...branches.changeTo(good, branch, clock.now()),
          ...(records.length > 0 && { records }),
          ...(finals.atOnce && { final: candidate.line.parent.index }),
        }
        storage.commit(change)
        disk.worked()
        return { blocks: good, change }
      }
      for (const one of good) {
        storage.keepSide(one.read.block, one.totalWork, one.state, one === good.at(-1) ? records : [])
        kept.push(one)
      }
      disk.worked()
      return { blocks: kept }
    } catch (error) {
      if (!(error instanceof AurexError)) throw error
      disk.failed(error)
      const failure = decline('storage-unavailable', `nothing is recorded at the moment: ${messageOf(error)}`)
      return { blocks: kept, failure }
    }
  }

  #tell({ blocks, change }: Written, from: string, milliseconds: number): void {
    if (blocks.length === 0) return
    const { emit, taken, finals } = this.#parts
    for (const { read } of blocks) {
      const { block, transactions } = read
      emit('block:accepted', { header: sealedHeaderOf(block), transactions: transactions.length, milliseconds })
    }
    this.#log(blocks, change, milliseconds)
    const reads = blocks.map(({ read }) => read)
    taken(reads, change, from)
    if (change?.final !== undefined) finals.tell(change.final)
  }

  #log(blocks: readonly WeighedBlock[], change: Change | undefined, milliseconds: number): void {
    const { index, current_hash: hash } = blocks.at(-1)!.read.block
    const undone = change?.undone.length ?? 0
    const many = blocks.length > 1
    const what = change === undefined ? 'kept beside the chain' : 'recorded'
    this.#parts.log.info(`${many ? 'blocks' : 'block'} ${what}`, {
      index,
      hash,
      ...(many ? { blocks: blocks.length } : {}),
      transactions: blocks.reduce((sum, { read }) => sum + read.transactions.length, 0),
      ...(undone > 0 ? { undone } : {}),
      milliseconds: Math.round(milliseconds),
    })
  }

  #pruneSide(): void {
    const { storage, limits, disk } = this.#parts
    const lowest = storage.head().header.index - limits.reorganisation_blocks_max
    try {
      storage.pruneSide(lowest, limits.side_blocks_max, limits.side_bytes_max, this.#neededBeside())
    } catch (error) {
      if (!(error instanceof AurexError)) throw error
      disk.failed(error) // What is too much stays for now: the next block tries again.
    }
  }

  /**
   * Beside the chain, and of use whatever they weigh: what is justified or final, or is fetched because others say that it
   * is, and what this node signed last and cannot take back. There is one of each, so no room is taken by anyone who has
   * neither this node's key nor those of a quorum.
   */
  #neededBeside(): Hash[] {
    const { finality, signedLast } = this.#parts
    const needed = [finality?.final().hash, finality?.justified().hash, this.#wanted, signedLast?.()]
    return needed.filter((hash) => hash !== undefined)
  }

  /** How many are left after pruning, which may drop what was kept beside the chain a moment ago. */
  #stillHere({ blocks, change }: Written): number {
    if (change !== undefined) return blocks.length
    const { storage } = this.#parts
    const lost = blocks.findIndex(({ read }) => storage.header(read.block.current_hash) === undefined)
    return lost < 0 ? blocks.length : lost
  }
}

const orphan = (parent: Hash): Refusal => decline('orphan', `the parent ${parent} is not known here`)

const noRoom = decline('side-blocks-full', 'so much is kept beside the chain that there was no room for this block')
