import { LRUCache } from 'lru-cache'
import { accepted, decline, type Verdict } from '../errors.ts'
import type { CoreEvents } from '../events.ts'
import type { Limits } from '../limits.ts'
import type { Log } from '../log.ts'
import type { Consensus, Storage, StoredHeader } from '../plugin.ts'
import type { SealedHeader } from './block.ts'
import type { Hash } from './canonical.ts'
import type { Finals } from './finals.ts'
import type { Candidate, ForkChoice } from './forkchoice.ts'

interface Parts {
  readonly consensus: Pick<Consensus, 'finalAtOnce'>
  readonly storage: Pick<Storage, 'head'>
  readonly choice: ForkChoice
  readonly finals: Pick<Finals, 'floor'>
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
  readonly candidate: Candidate
}

type Code = CoreEvents['reorganisation:refused']['code']

const alarms: Readonly<Record<Code, string>> = {
  'reorganisation-too-deep': 'a heavier branch was refused: it would undo more blocks than allowed',
  'below-final': 'a heavier branch was refused: it would undo what is final',
}

/**
 * How far below the head a branch may leave the recorded chain: never below the final block, and never so far that it
 * would undo more than this node allows, whatever its work. Where it would be the recorded chain otherwise an operator is
 * told, who decides: once a branch, however many of its blocks come and however it grows. Of a lighter one nobody needs
 * to hear: anybody can make one for nothing.
 */
export class DepthLimit {
  readonly #parts: Parts
  readonly #told = new LRUCache<Hash, true>({ max: branchesToldMax })

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** `branch`: its headers keep the rules. Declines `below-final`, `reorganisation-too-deep`. */
  check(branch: DeepBranch): Verdict {
    const { storage, finals, limits } = this.#parts
    const head = storage.head().header.index
    const depth = head - branch.fork.header.index
    const floor = finals.floor()
    if (branch.fork.header.index < floor) {
      if (!this.#isRace(branch, floor)) this.#tell('below-final', branch, depth, head - floor)
      return decline('below-final', `the branch leaves the recorded chain below block ${floor}, which is final`)
    }
    const depthMax = limits.reorganisation_blocks_max
    if (depth <= depthMax) return accepted
    this.#tell('reorganisation-too-deep', branch, depth, depthMax)
    return decline('reorganisation-too-deep', `the branch leaves the recorded chain ${depth} blocks below its head`)
  }

  /**
   * One block beside the one that is final: its maker had not heard yet that the other had come first, which happens among
   * honest nodes. Where blocks are final at once, no two of a height are valid but by a lie.
   */
  #isRace({ fork, candidate }: DeepBranch, floor: number): boolean {
    if (this.#parts.consensus.finalAtOnce === true) return false
    return fork.header.index === floor - 1 && candidate.line.parent.index === floor
  }

  /** Whether a branch would be the recorded chain, were it not for these limits. */
  wouldWin(candidate: Candidate): boolean {
    const { choice } = this.#parts
    return choice.beatsHead(candidate) || choice.outweighsHead(candidate)
  }

  #tell(code: Code, { first, candidate }: DeepBranch, depth: number, depthMax: number): void {
    const block = first.current_hash
    if (this.#told.has(block) || !this.wouldWin(candidate)) return
    this.#told.set(block, true)
    const { log, emit } = this.#parts
    log.error(alarms[code], { block, depth, limit: depthMax })
    emit('reorganisation:refused', { code, block, depth, depthMax })
  }
}
