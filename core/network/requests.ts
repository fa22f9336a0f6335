import type { JsonObject } from '../chain/json.ts'
import { decline, found, type Result } from '../errors.ts'
import type { Connection } from '../plugin.ts'
import type { Clock, Timer } from '../runtime.ts'
import { complaintOf } from './messages.ts'

/** Questions to one peer that may wait for their answers at once. */
const waitingMax = 64

interface Waiting {
  readonly id: number
  readonly answerType: string
  readonly settle: (result: Result<JsonObject>) => void
  readonly timer: Timer
}

/**
 * Our questions to one peer. An answer is known by its type and its `request_id`; programs that do not repeat the id
 * answer in order.
 */
export class Requests {
  readonly #connection: Pick<Connection, 'send'>
  readonly #clock: Clock
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0

  constructor(connection: Pick<Connection, 'send'>, clock: Clock) {
    this.#connection = connection
    this.#clock = clock
  }

  get size(): number {
    return this.#waiting.size
  }

  /**
   * Asks, and resolves to the answer. Declines `no-answer` after so many milliseconds, `disconnected`, `too-many-requests`,
   * or with the code of the `ERROR` that came instead.
   */
  ask(message: JsonObject, answerType: string, millisecondsMax: number): Promise<Result<JsonObject>> {
    if (this.#waiting.size >= waitingMax) {
      return Promise.resolve(decline('too-many-requests', `${waitingMax} requests wait for this peer`))
    }
    const id = ++this.#asked
    return new Promise((resolve) => {
      const settle = (result: Result<JsonObject>): void => {
        this.#waiting.delete(id)
        timer.cancel()
        resolve(result)
      }
      const timer = this.#clock.after(millisecondsMax, () =>
        settle(decline('no-answer', `no ${answerType} within ${millisecondsMax} ms`)),
      )
      this.#waiting.set(id, { id, answerType, settle, timer })
      this.#connection.send({ ...message, request_id: id })
    })
  }

  /** Takes a message that answers a question. False where it answers none. */
  take(message: JsonObject): boolean {
    const waiting = this.#waitingFor(message)
    if (waiting === undefined) return false
    waiting.settle(message['type'] === 'ERROR' ? complaintOf(message) : found(message))
    return true
  }

  /** The peer is gone. */
  end(): void {
    for (const { settle } of this.#waiting.values()) settle(decline('disconnected', 'the peer is gone'))
  }

  #waitingFor({ type, request_id: id, peers }: JsonObject): Waiting | undefined {
    // Question and answer have one name here: without peers it asks.
    if (type === 'peer_list' && peers === undefined) return undefined
    if (typeof id === 'number') {
      const waiting = this.#waiting.get(id)
      return type === 'ERROR' || waiting?.answerType === type ? waiting : undefined
    }
    if (id !== undefined) return undefined
    return [...this.#waiting.values()].find(({ answerType }) => answerType === type)
  }
}
