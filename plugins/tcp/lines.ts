import { isObject } from '../../core/index.ts'

const newline = 0x0a
const firstCapacityBytes = 4 * 1024

export type Line = { readonly message: Uint8Array } | 'too-large' | undefined

/**
 * Cuts a stream into messages: each ends with a newline (`\r\n` is tolerated), blank lines are nothing. What arrives is
 * pushed; messages are pulled, so that a reader that pauses leaves the rest where it is. The part of a message that
 * waits for its end is never longer than `messageBytesMax`, and a byte is looked at and copied a constant number of
 * times however small the pieces are.
 */
export class Lines {
  #messageBytesMax: number
  /** Pushed, not yet looked at. */
  readonly #chunks: Uint8Array[] = []
  /** Start of the message whose end has not come, in the first `#length` bytes. */
  #buffer: Uint8Array = new Uint8Array(0)
  #length = 0

  constructor(messageBytesMax: number) {
    this.#messageBytesMax = messageBytesMax
  }

  /** From now on a message may be so long. */
  raise(messageBytesMax: number): void {
    this.#messageBytesMax = messageBytesMax
  }

  push(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#chunks.push(bytes)
  }

  /** Bytes of a message that was begun and has no end yet. */
  get begunBytes(): number {
    return this.#length
  }

  /** The next whole message; undefined when there is none yet. After `too-large` nothing can be read any more. */
  next(): Line {
    for (;;) {
      const chunk = this.#chunks[0]
      if (chunk === undefined) return undefined
      const end = chunk.indexOf(newline)
      const part = end === -1 ? chunk : chunk.subarray(0, end)
      if (this.#length + part.length > this.#messageBytesMax) return 'too-large'
      if (end === -1 || end === chunk.length - 1) this.#chunks.shift()
      else this.#chunks[0] = chunk.subarray(end + 1)
      if (end === -1) {
        this.#keep(part)
        continue
      }
      const line = withoutReturn(this.#length === 0 ? part : this.#joined(part))
      if (!isBlank(line)) return { message: line }
    }
  }

  /** What stands after the last newline when the stream has ended: the last line. */
  rest(): Uint8Array | undefined {
    const line = withoutReturn(this.#joined(new Uint8Array(0)))
    return isBlank(line) ? undefined : line
  }

  /** The message that was begun, where it is one complete JSON object already; for clients that send no newline. */
  takeComplete(): Uint8Array | undefined {
    const begun = this.#buffer.subarray(0, this.#length)
    // Most of what is not complete is told by its last byte.
    if (lastVisible(begun) !== 0x7d || !isJsonObject(begun)) return undefined
    return this.#joined(new Uint8Array(0))
  }

  #keep(part: Uint8Array): void {
    const length = this.#length + part.length
    if (length > this.#buffer.length) {
      // Doubling: the copies add up to no more than twice the message.
      const capacity = Math.min(this.#messageBytesMax, Math.max(length, 2 * this.#buffer.length, firstCapacityBytes))
      const grown = new Uint8Array(capacity)
      grown.set(this.#buffer.subarray(0, this.#length))
      this.#buffer = grown
    }
    this.#buffer.set(part, this.#length)
    this.#length = length
  }

  /** Hands over the begun message, and its memory with it: an idle connection holds none. */
  #joined(part: Uint8Array): Uint8Array {
    this.#keep(part)
    const message = this.#buffer.subarray(0, this.#length)
    this.#buffer = new Uint8Array(0)
    this.#length = 0
    return message
  }
}

function withoutReturn(line: Uint8Array): Uint8Array {
  return line.at(-1) === 0x0d ? line.subarray(0, -1) : line
}

// RFC 8259, 2: the white space of JSON.
const isWhite = (byte: number): boolean => byte === 0x20 || byte === 0x09 || byte === 0x0d || byte === newline
const isBlank = (line: Uint8Array): boolean => line.every(isWhite)

function lastVisible(bytes: Uint8Array): number | undefined {
  for (let i = bytes.length - 1; i >= 0; i--) {
    if (!isWhite(bytes[i]!)) return bytes[i]
  }
  return undefined
}

const utf8 = new TextDecoder()

function isJsonObject(bytes: Uint8Array): boolean {
  try {
    return isObject(JSON.parse(utf8.decode(bytes)))
  } catch {
    return false
  }
}
