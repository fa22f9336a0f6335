import type { Hash } from '../../chain/canonical.ts'
import type { JsonObject } from '../../chain/json.ts'
import type { Transaction } from '../../chain/transaction.ts'
import type { Connection } from '../../plugin.ts'
import type { Clock, Timer } from '../../runtime.ts'

/** Hashes that one connection asked for and that are still to be sent; what is beyond them is not. */
const waitingHashesMax = 10_000
/** When a connection that is full is looked at again. */
const fullMilliseconds = 20

export interface ServingParts {
  readonly connection: Connection
  readonly clock: Clock
  /** What there is of a transaction; undefined where it is not to be had. */
  readonly find: (hash: Hash) => Transaction | undefined
  readonly sent: (hash: Hash) => void
}

/** Sends one connection the transactions that it asked for, as fast as it takes them. */
export class Serving {
  readonly #parts: ServingParts
  readonly #waiting = new Set<Hash>()
  #timer: Timer | undefined
  #ended = false

  constructor(parts: ServingParts) {
    this.#parts = parts
  }

  ask(hashes: readonly Hash[]): void {
    for (const hash of hashes) {
      if (this.#waiting.size >= waitingHashesMax) break
      this.#waiting.add(hash)
    }
    this.#send()
  }

  end(): void {
    this.#ended = true
    this.#timer?.cancel()
    this.#waiting.clear()
  }

  #send(): void {
    if (this.#ended || this.#timer !== undefined) return
    const { connection, clock, find, sent } = this.#parts
    for (const hash of this.#waiting) {
      // A thousand transactions of 64 KiB would overflow its send queue, and that would end the connection.
      if (connection.full === true) {
        this.#timer = clock.after(fullMilliseconds, () => {
          this.#timer = undefined
          this.#send()
        })
        return
      }
      this.#waiting.delete(hash)
      const transaction = find(hash)
      if (transaction === undefined) continue
      connection.send(messageOf(transaction))
      sent(hash)
    }
  }
}

const messageOf = (transaction: Transaction): JsonObject => ({ type: 'NEW_TRANSACTION', ...transaction })
