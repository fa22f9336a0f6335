import { frameBytesMax, frameOf, FrameReader, type JsonObject, type Runtime, type Socket } from '../../core/index.ts'
import { Answers, type Place } from './answers.ts'
import type { Quota } from './quota.ts'

export interface ConnectionLimits {
  readonly requestsInFlightMax: number
  readonly bodyMillisecondsMax: number
  readonly idleMillisecondsMax: number
  readonly unreadMillisecondsMax: number
}

export interface ConnectionParts {
  readonly socket: Socket
  /** Whose share of the rate it uses. */
  readonly source: string
  readonly clock: Pick<Runtime['clock'], 'monotonic'>
  readonly limits: ConnectionLimits
  readonly quota: Quota
  /** Answers one body; undefined where it is answered with nothing. Never rejects. */
  readonly serve: (body: Uint8Array) => Promise<JsonObject | undefined>
  /** It ended otherwise than in good order. */
  readonly cut: (code: string) => void
}

/** Beyond so much that the other side does not take, nothing more of it is read. */
const unsentBytesMax = 256 * 1024
/** A connection that is ended must have taken what is left after so long. */
const closingMillisecondsMax = 5_000

/** `{status: "failed"}`: what every refusal looks like on the wire. */
export const failed = (code: string, message: string): JsonObject => ({ status: 'failed', code, message })

/**
 * Frames on one socket. Requests are worked on at the same time, up to a bound, and answered in order. Reading stops
 * while the bound is reached, while the quota has no turn for the next request, and while answers are not taken.
 */
export class GatewayConnection {
  readonly #parts: ConnectionParts
  readonly #reader = new FrameReader()
  readonly #answers: Answers
  #state: 'open' | 'closing' | 'closed' = 'open'
  #pumping = false
  #paused = false
  /** Waits for its turn. */
  #asking: (() => void) | undefined
  /** The other side will send nothing more. */
  #ended = false
  /** No request is taken any more; when all are answered, it is closed. */
  #finished = false
  /** A request was complete once. */
  #spoke = false

  // Milliseconds, monotonic.
  #lastRequestAt: number
  /** When the frame that is not complete yet was begun, or reading went on in the middle of it. */
  #begunAt: number | undefined
  #lastTakenAt = 0
  #closingSince = 0

  constructor(parts: ConnectionParts) {
    this.#parts = parts
    this.#lastRequestAt = parts.clock.monotonic()
    this.#answers = new Answers(parts.socket, (taken) => this.#moved(taken))
  }

  /** Nothing was ever asked on it: the first to go where there are too many. */
  get isSilent(): boolean {
    return !this.#spoke
  }

  // ---- from the socket ----

  received(bytes: Uint8Array): void {
    if (this.#state !== 'open' || this.#finished) return
    this.#reader.push(bytes)
    this.#pump()
  }

  drained(): void {
    this.#answers.drained()
  }

  otherEnded(): void {
    this.#ended = true
    this.#pump()
  }

  closed(): void {
    this.#state = 'closed'
    this.#answers.close()
    this.#withdraw()
  }

  // ---- from the server ----

  /** Says why, after what is still to be answered, and closes. */
  refuse(code: string, message: string): void {
    const place = this.#answers.place()
    this.#takeNoMore()
    this.#fill(place, failed(code, message))
  }

  /** Takes no further request, answers those that it has, then closes. */
  finish(): void {
    this.#takeNoMore()
    this.#moved(false)
  }

  destroy(): void {
    this.#parts.socket.destroy()
  }

  /** Called again and again: whatever took too long ends it. */
  watch(): void {
    const { limits, clock } = this.#parts
    const now = clock.monotonic()
    if (this.#state === 'closing') {
      if (now - this.#closingSince >= closingMillisecondsMax) this.destroy()
    } else if (this.#answers.unsentBytes > 0) {
      if (now - this.#lastTakenAt >= limits.unreadMillisecondsMax) this.#drop('unread')
    } else if (this.#begunAt !== undefined) {
      if (now - this.#begunAt >= limits.bodyMillisecondsMax) this.#tooSlow()
    } else if (this.#isIdle() && now - this.#lastRequestAt >= limits.idleMillisecondsMax) {
      // Unasked, an answer would be taken for the one to the next request.
      this.#parts.cut('idle')
      this.finish()
    }
  }

  // ---- reading ----

  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (this.#mayRead() && this.#takeNext());
    } finally {
      this.#pumping = false
    }
    this.#flow()
  }

  #mayRead(): boolean {
    return (
      this.#state === 'open' &&
      !this.#finished &&
      this.#asking === undefined &&
      this.#answers.open < this.#parts.limits.requestsInFlightMax &&
      this.#answers.unsentBytes <= unsentBytesMax
    )
  }

  #takeNext(): boolean {
    const body = this.#reader.next()
    if (body === undefined) {
      this.#noteBegun()
      return false
    }
    this.#spoke = true
    this.#begunAt = undefined
    const turn = (): void => {
      this.#asking = undefined
      void this.#serve(body)
      this.#pump()
    }
    this.#asking = turn
    this.#parts.quota.ask(this.#parts.source, turn)
    return true
  }

  async #serve(body: Uint8Array): Promise<void> {
    const place = this.#answers.place()
    try {
      this.#fill(place, await this.#parts.serve(body))
    } finally {
      this.#lastRequestAt = this.#parts.clock.monotonic()
      this.#parts.quota.done()
    }
  }

  #fill(place: Place, answer: JsonObject | undefined): void {
    if (this.#answers.unsentBytes === 0) this.#lastTakenAt = this.#parts.clock.monotonic()
    place.fill(answer && (frameOf(answer) ?? frameOf(tooLarge(answer))))
  }

  /** Stops and restarts the socket's reading as this connection may read. */
  #flow(): void {
    if (this.#state !== 'open' || this.#finished) return
    const mayRead = this.#mayRead()
    if (mayRead && this.#ended) return this.#end()
    if (mayRead === !this.#paused) return
    this.#paused = !mayRead
    if (mayRead) {
      // The other side is not to blame for the time that it was not read.
      this.#lastRequestAt = this.#parts.clock.monotonic()
      this.#parts.socket.resume()
    } else {
      this.#begunAt = undefined
      this.#parts.socket.pause()
    }
  }

  /** The other side is done, and everything whole was taken. */
  #end(): void {
    const begun = this.#reader.begunBytes
    if (begun === 0) return this.finish()
    this.#parts.cut('short-body')
    this.refuse('short-body', `the connection ended after ${this.#progress()}${this.#hint()}`)
  }

  #tooSlow(): void {
    this.#parts.cut('too-slow')
    const seconds = this.#parts.limits.bodyMillisecondsMax / 1000
    this.refuse('too-slow', `${seconds} s after it was begun, only ${this.#progress()} are here${this.#hint()}`)
  }

  #progress(): string {
    const announced = this.#reader.announcedBytes
    if (announced === undefined) return 'one of the 2 bytes of the prefix'
    return `${this.#reader.begunBytes - 2} of the ${announced} bytes that the prefix promised`
  }

  /** For whoever speaks HTTP, or sends JSON as it stands. */
  #hint(): string {
    const text = textIn(this.#reader.announcedBytes ?? 0)
    return text === undefined ? '' : `; the prefix was the text ${JSON.stringify(text)}: was it left out?`
  }

  #noteBegun(): void {
    if (this.#reader.begunBytes === 0) this.#begunAt = undefined
    else this.#begunAt ??= this.#parts.clock.monotonic()
  }

  #takeNoMore(): void {
    this.#finished = true
    this.#begunAt = undefined
    this.#withdraw()
  }

  #withdraw(): void {
    if (this.#asking !== undefined) this.#parts.quota.withdraw(this.#parts.source, this.#asking)
    this.#asking = undefined
  }

  // ---- writing, and the end ----

  #moved(taken: boolean): void {
    if (this.#state !== 'open') return
    if (taken) this.#lastTakenAt = this.#parts.clock.monotonic()
    if (!this.#finished) return this.#pump()
    if (this.#answers.open > 0 || this.#answers.unsentBytes > 0) return
    this.#state = 'closing'
    this.#closingSince = this.#parts.clock.monotonic()
    this.#parts.socket.end()
  }

  #isIdle(): boolean {
    return !this.#finished && this.#answers.open === 0 && this.#asking === undefined
  }

  #drop(code: string): void {
    this.#parts.cut(code)
    this.destroy()
  }
}

/** The two bytes of a prefix, where they are printable: maybe no prefix. */
function textIn(prefix: number): string | undefined {
  const text = String.fromCharCode(prefix >> 8, prefix & 0xff)
  return /^[!-~]{2}$/.test(text) ? text : undefined
}

/** Never a part of an answer. What was submitted is submitted, so it can be asked for. */
function tooLarge(answer: JsonObject): JsonObject {
  const bytes = Buffer.byteLength(JSON.stringify(answer))
  const { tx_hash, request_id } = answer
  return {
    ...failed(
      'answer-too-large',
      `the answer is ${bytes} bytes; a frame holds ${frameBytesMax}${tx_hash === undefined ? '' : '; what became of it is told by transaction_status'}`,
    ),
    ...(tx_hash === undefined ? {} : { tx_hash }),
    ...(request_id === undefined ? {} : { request_id }),
  }
}
