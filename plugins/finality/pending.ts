import type { Ancestry, Clock, FinalityDoor } from '../../core/index.ts'
import { Repeat } from './repeat.ts'
import { checkpointUpTo, type Rules } from './rules.ts'
import type { Blocks, Standing } from './standing.ts'

export interface PendingParts {
  readonly rules: Rules
  readonly clock: Clock
  readonly standing: Standing
  readonly blocks: () => Blocks
}

type Door = Pick<FinalityDoor, 'head' | 'ancestry'>

/** The index of the latest checkpoint of the head's chain. */
export const newestOf = (door: Pick<Door, 'head'>, rules: Rules): number =>
  checkpointUpTo(door.head().header.index, rules)

/** What is not final yet, or is decided and not here: since when, and when what is known of it is said again. */
export class Pending {
  readonly #parts: PendingParts
  readonly #repeat: Repeat
  #since: number | undefined
  #wanted = false

  constructor(parts: PendingParts) {
    this.#parts = parts
    this.#repeat = new Repeat(parts.clock)
  }

  /** Milliseconds, wall clock; undefined while nothing is waited for. */
  get since(): number | undefined {
    return this.#since
  }

  /** Milliseconds; Infinity while nothing is to be said again. */
  get repeatsIn(): number {
    return this.#repeat.in
  }

  isOpen(door: Door): boolean {
    const { rules, standing, blocks } = this.#parts
    return newestOf(door, rules) > standing.final.index || standing.missing(blocks()).length > 0
  }

  /** Something became justified or final: what is waited for now is something else. */
  progressed(): void {
    this.#since = undefined
    this.#repeat.stop()
  }

  /** Whether it is time to say again what is known. */
  look(door: Door): boolean {
    if (!this.isOpen(door)) {
      this.progressed()
      return false
    }
    if (!this.#repeat.isRunning) {
      this.#since ??= this.#parts.clock.now()
      this.#repeat.start()
      return false
    }
    if (this.#repeat.in > 0) return false
    this.#repeat.again()
    return true
  }

  /** Whether a block would help now, and would not have before. */
  isBlockNews(door: Door, wants: (ancestry: Ancestry, now: number) => boolean): boolean {
    const ancestry = this.isOpen(door) ? door.ancestry(door.head().header.current_hash) : undefined
    const before = this.#wanted
    this.#wanted = ancestry !== undefined && wants(ancestry, this.#parts.clock.now())
    return this.#wanted && !before
  }
}
