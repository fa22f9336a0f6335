import type { JsonObject } from '../chain/json.ts'
import { accepted, decline, type Verdict } from '../errors.ts'
import type { Clock } from '../runtime.ts'

/** What may come at once after a quiet time, in seconds of what may come all the time. */
const burstSeconds = 5
/** Messages that one peer may send, at once, because of what this node announced or sent to it; of each kind. */
const owedMax = 10_000

const questions = new Set(['tx_request', 'block_transactions_request'])
/** What some programs say to each transaction or block that they are sent. */
const receipts = new Set(['MINING_STARTED', 'ERROR'])

/** How many messages one peer may send: a token bucket. */
export class MessageRate {
  readonly #perSecond: number
  readonly #clock: Clock
  #tokens: number
  /** Monotonic milliseconds. */
  #filledAt: number
  /** Messages that this node called for by what it sent: they are not counted. */
  #questionsOwed = 0
  #receiptsOwed = 0

  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond
    this.#clock = clock
    this.#tokens = perSecond * burstSeconds
    this.#filledAt = clock.monotonic()
  }

  /** Notes what is sent to the peer. */
  sent({ type, hashes }: JsonObject): void {
    const asked = type === 'tx_announce' && Array.isArray(hashes) ? hashes.length : type === 'compact_block' ? 1 : 0
    this.#questionsOwed = Math.min(owedMax, this.#questionsOwed + asked)
    const answered = type === 'NEW_TRANSACTION' || type === 'new_block' ? 1 : 0
    this.#receiptsOwed = Math.min(owedMax, this.#receiptsOwed + answered)
  }

  /** Counts a message of the peer. Declines `too-many-messages`. */
  take({ type }: JsonObject): Verdict {
    if (typeof type === 'string' && this.#isCalledFor(type)) return accepted
    this.#fill()
    if (this.#tokens < 1) return decline('too-many-messages', `more than ${this.#perSecond} messages a second`)
    this.#tokens--
    return accepted
  }

  #isCalledFor(type: string): boolean {
    if (questions.has(type)) return this.#questionsOwed > 0 && this.#questionsOwed-- > 0
    return receipts.has(type) && this.#receiptsOwed > 0 && this.#receiptsOwed-- > 0
  }

  #fill(): void {
    const now = this.#clock.monotonic()
    const come = ((now - this.#filledAt) / 1000) * this.#perSecond
    this.#tokens = Math.min(this.#perSecond * burstSeconds, this.#tokens + come)
    this.#filledAt = now
  }
}
