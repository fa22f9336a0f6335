/** A stream of bytes that its seed decides. Not for secrets. */
export class Dice {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number | string) {
    // FNV-1a spreads the seed's text over the 96 bits of state; the first rounds mix them.
    const text = String(seed)
    ;[this.#a, this.#b, this.#c] = [fnv1a(`a${text}`), fnv1a(`b${text}`), fnv1a(`c${text}`)]
    for (let i = 0; i < 15; i++) this.next()
  }

  /** sfc32 (Chris Doty-Humphrey, PractRand): an integer from 0 to 2^32-1. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** From 0 up to but not including 1. */
  fraction(): number {
    return this.next() / 2 ** 32
  }

  /** An integer from `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1))
  }

  chance(share: number): boolean {
    return share > 0 && this.fraction() < share
  }

  /** How long until something happens that happens once in `mean` on average and remembers nothing. */
  exponential(mean: number): number {
    return -Math.log(1 - this.fraction()) * mean
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.between(0, items.length - 1)]
    if (item === undefined) throw new Error('nothing to pick from')
    return item
  }

  /** A copy in random order (Fisher and Yates). */
  shuffled<T>(items: readonly T[]): T[] {
    const copy = [...items]
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.between(0, i)
      ;[copy[i], copy[j]] = [copy[j]!, copy[i]!]
    }
    return copy
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let i = 0, four = 0; i < length; i++) {
      four = i % 4 === 0 ? this.next() : four >>> 8
      bytes[i] = four
    }
    return bytes
  }
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}
