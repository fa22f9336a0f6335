import type { Socket, SocketHandlers } from '../../core/index.ts'
import { heldMillisecondsMax, type LineFaults } from './lines.ts'

/** What a socket needs of its world. */
export interface Wire {
  /** Runs something that happens to the host at the end of this wire, `milliseconds` from now. */
  later(milliseconds: number, what: string, bytes: Uint8Array | undefined, run: () => void): void
  /** Runs something at this host, `milliseconds` from now. Not traced: nothing arrives. */
  after(milliseconds: number, run: () => void): void
  latency(): number
  /** An extra delay that befalls what is written now, in milliseconds. */
  spike(): number
  /** Whether the connection breaks down under what is written now. */
  breaks(): boolean
  now(): number
  readonly bufferBytesMax: number
  /** Runs a handler; what it throws is reported, and the answer is false. */
  guard(run: () => void): boolean
  /** The socket is closed, or its host is no more. */
  gone(socket: SimSocket): void
  /** Whether somebody is there to say that nobody reads here: a host that lost its power says nothing. */
  answers(): boolean
}

const lingerMilliseconds = 1_000

/** One end of a stream in memory, with the same semantics as the real one (core/bun.ts). */
export class SimSocket implements Socket {
  readonly remoteHost: string
  readonly remotePort: number
  readonly #wire: Wire
  readonly #handlers: SocketHandlers
  readonly #lines: LineFaults
  #other: SimSocket | undefined
  #state: 'open' | 'ending' | 'closed' = 'open'
  #paused = false
  /** Written by this end, not yet taken by the other end's handler. */
  #unread = 0
  /** Room that the other end has made, and when word of it is here. */
  readonly #room: { readonly at: number; readonly bytes: number }[] = []
  #wantsDrain = false
  #drainDue = false
  #sentEnd = false
  /** When the last thing that was sent arrives: nothing overtakes it. */
  #lastArrival = 0
  readonly #arrived: Uint8Array[] = []
  #gotEnd = false
  #toldEnd = false
  #readingSoon = false

  constructor(remoteHost: string, remotePort: number, handlers: SocketHandlers, lines: LineFaults, wire: Wire) {
    this.remoteHost = remoteHost
    this.remotePort = remotePort
    this.#handlers = handlers
    this.#lines = lines
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
    this.#makeRoom()
    const taken = Math.max(0, Math.min(bytes.length, this.#wire.bufferBytesMax - this.#unread))
    if (taken < bytes.length) this.#wantDrain()
    if (taken === 0) return 0
    if (this.#wire.breaks()) {
      this.#wire.after(0, () => this.#break())
      return taken
    }
    this.#pass(this.#lines.pass(bytes.slice(0, taken)))
    if (this.#lines.holds) this.#wire.after(heldMillisecondsMax, () => this.#pass(this.#lines.release()))
    return taken
  }

  /** Sends nothing more, and reads on. */
  finish(): void {
    if (this.#sentEnd || this.#state === 'closed') return
    this.#pass(this.#lines.rest())
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
    this.#wire.after(lingerMilliseconds, () => this.#close(undefined))
  }

  destroy(): void {
    if (this.#state === 'closed') return
    this.#send('reset', undefined, (other) => other.#receiveReset())
    this.#close(undefined)
  }

  pause(): void {
    if (this.#state === 'open') this.#paused = true
  }

  resume(): void {
    if (this.#state !== 'open' || !this.#paused) return
    this.#paused = false
    if (this.#readingSoon) return
    this.#readingSoon = true
    this.#wire.after(0, () => {
      this.#readingSoon = false
      this.#read()
    })
  }

  /** Its process is gone: nobody here hears anything any more. `loud`: the system still tells the other side. */
  die(loud: boolean): void {
    if (this.#state === 'closed') return
    if (loud) this.#send('reset', undefined, (other) => other.#receiveReset())
    this.#state = 'closed'
    this.#arrived.length = 0
  }

  #pass(pieces: readonly Uint8Array[]): void {
    if (this.#isClosed() || this.#sentEnd) return
    for (const bytes of pieces) {
      this.#unread += bytes.length
      this.#lastArrival = Math.max(this.#lastArrival, this.#wire.now() + this.#wire.spike())
      this.#send('data', bytes, (other) => other.#receive(bytes))
    }
  }

  #send(what: string, bytes: Uint8Array | undefined, arrive: (other: SimSocket) => void): void {
    this.#lastArrival = Math.max(this.#lastArrival, this.#wire.now() + this.#wire.latency())
    const other = this.#other!
    other.#wire.later(this.#lastArrival - this.#wire.now(), what, bytes, () => arrive(other))
  }

  #receive(bytes: Uint8Array): void {
    if (this.#state === 'closed') {
      // Nobody reads here any more: the sender learns it, as by TCP's reset.
      if (this.#wire.answers()) this.#send('reset', undefined, (other) => other.#receiveReset())
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
      this.#other!.#taken(bytes.length, this.#wire.now() + this.#wire.latency())
      if (this.#state === 'open') this.#guard(() => this.#handlers.data(this, bytes))
    }
    if (!this.#gotEnd || this.#toldEnd || this.#arrived.length > 0 || this.#paused || this.#isClosed()) return
    this.#toldEnd = true
    if (this.#state === 'open' && !this.#sentEnd) this.#guard(() => this.#handlers.end?.(this))
    this.#closeWhenBothEnded()
  }

  // ---- room: word of it travels without an event of its own, unless somebody waits for it ----

  #taken(bytes: number, at: number): void {
    if (this.#state === 'closed') return
    this.#room.push({ at: Math.max(at, this.#room.at(-1)?.at ?? 0), bytes })
    if (this.#wantsDrain) this.#wantDrain()
  }

  #makeRoom(): void {
    while (this.#room.length > 0 && this.#room[0]!.at <= this.#wire.now()) this.#unread -= this.#room.shift()!.bytes
  }

  #wantDrain(): void {
    this.#wantsDrain = true
    const [first] = this.#room
    if (first === undefined || this.#drainDue) return
    this.#drainDue = true
    this.#wire.after(first.at - this.#wire.now(), () => {
      this.#drainDue = false
      this.#makeRoom()
      if (this.#state !== 'open' || !this.#wantsDrain) return
      this.#wantsDrain = false
      this.#guard(() => this.#handlers.drain?.(this))
    })
  }

  // ---- the end ----

  #closeWhenBothEnded(): void {
    if (this.#sentEnd && this.#toldEnd) this.#close(undefined)
  }

  /** The network breaks it: both sides learn of it. */
  #break(): void {
    if (this.#state === 'closed') return
    this.#send('reset', undefined, (other) => other.#receiveReset())
    this.#receiveReset()
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
    this.#wire.gone(this)
    this.#wire.guard(() => this.#handlers.close?.(this, error))
  }

  #guard(run: () => void): void {
    if (!this.#wire.guard(run)) this.destroy()
  }
}
