import type { Socket, SocketHandlers } from '../../core/index.ts'

/** What a socket needs of its world. */
export interface Wire {
  /** Runs something that happens to the host at the end of this wire, `milliseconds` from now. */
  later(milliseconds: number, what: string, bytes: Uint8Array | undefined, run: () => void): void
  latency(): number
  now(): number
  readonly bufferBytesMax: number
  /** Runs a handler; what it throws is reported, and the answer is false. */
  guard(run: () => void): boolean
}

const lingerMilliseconds = 1_000

/** One end of a stream in memory, with the same semantics as the real one (core/bun.ts). */
export class SimSocket implements Socket {
  readonly remoteHost: string
  readonly remotePort: number
  readonly #wire: Wire
  readonly #handlers: SocketHandlers
  #other: SimSocket | undefined
  #state: 'open' | 'ending' | 'closed' = 'open'
  #paused = false
  /** Written by this end, not yet taken by the other end's handler. */
  #unread = 0
  #wantsDrain = false
  #sentEnd = false
  /** When the last thing that was sent arrives: nothing overtakes it. */
  #lastArrival = 0
  readonly #arrived: Uint8Array[] = []
  #gotEnd = false
  #toldEnd = false
  #readingSoon = false

  constructor(remoteHost: string, remotePort: number, handlers: SocketHandlers, wire: Wire) {
    this.remoteHost = remoteHost
    this.remotePort = remotePort
    this.#handlers = handlers
    this.#wire = wire
  }

  join(other: SimSocket): void {
    this.#other = other
  }

  opened(): void {
    this.#guard(() => this.#handlers.open?.(this))
  }

  write(bytes: Uint8Array): number {
    if (this.#state !== 'open' || this.#sentEnd) return 0
    const taken = Math.min(bytes.length, this.#wire.bufferBytesMax - this.#unread)
    if (taken < bytes.length) this.#wantsDrain = true
    if (taken > 0) {
      this.#unread += taken
      const copy = bytes.slice(0, taken)
      this.#send('data', copy, (other) => other.#receive(copy))
    }
    return taken
  }

  /** Sends nothing more, and reads on. */
  finish(): void {
    if (this.#sentEnd || this.#state === 'closed') return
    this.#sentEnd = true
    this.#send('end', undefined, (other) => other.#receiveEnd())
    this.#closeWhenBothEnded()
  }

  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'ending'
    this.#paused = false
    this.#read() // What still comes is read and dropped.
    this.finish()
    if (this.#isClosed()) return
    this.#wire.later(lingerMilliseconds, 'linger', undefined, () => this.#close(undefined))
  }

  destroy(): void {
    this.#reset()
  }

  pause(): void {
    if (this.#state === 'open') this.#paused = true
  }

  resume(): void {
    if (this.#state !== 'open' || !this.#paused) return
    this.#paused = false
    if (this.#readingSoon) return
    this.#readingSoon = true
    this.#wire.later(0, 'resume', undefined, () => {
      this.#readingSoon = false
      this.#read()
    })
  }

  #send(what: string, bytes: Uint8Array | undefined, arrive: (other: SimSocket) => void): void {
    this.#lastArrival = Math.max(this.#lastArrival, this.#wire.now() + this.#wire.latency())
    const other = this.#other!
    other.#wire.later(this.#lastArrival - this.#wire.now(), what, bytes, () => arrive(other))
  }

  #receive(bytes: Uint8Array): void {
    if (this.#state === 'closed') {
      // Nobody reads here any more: the sender learns it, as by TCP's reset.
      this.#send('reset', undefined, (other) => other.#receiveReset())
      return
    }
    this.#arrived.push(bytes)
    this.#read()
  }

  #receiveEnd(): void {
    this.#gotEnd = true
    this.#read()
  }

  #read(): void {
    while (this.#arrived.length > 0 && !this.#paused && !this.#isClosed()) {
      const bytes = this.#arrived.shift()!
      this.#send('taken', undefined, (other) => other.#taken(bytes.length))
      if (this.#state === 'open') this.#guard(() => this.#handlers.data(this, bytes))
    }
    if (!this.#gotEnd || this.#toldEnd || this.#arrived.length > 0 || this.#paused || this.#isClosed()) return
    this.#toldEnd = true
    if (this.#state === 'open' && !this.#sentEnd) this.#guard(() => this.#handlers.end?.(this))
    this.#closeWhenBothEnded()
  }

  #taken(bytes: number): void {
    this.#unread -= bytes
    if (!this.#wantsDrain || this.#state !== 'open') return
    this.#wantsDrain = false
    this.#guard(() => this.#handlers.drain?.(this))
  }

  #closeWhenBothEnded(): void {
    if (this.#sentEnd && this.#toldEnd) this.#close(undefined)
  }

  #reset(): void {
    if (this.#state === 'closed') return
    this.#send('reset', undefined, (other) => other.#receiveReset())
    this.#close(undefined)
  }

  #receiveReset(): void {
    this.#close(this.#gotEnd && this.#sentEnd ? undefined : new Error('ECONNRESET: connection reset by peer'))
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  #close(error: Error | undefined): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#arrived.length = 0
    this.#wire.guard(() => this.#handlers.close?.(this, error))
  }

  #guard(run: () => void): void {
    if (!this.#wire.guard(run)) this.destroy()
  }
}
