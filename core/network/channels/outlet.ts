import type { JsonObject } from '../../chain/json.ts'
import type { Log } from '../../log.ts'
import type { Clock, Timer } from '../../runtime.ts'
import type { Peer } from '../peer.ts'
import { Allowance } from '../relay/allowance.ts'

/** What waits for one peer; beyond it the oldest goes, which is what a voting engine needs least. */
const waitingMessagesMax = 1_000
const waitingBytesMax = 16 * 1024 * 1024
/** When a connection that is full is looked at again. */
const fullMilliseconds = 20

export interface OutletParts {
  readonly peer: Pick<Peer, 'send' | 'connection' | 'nodeId'>
  readonly clock: Clock
  readonly log: Log
  /** At once after a quiet time, and then in a second. */
  readonly burstMessagesMax: number
  readonly messagesPerSecondMax: number
}

/** A message, and how long it is. */
export interface Outgoing {
  readonly message: JsonObject
  readonly bytes: number
}

/** Says messages to one peer no faster than it has to take them, and never more than there is room for. */
export class Outlet {
  readonly #parts: OutletParts
  readonly #allowance: Allowance
  #waiting: Outgoing[] = []
  #bytes = 0
  #timer: Timer | undefined
  #ended = false
  /** Whether the log says already that there is no room. */
  #told = false

  constructor(parts: OutletParts) {
    this.#parts = parts
    this.#allowance = new Allowance(parts.burstMessagesMax, parts.messagesPerSecondMax, parts.clock)
  }

  send(outgoing: Outgoing): void {
    if (this.#ended) return
    this.#waiting.push(outgoing)
    this.#bytes += outgoing.bytes
    this.#speak()
    while (this.#waiting.length > waitingMessagesMax || this.#bytes > waitingBytesMax) this.#giveUpOldest()
  }

  end(): void {
    this.#ended = true
    this.#timer?.cancel()
    this.#waiting = []
  }

  #speak(): void {
    if (this.#timer !== undefined) return
    while (this.#waiting.length > 0 && this.#pause() === 0) {
      const { message, bytes } = this.#waiting.shift()!
      this.#bytes -= bytes
      this.#allowance.take()
      this.#parts.peer.send(message)
    }
    if (this.#waiting.length === 0) this.#told = false
    if (this.#waiting.length === 0 || this.#ended) return
    this.#timer = this.#parts.clock.after(this.#pause(), () => {
      this.#timer = undefined
      this.#speak()
    })
  }

  #giveUpOldest(): void {
    const { type } = this.#waiting[0]!.message
    this.#bytes -= this.#waiting.shift()!.bytes
    if (this.#told) return
    this.#told = true
    this.#parts.log.warn('so much waits to be said to a peer that the oldest of it is given up', {
      node_id: this.#parts.peer.nodeId,
      type,
    })
  }

  /** Milliseconds until the next may be sent. */
  #pause(): number {
    return this.#parts.peer.connection.full === true ? fullMilliseconds : this.#allowance.wait()
  }
}
