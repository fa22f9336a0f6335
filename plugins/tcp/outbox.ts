import type { Clock, Socket } from '../../core/index.ts'

/** One write takes about so much of the queue; the kernel rarely has room for more. */
const writeBytesAbout = 256 * 1024

export interface OutboxParts {
  readonly socket: Pick<Socket, 'write'>
  readonly clock: Pick<Clock, 'soon'>
  readonly queueBytesMax: number
  /** The other side does not read: there is no room left. Called once. */
  readonly overflowed: () => void
  /** The socket took something. */
  readonly shrank: () => void
  /** Everything was handed to the socket after `finish`. Called once. */
  readonly finished: () => void
}

/**
 * What is to be sent on one connection. What one turn of the event loop produces goes out in one write; what the socket
 * does not take waits for `drained`, up to a limit.
 */
export class Outbox {
  readonly #parts: OutboxParts
  #queue: Uint8Array[] = []
  #bytes = 0
  #state: 'open' | 'finishing' | 'closed' = 'open'
  #flushing = false
  #full = false

  constructor(parts: OutboxParts) {
    this.#parts = parts
  }

  get bytes(): number {
    return this.#bytes
  }

  send(bytes: Uint8Array): void {
    if (this.#state !== 'open') return
    if (this.#bytes + bytes.length > this.#parts.queueBytesMax) {
      this.drop()
      this.#parts.overflowed()
      return
    }
    this.#queue.push(bytes)
    this.#bytes += bytes.length
    this.#flushSoon()
  }

  /** Takes nothing more, sends what is queued, then says `finished`. */
  finish(): void {
    if (this.#state !== 'open') return
    this.#state = 'finishing'
    this.#flushSoon()
  }

  /** Forgets everything. */
  drop(): void {
    this.#state = 'closed'
    this.#queue = []
    this.#bytes = 0
  }

  /** The socket has room again. */
  drained(): void {
    this.#full = false
    this.#flush()
  }

  #flushSoon(): void {
    if (this.#flushing || this.#full) return
    this.#flushing = true
    this.#parts.clock.soon(() => {
      this.#flushing = false
      this.#flush()
    })
  }

  #flush(): void {
    while (this.#queue.length > 0 && !this.#full) {
      const bytes = this.#gather()
      const taken = this.#parts.socket.write(bytes)
      this.#bytes -= taken
      if (taken < bytes.length) {
        this.#full = true
        this.#queue.unshift(bytes.subarray(taken))
      }
      if (taken > 0) this.#parts.shrank()
    }
    if (this.#state !== 'finishing' || this.#queue.length > 0) return
    this.#state = 'closed'
    this.#parts.finished()
  }

  /** Takes pieces from the front of the queue as one. */
  #gather(): Uint8Array {
    let [count, bytes] = [0, 0]
    while (count < this.#queue.length && (count === 0 || bytes < writeBytesAbout)) bytes += this.#queue[count++]!.length
    const pieces = this.#queue.splice(0, count)
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  }
}
