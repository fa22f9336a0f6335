import type { JsonObject } from '../../chain/json.ts'
import type { Clock, Timer } from '../../runtime.ts'
import type { Peer } from '../peer.ts'
import { Allowance } from './allowance.ts'

// What a peer may send in any second is 100 messages (protocol section 10), and not every program allows for bursts: these
// two leave room for blocks and for questions.
/** Under load what is to be said is gathered in so many messages a second. */
const messagesPerSecondMax = 30
/** From idle so many may go before that, each at once: a hop must not wait for a timer. */
const burstMessagesMax = 40

/** Makes the next message of one kind; undefined while there is nothing to say. */
type NextMessage = () => JsonObject | undefined

/**
 * What is said to one peer about transactions: at once while there is little of it, in larger and fewer messages when
 * there is much, so that it stays far below what a peer may send in a second (protocol section 10).
 */
export class Talk {
  readonly #peer: Peer
  readonly #clock: Clock
  readonly #kinds: readonly NextMessage[]
  readonly #allowance: Allowance
  #turn = 0
  #waking = false
  #timer: Timer | undefined
  #ended = false

  constructor(peer: Peer, clock: Clock, kinds: readonly NextMessage[]) {
    this.#peer = peer
    this.#clock = clock
    this.#kinds = kinds
    this.#allowance = new Allowance(burstMessagesMax, messagesPerSecondMax, clock)
  }

  /** There may be something to say: when the input that is here already was looked at. */
  wake(): void {
    if (this.#waking || this.#timer !== undefined) return
    this.#waking = true
    this.#clock.soon(() => {
      this.#waking = false
      this.speak()
    })
  }

  /** Says what there is to say, as far as the pace allows; the rest follows by itself. */
  speak(): void {
    if (this.#ended || this.#timer !== undefined) return
    while (this.#allowance.wait() === 0) {
      const message = this.#next()
      if (message === undefined) return
      this.#allowance.take()
      this.#peer.send(message)
    }
    this.#timer = this.#clock.after(this.#allowance.wait(), () => {
      this.#timer = undefined
      this.speak()
    })
  }

  end(): void {
    this.#ended = true
    this.#timer?.cancel()
  }

  /** The kinds take turns, so that none of them keeps another from being said. */
  #next(): JsonObject | undefined {
    for (let tried = 0; tried < this.#kinds.length; tried++) {
      const message = this.#kinds[this.#turn++ % this.#kinds.length]!()
      if (message !== undefined) return message
    }
    return undefined
  }
}
