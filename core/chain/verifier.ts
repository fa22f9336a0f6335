import type { Runtime } from '../runtime.ts'
import { verifyByRule } from './signature.ts'
import type { ReadTransaction } from './transaction.ts'

/** Checks that may be under way at once; the runtime's pool takes no more at a time anyway. */
const inFlightMax = 256

/**
 * Signature checks beside the writer's path: the runtime's native check off the main thread, with the rule as the
 * judge of every no (see signature.ts).
 */
export class Verifier {
  readonly #runtime: Pick<Runtime, 'verifyInBackground'>
  readonly #waiting: (() => void)[] = []
  #inFlight = 0

  constructor(runtime: Pick<Runtime, 'verifyInBackground'>) {
    this.#runtime = runtime
  }

  /** How many checks are under way. */
  get inFlight(): number {
    return this.#inFlight
  }

  async verify(read: Pick<ReadTransaction, 'signer' | 'check'>): Promise<boolean> {
    if (this.#inFlight >= inFlightMax) await new Promise<void>((go) => this.#waiting.push(go))
    this.#inFlight++
    try {
      if (await this.#runtime.verifyInBackground(read.check)) return true
    } finally {
      this.#inFlight--
      this.#waiting.shift()?.()
    }
    return verifyByRule(read.signer, read.check.message, read.check.signature)
  }

  /** Place of the first signature that does not hold, or -1. */
  async firstBad(reads: readonly Pick<ReadTransaction, 'signer' | 'check'>[]): Promise<number> {
    const results = await Promise.all(reads.map((read) => this.verify(read)))
    return results.indexOf(false)
  }
}
