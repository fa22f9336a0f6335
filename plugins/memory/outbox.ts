import type { OutboxEntry } from '../../core/index.ts'

/** What was told so far. The n-th entry has sequence n, from 1. */
export class Outbox {
  /** Without the oldest, which were forgotten. */
  #entries: OutboxEntry[] = []
  #forgotten = 0
  /** The applied blocks of each height, oldest first. */
  readonly #applied = new Map<number, OutboxEntry[]>()

  get end(): number {
    return this.#forgotten + this.#entries.length
  }

  add(entry: Omit<OutboxEntry, 'sequence'>): void {
    const numbered = { sequence: this.end + 1, ...entry }
    this.#entries.push(numbered)
    if (entry.kind !== 'applied') return
    const applied = this.#applied.get(entry.index)
    if (applied === undefined) this.#applied.set(entry.index, [numbered])
    else applied.push(numbered)
  }

  after(sequence: number, max: number): readonly OutboxEntry[] {
    const first = Math.max(0, Math.floor(sequence) - this.#forgotten)
    return this.#entries.slice(first, first + Math.max(0, max))
  }

  appliedAt(height: number, sequence: number): OutboxEntry | undefined {
    return this.#applied.get(height)?.findLast((entry) => entry.sequence <= sequence)
  }

  /** Those in front of the first that is no report; so a node without a chain keeps none of them. */
  forgetReports(sequence: number): void {
    const old = this.#entries.slice(0, Math.max(0, Math.min(sequence, this.end - 1) - this.#forgotten))
    const other = old.findIndex(({ kind }) => kind !== 'reported')
    const count = other < 0 ? old.length : other
    this.#entries = this.#entries.slice(count)
    this.#forgotten += count
  }
}
