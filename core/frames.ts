// Protocol section 6: two bytes, big-endian, that say how many bytes of JSON follow.
import type { JsonObject } from './chain/json.ts'

const prefixBytes = 2
export const frameBytesMax = 0xffff

/** A frame that holds this message; undefined where it is longer than the prefix can say. */
export function frameOf(message: JsonObject): Uint8Array | undefined {
  const body = Buffer.from(JSON.stringify(message))
  if (body.length > frameBytesMax) return undefined
  const frame = Buffer.allocUnsafe(prefixBytes + body.length)
  frame.writeUInt16BE(body.length)
  body.copy(frame, prefixBytes)
  return frame
}

const none = new Uint8Array(0)

/**
 * Takes bytes as they come and gives the bodies of whole frames. It holds no more than one frame beside what was pushed
 * last, so whoever pushes takes what there is before he pushes again.
 */
export class FrameReader {
  /** What is not taken yet lies between `#start` and `#end`. */
  #held: Uint8Array = none
  #start = 0
  #end = 0

  push(bytes: Uint8Array): void {
    this.#makeRoom(bytes.length)
    // A copy in any case: the runtime may reuse the memory of what it handed over.
    this.#held.set(bytes, this.#end)
    this.#end += bytes.length
  }

  /** The next body, which may be empty; undefined until one is whole. What was taken is not written to again. */
  next(): Uint8Array | undefined {
    const length = this.announcedBytes
    if (length === undefined || this.begunBytes < prefixBytes + length) return undefined
    const from = this.#start + prefixBytes
    const body = this.#held.subarray(from, from + length)
    this.#start = from + length
    // Who is silent between two requests holds no memory.
    if (this.#start === this.#end) this.#hold(none)
    return body
  }

  /** Bytes that are here of frames which were not taken yet, prefixes included. */
  get begunBytes(): number {
    return this.#end - this.#start
  }

  /** How long the body of the next frame is to be; undefined until its prefix is here. */
  get announcedBytes(): number | undefined {
    if (this.begunBytes < prefixBytes) return undefined
    return (this.#held[this.#start]! << 8) | this.#held[this.#start + 1]!
  }

  /** At least doubles what is held where it grows: a frame that comes byte by byte is not copied with each of them. */
  #makeRoom(bytes: number): void {
    if (this.#end + bytes <= this.#held.length) return
    const needed = this.begunBytes + bytes
    const grown = new Uint8Array(Math.max(needed, Math.min(2 * this.begunBytes, prefixBytes + frameBytesMax)))
    grown.set(this.#held.subarray(this.#start, this.#end))
    const begun = this.begunBytes
    this.#hold(grown)
    this.#end = begun
  }

  #hold(held: Uint8Array): void {
    this.#held = held
    this.#start = 0
    this.#end = 0
  }
}
