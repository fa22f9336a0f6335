// The inner loop: SHA-256 of the header's text with one decimal nonce after the other.

/** What is looked for: a nonce whose hash, as a number of 32 bytes, is at most `bound`. */
export interface Puzzle {
  /** UTF-8 of the canonical header. */
  readonly text: Uint8Array
  /** 32 bytes, big-endian: target - 1, so that work 1, whose target is 2^256, fits as well. */
  readonly bound: Uint8Array
}

export interface Outcome {
  readonly attempts: number
  /** undefined: none in the range, or told to stop. */
  readonly nonce: number | undefined
}

/** How many hashes are made between two calls of `goOn`: about 0.15 ms. */
const strideHashes = 256
/** Safe integers have 16 digits at the most. */
const digitsMax = 16

/** Tries the nonces from `start` up to but not including `end`. `goOn` hears of the attempts so far and may end it. */
export function search(puzzle: Puzzle, start: number, end: number, goOn: (attempts: number) => boolean): Outcome {
  const { text, bound } = puzzle
  const buffer = new Uint8Array(text.length + digitsMax)
  buffer.set(text)
  const hash = new Uint8Array(32)
  let length = text.length + writeDecimal(buffer, text.length, start)
  let input = buffer.subarray(0, length)
  for (let nonce = start; nonce < end; nonce++) {
    const attempts = nonce - start
    if (attempts % strideHashes === 0 && !goOn(attempts)) return { attempts, nonce: undefined }
    Bun.SHA256.hash(input, hash)
    if (isAtMost(hash, bound)) return { attempts: attempts + 1, nonce }
    if (increment(buffer, text.length, length)) input = buffer.subarray(0, ++length)
  }
  return { attempts: Math.max(0, end - start), nonce: undefined }
}

function isAtMost(hash: Uint8Array, bound: Uint8Array): boolean {
  for (let i = 0; i < 32; i++) {
    const difference = hash[i]! - bound[i]!
    if (difference !== 0) return difference < 0
  }
  return true
}

const zero = 0x30
const nine = 0x39

/** Adds one to the decimal digits between `from` and `to`, in place. True when it took one digit more. */
function increment(buffer: Uint8Array, from: number, to: number): boolean {
  let at = to - 1
  while (at >= from && buffer[at] === nine) buffer[at--] = zero
  if (at >= from) {
    buffer[at]!++
    return false
  }
  // All were nines and are zeros now: 999 has become 000, and is to be 1000.
  buffer[from] = zero + 1
  buffer[to] = zero
  return true
}

/** Returns how many digits were written. */
function writeDecimal(buffer: Uint8Array, at: number, value: number): number {
  const digits = String(value)
  for (let i = 0; i < digits.length; i++) buffer[at + i] = digits.charCodeAt(i)
  return digits.length
}
