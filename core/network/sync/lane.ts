import { blocksAskedMax } from './questions.ts'

const inFlightMax = 2
const timeoutsMax = 2
/** How long a peer is not asked again for blocks that it was seen not to have. */
const lackMilliseconds = 5_000
/** A busy second on either side is not a stall. */
const deadlineMillisecondsMin = 2_000
/** An answer is late when it takes so many times as long as this peer's usually do. */
const deadlineFactor = 4

/** How one peer does as a source of blocks. */
export class Lane {
  inFlight = 0
  /** How many blocks it is asked for at once: fewer after it was too slow, since its line may be thin. */
  batch = blocksAskedMax
  #average: number | undefined
  #timeouts = 0
  #lacksFrom = Number.POSITIVE_INFINITY
  #lacksUntil = 0

  get isBusy(): boolean {
    return this.inFlight >= inFlightMax
  }

  /** Milliseconds that its answers take, by experience; unknown peers are as good as any. */
  get pace(): number {
    return this.#average ?? 0
  }

  /** Two questions in a row were not answered in time. */
  get isStalled(): boolean {
    return this.#timeouts >= timeoutsMax
  }

  lacks(index: number, now: number): boolean {
    return index >= this.#lacksFrom && now < this.#lacksUntil
  }

  /** Milliseconds after which an answer is late, at most `most`. */
  deadline(most: number): number {
    if (this.#average === undefined) return most
    return Math.min(most, Math.max(deadlineMillisecondsMin, this.#average * deadlineFactor))
  }

  answered(milliseconds: number): void {
    this.#timeouts = 0
    this.#average = this.#average === undefined ? milliseconds : this.#average * 0.7 + milliseconds * 0.3
    this.batch = Math.min(blocksAskedMax, this.batch * 2)
  }

  timedOut(): void {
    this.#timeouts++
    this.batch = Math.max(1, this.batch >> 2)
  }

  /** Blocks stand on each other: who has another one at this height, or none, has none of ours above it. */
  lacked(index: number, now: number): void {
    this.#lacksFrom = now < this.#lacksUntil ? Math.min(this.#lacksFrom, index) : index
    this.#lacksUntil = now + lackMilliseconds
  }
}
