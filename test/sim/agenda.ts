export interface Entry {
  readonly time: number
  readonly sequence: number
  run: (() => void) | undefined
}

/** What is to happen, in order of time, then of being entered. A binary heap. */
export class Agenda {
  readonly #heap: Entry[] = []
  #sequence = 0
  #taken = 0

  /** How many entries were taken out. */
  get taken(): number {
    return this.#taken
  }

  /** To cancel an entry, empty its `run`. */
  enter(time: number, run: () => void): Entry {
    const entry: Entry = { time, sequence: this.#sequence++, run }
    this.#heap.push(entry)
    this.#rise(this.#heap.length - 1)
    return entry
  }

  /** The first entry that is not cancelled. */
  first(): Entry | undefined {
    while (this.#heap.length > 0 && this.#heap[0]!.run === undefined) this.#removeFirst()
    return this.#heap[0]
  }

  take(): Entry | undefined {
    const entry = this.first()
    if (entry === undefined) return undefined
    this.#taken++
    this.#removeFirst()
    return entry
  }

  #removeFirst(): void {
    const last = this.#heap.pop()!
    if (this.#heap.length === 0) return
    this.#heap[0] = last
    this.#sink()
  }

  #rise(start: number): void {
    for (let i = start; i > 0;) {
      const parent = (i - 1) >> 1
      if (!this.#swapIfBefore(i, parent)) return
      i = parent
    }
  }

  #sink(): void {
    for (let i = 0; ;) {
      const [left, right] = [2 * i + 1, 2 * i + 2]
      const child = right < this.#heap.length && isBefore(this.#heap[right]!, this.#heap[left]!) ? right : left
      if (child >= this.#heap.length || !this.#swapIfBefore(child, i)) return
      i = child
    }
  }

  #swapIfBefore(lower: number, upper: number): boolean {
    const [a, b] = [this.#heap[lower]!, this.#heap[upper]!]
    if (!isBefore(a, b)) return false
    this.#heap[lower] = b
    this.#heap[upper] = a
    return true
  }
}

const isBefore = (a: Entry, b: Entry): boolean => a.time < b.time || (a.time === b.time && a.sequence < b.sequence)
