import type { Hash } from '../chain/canonical.ts'

const slotsAtFirst = 1 << 12
/** Open addressing with linear steps: longer runs beyond this. */
const loadMax = 0.7
/** 12 bytes each: 12 GiB. Files that need more are to be split. */
const slotsMax = 2 ** 30

/**
 * Counts how often each hash came before. A file may be larger than memory, so no hash is kept: 64 bits of each are,
 * in 12 bytes a slot (about 17 to 35 a line). Should two lines share those bits, the later one is given a nonce that
 * it did not need: it is recorded all the same, and again under the same id when the file is sent again.
 */
export class Repetitions {
  #high = new Uint32Array(slotsAtFirst)
  #low = new Uint32Array(slotsAtFirst)
  /** 0: the slot is free. */
  #counts = new Uint32Array(slotsAtFirst)
  #used = 0

  /** How often this hash was counted before; counts it. */
  count(hash: Hash): number {
    if (this.#used >= this.#counts.length * loadMax) this.#grow()
    const high = Number.parseInt(hash.slice(0, 8), 16)
    const low = Number.parseInt(hash.slice(8, 16), 16)
    const slot = this.#slotOf(high, low)
    const before = this.#counts[slot]!
    if (before === 0) {
      this.#high[slot] = high
      this.#low[slot] = low
      this.#used++
    }
    this.#counts[slot] = before + 1
    return before
  }

  #slotOf(high: number, low: number): number {
    const mask = this.#counts.length - 1
    let slot = low & mask
    while (this.#counts[slot] !== 0 && (this.#high[slot] !== high || this.#low[slot] !== low)) slot = (slot + 1) & mask
    return slot
  }

  #grow(): void {
    const [high, low, counts] = [this.#high, this.#low, this.#counts]
    const slots = counts.length * 2
    if (slots > slotsMax) throw new RangeError(`more than ${Math.floor(counts.length * loadMax)} different lines`)
    this.#high = new Uint32Array(slots)
    this.#low = new Uint32Array(slots)
    this.#counts = new Uint32Array(slots)
    for (let old = 0; old < counts.length; old++) {
      if (counts[old] === 0) continue
      const slot = this.#slotOf(high[old]!, low[old]!)
      this.#high[slot] = high[old]!
      this.#low[slot] = low[old]!
      this.#counts[slot] = counts[old]!
    }
  }
}
