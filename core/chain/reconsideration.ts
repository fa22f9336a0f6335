import { AurexError } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Change, Storage, StoredHeader } from '../plugin.ts'
import type { Clock } from '../runtime.ts'
import type { Ancestors } from './ancestry.ts'
import type { Branches } from './branch.ts'
import type { DepthLimit } from './depth.ts'
import type { DiskWatch } from './diskwatch.ts'
import type { Candidate, ForkChoice } from './forkchoice.ts'

interface Parts {
  readonly storage: Pick<Storage, 'sideTips' | 'commit'>
  readonly ancestors: Ancestors
  readonly branches: Branches
  readonly choice: ForkChoice
  readonly depth: DepthLimit
  readonly disk: DiskWatch
  readonly clock: Clock
  readonly log: Log
}

/** Looks for the best chain among those that are here already: what is justified or final has a say in it, and may move. */
export class Reconsideration {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * Makes the best of the branches beside the recorded chain, if it is better, the recorded one. Returns what that
   * changed; `failed` where it could not be written.
   */
  adopt(): Change | 'failed' | undefined {
    const { storage, branches, depth, clock, disk } = this.#parts
    for (const tip of this.#betterTips()) {
      const branch = branches.on(tip.header.current_hash)
      const first = branch?.side[0]
      if (branch === undefined || first === undefined) continue
      const allowed = depth.check({ first: first.header, fork: branch.fork, candidate: this.#candidate(tip) })
      if (!allowed.ok) continue
      try {
        const change = branches.changeTo([], branch, clock.now())
        storage.commit(change)
        disk.worked()
        this.#log(tip, change)
        return change
      } catch (error) {
        if (!(error instanceof AurexError)) throw error
        disk.failed(error)
        return 'failed'
      }
    }
    return undefined
  }

  /** Best first. */
  #betterTips(): StoredHeader[] {
    const { storage, choice } = this.#parts
    const better = storage.sideTips().filter((tip) => choice.beatsHead(this.#candidate(tip)))
    const isBetter = (a: StoredHeader, b: StoredHeader) => choice.isBetter(this.#candidate(a), this.#candidate(b))
    return better.sort((a, b) => (isBetter(a, b) ? -1 : 1))
  }

  #candidate({ header, totalWork }: StoredHeader): Candidate {
    return { line: this.#parts.ancestors.of(header), totalWork }
  }

  #log({ header: { index, current_hash: hash } }: StoredHeader, { undone, applied }: Change): void {
    this.#parts.log.info('blocks beside the chain became the recorded one', {
      index,
      hash,
      blocks: applied.length,
      undone: undone.length,
    })
  }
}
