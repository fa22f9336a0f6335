import type {
  Connection,
  ConnectionHandlers,
  JsonObject,
  Limits,
  Log,
  Result,
  Runtime,
  Socket,
  Timer,
} from '../../core/index.ts'
import type { Silent } from './crowd.ts'
import { Lines } from './lines.ts'
import { Outbox } from './outbox.ts'

export interface ConnectionParts {
  readonly id: string
  readonly outbound: boolean
  readonly socket: Socket
  readonly runtime: Runtime
  readonly limits: Limits
  readonly log: Log
  /** Its first message is complete. */
  readonly spoke: () => void
}

/**
 * Beyond this share of the send queue no answers are made for who does not take them, and from a client nothing is read,
 * so that it may send as far ahead as it likes. A peer is read from all the same: it may be waiting, with as much for
 * us, that we take something first, and both would wait for ever. The rest of the queue is for what was not asked for.
 */
const unreadShareMax = 1 / 16

/** What goes to many peers, as a block does, is written down once: whoever hands a message over does not change it. */
const linesMade = new WeakMap<JsonObject, Uint8Array>()

function lineOf(message: JsonObject): Uint8Array {
  const made = linesMade.get(message)
  if (made !== undefined) return made
  const line = Buffer.from(`${JSON.stringify(message)}\n`)
  linesMade.set(message, line)
  return line
}

/** JSON lines on one socket, with its deadlines. Time is kept by one timer that is armed anew when it runs out. */
export class TcpConnection implements Connection, Silent {
  readonly id: string
  readonly remoteHost: string
  readonly remotePort: number
  readonly outbound: boolean
  readonly #parts: ConnectionParts
  readonly #lines: Lines
  readonly #outbox: Outbox
  #handlers: ConnectionHandlers | undefined
  #state: 'open' | 'closing' | 'closed' = 'open'
  #promoted = false
  /** No message was complete yet. */
  #silent = true
  /** Reading was stopped by the network. */
  #paused = false
  /** Too much is not taken by the other side. */
  #full = false
  #pumping = false
  /** The other side will send nothing more. */
  #ended = false
  /** Nothing is read any more: the end was handed on, or the framing was broken. */
  #finished = false

  #timer: Timer | undefined
  #timerAt = Infinity
  /** Of the message that has no end yet; undefined where there is none. */
  #begunAt: number | undefined
  #lastByteAt: number
  #lastMessageAt: number
  /** When the socket last took something. */
  #lastTakenAt = 0
  #closingSince = 0
  /** Whether this silence was used to look for an object without a newline. */
  #silenceHeard = true

  constructor(parts: ConnectionParts) {
    const { socket, limits, runtime } = parts
    this.#parts = parts
    this.id = parts.id
    this.outbound = parts.outbound
    this.remoteHost = socket.remoteHost
    this.remotePort = socket.remotePort
    this.#lines = new Lines(limits.client_message_bytes_max)
    this.#lastByteAt = this.#lastMessageAt = runtime.clock.monotonic()
    this.#outbox = new Outbox({
      socket,
      clock: runtime.clock,
      queueBytesMax: limits.send_queue_bytes_max,
      overflowed: () => this.#drop(limits.send_queue_bytes_max),
      shrank: () => this.#shrank(),
      finished: () => socket.end(),
    })
  }

  /** Starts to hand messages over. Where the network refuses, it says so on the line and closes. */
  start(result: Result<ConnectionHandlers>): void {
    if (result.ok) {
      this.#handlers = result.value
      this.#arm()
    } else {
      this.send({ type: 'ERROR', code: result.code, error: result.detail })
      this.close(result.code)
    }
  }

  // ---- for the network ----

  promote(): void {
    this.#promoted = true
    this.#lines.raise(this.#messageBytesMax())
    if (this.#full) this.#readOn()
  }

  get full(): boolean {
    return this.#full
  }

  send(message: JsonObject): void {
    if (this.#state !== 'open') return
    // A peer that is gone would never be found out if what we send it kept it alive.
    if (!this.#promoted) this.#lastMessageAt = this.#now()
    this.#outbox.send(lineOf(message))
    if (!this.#full && this.#outbox.bytes > this.#unreadBytesMax()) this.#filled()
  }

  close(reason: string): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#closingSince = this.#now()
    this.#parts.log.debug('closing a connection', { id: this.id, remote: this.remoteHost, reason })
    this.#parts.socket.resume()
    this.#outbox.finish()
    this.#arm()
  }

  pause(): void {
    if (this.#paused || this.#state !== 'open') return
    this.#paused = true
    this.#parts.socket.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#readOn()
  }

  // ---- from the socket ----

  received(bytes: Uint8Array): void {
    if (this.#state !== 'open' || this.#finished) return
    this.#lastByteAt = this.#now()
    this.#silenceHeard = false
    this.#lines.push(bytes)
    this.#pump()
  }

  drained(): void {
    this.#outbox.drained()
  }

  otherEnded(): void {
    this.#ended = true
    this.#pump()
  }

  closed(): void {
    if (this.#isClosed()) return
    this.#state = 'closed'
    this.#timer?.cancel()
    this.#outbox.drop()
    this.#handlers?.closed()
  }

  /** Too many others have not said anything either. */
  hurry(): void {
    const detail = `no complete message within ${this.#parts.limits.handshake_milliseconds_max / 1000} s, like many others`
    this.#broken(this.#begunAt === undefined ? 'idle' : 'too-slow', detail)
  }

  destroy(): void {
    this.#parts.socket.destroy()
  }

  #isClosed(): boolean {
    return this.#state === 'closed'
  }

  // ---- flow ----

  #unreadBytesMax(): number {
    return this.#parts.limits.send_queue_bytes_max * unreadShareMax
  }

  #filled(): void {
    this.#full = true
    this.#lastTakenAt = this.#now()
    if (!this.#mayRead()) this.#parts.socket.pause()
    this.#arm()
  }

  #shrank(): void {
    this.#lastTakenAt = this.#now()
    if (!this.#full || this.#outbox.bytes > this.#unreadBytesMax() / 2) return
    this.#full = false
    this.#handlers?.roomy?.()
    if (!this.#promoted) this.#readOn()
  }

  #mayRead(): boolean {
    return !this.#paused && (this.#promoted || !this.#full)
  }

  #readOn(): void {
    if (!this.#mayRead() || this.#state !== 'open') return
    // The other side is not to blame for the time that we did not read.
    const now = this.#now()
    this.#lastByteAt = this.#lastMessageAt = now
    if (this.#begunAt !== undefined) this.#begunAt = now
    // In a turn of its own: this may be in the middle of an answer.
    this.#parts.runtime.clock.soon(() => this.#pump())
    this.#parts.socket.resume()
  }

  // ---- reading ----

  #messageBytesMax(): number {
    const { client_message_bytes_max, peer_message_bytes_max } = this.#parts.limits
    return this.#promoted ? peer_message_bytes_max : client_message_bytes_max
  }

  #pump(): void {
    if (this.#pumping) return // A handler resumed: the loop below goes on.
    this.#pumping = true
    try {
      while (this.#isReading() && this.#takeNext());
    } finally {
      this.#pumping = false
    }
    if (!this.#isReading()) return
    if (this.#ended) this.#finish()
    else this.#noteBegun()
  }

  #isReading(): boolean {
    return this.#state === 'open' && this.#mayRead() && !this.#finished
  }

  #takeNext(): boolean {
    const line = this.#lines.next()
    if (line === undefined) return false
    if (line === 'too-large') {
      this.#broken('too-large', `a message is at most ${this.#messageBytesMax()} bytes long`)
      return false
    }
    this.#deliver(line.message)
    return true
  }

  #deliver(message: Uint8Array): void {
    if (this.#silent) {
      this.#silent = false
      this.#parts.spoke()
    }
    this.#lastMessageAt = this.#now()
    this.#begunAt = undefined
    this.#handlers?.message(message)
  }

  #finish(): void {
    this.#finished = true
    const last = this.#lines.rest()
    if (last !== undefined) this.#deliver(last)
    this.#begunAt = undefined
    this.#handlers?.finished()
  }

  #noteBegun(): void {
    if (this.#lines.begunBytes === 0) {
      this.#begunAt = undefined
    } else {
      this.#begunAt ??= this.#lastByteAt
      this.#arm()
    }
  }

  #broken(code: string, detail: string): void {
    this.#begunAt = undefined
    this.#finished = true
    if (this.#handlers === undefined) this.close(code)
    else this.#handlers.broken(code, detail)
  }

  /** Answers that nobody takes hold memory: too many of them, or for too long, and the connection is dropped. */
  #drop(unsentBytes: number): void {
    const fields = { id: this.id, remote: this.remoteHost, unsentBytes }
    this.#parts.log.warn('a connection was dropped: it does not read what is sent to it', fields)
    this.destroy()
  }

  // ---- deadlines ----

  #now(): number {
    return this.#parts.runtime.clock.monotonic()
  }

  /** When something is due at the earliest. */
  #nextDeadline(): number {
    const { limits } = this.#parts
    if (this.#state === 'closing') return this.#closingSince + limits.message_milliseconds_max
    const taken = this.#full ? this.#lastTakenAt + limits.message_milliseconds_max : Infinity
    return Math.min(taken, this.#mayRead() ? this.#readDeadline() : this.#now() + limits.idle_milliseconds_max)
  }

  /** Of what the other side is to send. */
  #readDeadline(): number {
    const { limits } = this.#parts
    const idle = this.#lastMessageAt + limits.idle_milliseconds_max
    if (this.#begunAt === undefined) return idle
    const slow = this.#begunAt + limits.message_milliseconds_max
    const silence = this.#silenceHeard ? Infinity : this.#lastByteAt + limits.silence_milliseconds
    return Math.min(idle, slow, silence)
  }

  #arm(): void {
    const at = this.#nextDeadline()
    // A timer that comes too early finds out, and is armed for the rest.
    if (this.#timerAt <= at) return
    this.#timer?.cancel()
    this.#timerAt = at
    this.#timer = this.#parts.runtime.clock.after(Math.max(0, Math.ceil(at - this.#now())), () => this.#timeCame())
  }

  #timeCame(): void {
    this.#timerAt = Infinity
    if (this.#isClosed()) return
    if (this.#nextDeadline() <= this.#now()) this.#actOnDeadline()
    if (!this.#isClosed()) this.#arm()
  }

  #actOnDeadline(): void {
    const { limits, log } = this.#parts
    const now = this.#now()
    if (this.#state === 'closing') {
      log.debug('a closing connection did not take what was left', { id: this.id, remote: this.remoteHost })
      this.destroy()
    } else if (this.#full && this.#lastTakenAt + limits.message_milliseconds_max <= now) {
      this.#drop(this.#outbox.bytes)
    } else if (this.#begunAt !== undefined && this.#begunAt + limits.message_milliseconds_max <= now) {
      const seconds = limits.message_milliseconds_max / 1000
      this.#broken('too-slow', `a message must be complete ${seconds} s after its first byte`)
    } else if (this.#lastMessageAt + limits.idle_milliseconds_max <= now) {
      if (this.#finished) this.close('idle')
      else this.#broken('idle', `no message for ${limits.idle_milliseconds_max / 1000} s`)
    } else {
      this.#silenceHeard = true
      const message = this.#lines.takeComplete()
      if (message !== undefined) this.#deliver(message)
    }
  }
}
