import type { Clock, Runtime } from '../runtime.ts'
import type { ReadTransaction } from './transaction.ts'

/** Checks that may be under way at once; the runtime's pool takes no more at a time anyway. */
const inFlightMax = 256
/**
 * A native no is looked at again by the rule, at half a millisecond each. Programs that sign as everybody does never need
 * it, so that it gets a twentieth of a core: whoever sends bad signatures at full speed takes no more than that.
 */
const closerLooksPerSecondMax = 100
const closerLooksWaitingMax = 32

type Signed = Pick<ReadTransaction, 'check'>

/** `busy`: the native check says no, and too much else is being looked at to know for sure. */
export type Judgement = 'good' | 'bad' | 'busy'

/**
 * Signature checks beside the writer's path: the runtime's native check off the main thread, with the rule as the
 * judge of every no (see signature.ts).
 */
export class Verifier {
  readonly #runtime: Pick<Runtime, 'verifyInBackground' | 'verifyByRuleInBackground'>
  readonly #budget: Budget
  readonly #waiting: (() => void)[] = []
  #inFlight = 0
  #closerLooks = 0

  constructor(runtime: Pick<Runtime, 'verifyInBackground' | 'verifyByRuleInBackground' | 'clock'>) {
    this.#runtime = runtime
    this.#budget = new Budget(closerLooksPerSecondMax, runtime.clock)
  }

  /** How many checks are under way. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** For what anybody may send: whether a signature holds, as far as there is time for it. */
  async judge({ check }: Signed): Promise<Judgement> {
    if (await this.#acceptsNatively({ check })) return 'good'
    if (this.#closerLooks >= closerLooksWaitingMax || !this.#budget.take()) return 'busy'
    this.#closerLooks++
    try {
      return (await this.#runtime.verifyByRuleInBackground(check)) ? 'good' : 'bad'
    } finally {
      this.#closerLooks--
    }
  }

  /** For what has proven its worth, as a sealed block has: whether a signature holds, whatever it costs. */
  async verify({ check }: Signed): Promise<boolean> {
    return (await this.#acceptsNatively({ check })) || (await this.#runtime.verifyByRuleInBackground(check))
  }

  /** Place of the first signature that does not hold, or -1. As `verify`. */
  async firstBad(reads: readonly Signed[]): Promise<number> {
    const results = await Promise.all(reads.map((read) => this.#acceptsNatively(read)))
    // One after the other: the first that does not hold settles it.
    for (const [at, { check }] of reads.entries()) {
      if (results[at] === false && !(await this.#runtime.verifyByRuleInBackground(check))) return at
    }
    return -1
  }

  async #acceptsNatively({ check }: Signed): Promise<boolean> {
    if (this.#inFlight >= inFlightMax) await new Promise<void>((go) => this.#waiting.push(go))
    this.#inFlight++
    try {
      return await this.#runtime.verifyInBackground(check)
    } finally {
      this.#inFlight--
      this.#waiting.shift()?.()
    }
  }
}

/** So many a second, and as many at once after a second of rest. */
class Budget {
  readonly #perSecond: number
  readonly #clock: Pick<Clock, 'monotonic'>
  #left: number
  #countedAt: number

  constructor(perSecond: number, clock: Pick<Clock, 'monotonic'>) {
    this.#perSecond = perSecond
    this.#clock = clock
    this.#left = perSecond
    this.#countedAt = clock.monotonic()
  }

  take(): boolean {
    const now = this.#clock.monotonic()
    this.#left = Math.min(this.#perSecond, this.#left + ((now - this.#countedAt) / 1000) * this.#perSecond)
    this.#countedAt = now
    if (this.#left < 1) return false
    this.#left--
    return true
  }
}
