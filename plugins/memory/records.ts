import { AurexError, type RecordChange } from '../../core/index.ts'

/** The records of one owner, in order of their keys' UTF-8 bytes. */
export class OwnRecords {
  readonly #values = new Map<string, string>()
  readonly #keys: string[] = []

  get(key: string): string | undefined {
    return this.#values.get(key)
  }

  write(changes: readonly RecordChange[]): void {
    for (const [key, value] of changes) {
      const known = this.#values.has(key)
      if (value === undefined) {
        if (known) this.#keys.splice(this.#placeOf(key), 1)
        this.#values.delete(key)
        continue
      }
      if (!known) this.#keys.splice(this.#placeOf(key), 0, key)
      this.#values.set(key, value)
    }
  }

  list(prefix: string, after: string | undefined, max: number): readonly (readonly [string, string])[] {
    const found: (readonly [string, string])[] = []
    let place = this.#placeOf(prefix)
    if (after !== undefined) {
      const next = this.#placeOf(after)
      place = Math.max(place, this.#keys[next] === after ? next + 1 : next)
    }
    for (; found.length < max && this.#keys[place]?.startsWith(prefix) === true; place++) {
      const key = this.#keys[place]!
      found.push([key, this.#values.get(key)!])
    }
    return found
  }

  count(prefix: string): number {
    const first = this.#placeOf(prefix)
    let end = first
    while (this.#keys[end]?.startsWith(prefix) === true) end++
    return end - first
  }

  /** Of the first key that does not come before this one. */
  #placeOf(key: string): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareUtf8(this.#keys[middle]!, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

/** Throws `storage-failed` for a text that a database could not keep. */
export function mustBeUnicode(changes: readonly RecordChange[], whose: string): void {
  for (const [key, value] of changes) {
    if (key.isWellFormed() && (value ?? '').isWellFormed()) continue
    throw new AurexError('storage-failed', `memory: ${whose}: ${JSON.stringify(key)}: expected Unicode text`)
  }
}

/** The order of UTF-8 bytes, which is the one of code points. */
function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let place = 0; place < length; place++) {
    const [x, y] = [a.charCodeAt(place), b.charCodeAt(place)]
    if (x !== y) return rankOf(x) - rankOf(y)
  }
  return a.length - b.length
}

/** Surrogates stand for code points above all those that are one unit. */
const rankOf = (unit: number): number => (unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit)
