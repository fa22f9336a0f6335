import type { Socket } from '../../core/index.ts'

/** One write takes about so much; the kernel rarely has room for more. */
const writeBytesAbout = 256 * 1024

/** The place of one answer among the others of its connection. */
export interface Place {
  /** `frame`: undefined where the request is answered with nothing. */
  fill(frame: Uint8Array | undefined): void
}

interface Waiting {
  done: boolean
  frame: Uint8Array | undefined
}

/**
 * The answers of one connection, sent in the order of their requests, whichever is ready first. What the socket does not
 * take waits for `drained`. How much there can be is bounded by whoever takes places: by the requests in work.
 */
export class Answers {
  readonly #socket: Pick<Socket, 'write'>
  /** Called after a place was filled or there was room again; `taken`: whether the socket took something. */
  readonly #moved: (taken: boolean) => void
  readonly #places: Waiting[] = []
  #frames: Uint8Array[] = []
  #unsentBytes = 0
  #full = false
  #closed = false

  constructor(socket: Pick<Socket, 'write'>, moved: (taken: boolean) => void) {
    this.#socket = socket
    this.#moved = moved
  }

  /** Requests that are not answered yet, or whose answer waits for an earlier one. */
  get open(): number {
    return this.#places.length
  }

  /** Of answers whose turn has come. */
  get unsentBytes(): number {
    return this.#unsentBytes
  }

  place(): Place {
    const waiting: Waiting = { done: false, frame: undefined }
    this.#places.push(waiting)
    return {
      fill: (frame) => {
        waiting.done = true
        waiting.frame = frame
        this.#advance()
      },
    }
  }

  drained(): void {
    this.#full = false
    this.#flush()
  }

  /** Nothing is sent any more. */
  close(): void {
    this.#closed = true
    this.#places.length = 0
    this.#frames = []
    this.#unsentBytes = 0
  }

  #advance(): void {
    if (this.#closed) return
    while (this.#places[0]?.done === true) {
      const { frame } = this.#places.shift()!
      if (frame === undefined) continue
      this.#frames.push(frame)
      this.#unsentBytes += frame.length
    }
    this.#flush()
  }

  #flush(): void {
    const before = this.#unsentBytes
    while (this.#frames.length > 0 && !this.#full) {
      const bytes = this.#gather()
      const taken = this.#socket.write(bytes)
      this.#unsentBytes -= taken
      if (taken < bytes.length) {
        this.#full = true
        this.#frames.unshift(bytes.subarray(taken))
      }
    }
    if (!this.#closed) this.#moved(this.#unsentBytes < before)
  }

  /** Takes frames from the front as one piece. */
  #gather(): Uint8Array {
    let [count, bytes] = [0, 0]
    while (count < this.#frames.length && (count === 0 || bytes < writeBytesAbout))
      bytes += this.#frames[count++]!.length
    const pieces = this.#frames.splice(0, count)
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  }
}
