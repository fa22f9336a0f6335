import type { Verdict } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Clock } from '../runtime.ts'
import type { Block } from './block.ts'
import type { Hash } from './canonical.ts'
import type { Orphans } from './orphans.ts'

interface Parts {
  readonly orphans: Orphans
  readonly clock: Pick<Clock, 'soon'>
  readonly log: Log
  readonly submit: (block: Block, from: string) => Promise<Verdict>
}

/** Orphans that found their parent and are on their way in. */
export class Adoptions {
  readonly #parts: Parts
  readonly #underWay = new Set<Promise<void>>()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Gives the blocks that waited for this one another try, in a later turn. */
  begin(parent: Hash): void {
    for (const { block, source } of this.#parts.orphans.takeChildren(parent)) {
      const adoption = this.#adopt(block, source)
      this.#underWay.add(adoption)
      void adoption.finally(() => this.#underWay.delete(adoption))
    }
  }

  /** Resolves when those that are under way now are through. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  async #adopt(block: Block, source: string): Promise<void> {
    const { clock, submit, log } = this.#parts
    await new Promise<void>((resolve) => clock.soon(resolve))
    try {
      await submit(block, source)
    } catch (error) {
      // Nobody waits for this answer: a ledger that cannot be read is told by whoever asks it next.
      log.error('a block that had waited for its parent could not be examined', { error })
    }
  }
}
