import { LRUCache } from 'lru-cache'
import { accepted, decline, type Verdict } from '../errors.ts'
import type { CoreEvents } from '../events.ts'
import type { Limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Storage, StoredHeader } from '../plugin.ts'
import type { SealedHeader } from './block.ts'
import type { Hash } from './canonical.ts'
import { isBetter } from './forkchoice.ts'

interface Parts {
  readonly storage: Pick<Storage, 'head'>
  readonly limits: Pick<Limits, 'reorganisation_blocks_max'>
  readonly log: Log
  readonly emit: <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]) => void
}

/** Branches whose refusal was told; a branch beyond that may be told again. */
const branchesToldMax = 1_000

/** A branch, as far as it is known. */
interface DeepBranch {
  /** Its lowest block, on `fork`, the last recorded one. */
  readonly first: SealedHeader
  readonly fork: StoredHeader
  readonly tip: SealedHeader
  readonly totalWork: bigint
}

/**
 * How far below the head a branch may leave the recorded chain. What would undo more is refused, whatever its work. Where
 * it outweighs the recorded chain an operator is told, who decides: once a branch, however many of its blocks come and
 * however it grows. Of a lighter one nobody needs to hear: anybody can make one for nothing.
 */
export class DepthLimit {
  readonly #parts: Parts
  readonly #told = new LRUCache<Hash, true>({ max: branchesToldMax })

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** `branch`: its headers keep the rules. Declines `reorganisation-too-deep`. */
  check(branch: DeepBranch): Verdict {
    const depth = this.#parts.storage.head().header.index - branch.fork.header.index
    const depthMax = this.#parts.limits.reorganisation_blocks_max
    if (depth <= depthMax) return accepted
    if (this.outweighs(branch)) this.#tell(branch.first.current_hash, depth, depthMax)
    return decline('reorganisation-too-deep', `the branch leaves the recorded chain ${depth} blocks below its head`)
  }

  /** Whether a branch would be the recorded chain, were it not for the limit. */
  outweighs({ tip, totalWork }: Pick<DeepBranch, 'tip' | 'totalWork'>): boolean {
    const head = this.#parts.storage.head()
    const holder = { hash: head.header.current_hash, totalWork: head.totalWork }
    return isBetter({ hash: tip.current_hash, totalWork }, holder)
  }

  #tell(block: Hash, depth: number, depthMax: number): void {
    if (this.#told.has(block)) return
    this.#told.set(block, true)
    const { log, emit } = this.#parts
    log.error('a heavier branch was refused: it would undo more blocks than allowed', { block, depth, limit: depthMax })
    emit('reorganisation:refused', { block, depth, depthMax })
  }
}
