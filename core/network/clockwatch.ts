import type { ModuleParts } from './module.ts'

const offsetMillisecondsMax = 60_000
const repeatedAfterMilliseconds = 60 * 60 * 1_000

/**
 * Compares this clock with the peers'. It only speaks: what a timestamp may be is for the rules, and a node that set its
 * clock by what strangers say could be led anywhere.
 */
export class ClockWatch {
  readonly #parts: Pick<ModuleParts, 'emit' | 'log' | 'peers' | 'runtime'>
  #told: { readonly offset: number; readonly at: number } | undefined

  constructor(parts: Pick<ModuleParts, 'emit' | 'log' | 'peers' | 'runtime'>) {
    this.#parts = parts
  }

  /** The offset of a peer was measured. */
  measured(): void {
    const offsets = this.#parts.peers.all().flatMap(({ clockOffset }) => clockOffset ?? [])
    const median = medianOf(offsets)
    if (median === undefined) return
    if (Math.abs(median) <= offsetMillisecondsMax) this.#agrees()
    else if (this.#isNews(median)) this.#tell(median, offsets.length)
  }

  #isNews(offset: number): boolean {
    if (this.#told === undefined) return true
    if (Math.abs(offset - this.#told.offset) > offsetMillisecondsMax) return true
    return this.#now() - this.#told.at >= repeatedAfterMilliseconds
  }

  #tell(offset: number, peers: number): void {
    this.#told = { offset, at: this.#now() }
    const seconds = Math.round(Math.abs(offset) / 1000)
    this.#parts.log.error(
      `this clock is ${seconds} s ${offset > 0 ? 'behind' : 'ahead of'} the peers' clocks; check both, and set this one by NTP`,
      { code: 'clock-differs', milliseconds: offset, peers },
    )
    this.#parts.emit('clock:differs', { milliseconds: offset, peers })
  }

  #agrees(): void {
    if (this.#told !== undefined) this.#parts.log.info("this clock agrees with the peers' again")
    this.#told = undefined
  }

  #now(): number {
    return this.#parts.runtime.clock.monotonic()
  }
}

/** Of an even number the lower one of the middle two. undefined of none. */
function medianOf(numbers: readonly number[]): number | undefined {
  return numbers.toSorted((one, other) => one - other)[Math.floor((numbers.length - 1) / 2)]
}
