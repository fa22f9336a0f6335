import { headerText, utf8Bytes, type Header, type Seal } from '../../core/index.ts'
import type { Range } from './hand.ts'
import { target } from './rules.ts'
import type { Puzzle } from './search.ts'

/** The search for one header's nonce: which nonces are left, how many were tried, and the answer. */
export class Attempt {
  readonly header: Header
  readonly puzzle: Puzzle
  readonly generation: number
  /** Milliseconds, monotonic. */
  readonly startedAt: number
  readonly #answer = Promise.withResolvers<Seal | undefined>()
  readonly #returned: Range[] = []
  #next = 0
  /** Of the ranges that are through. */
  attempts = 0
  over = false

  constructor(header: Header, generation: number, startedAt: number) {
    this.header = header
    this.generation = generation
    this.startedAt = startedAt
    this.puzzle = { text: utf8Bytes(headerText(header)), bound: boundOf(header.work) }
  }

  /** Settles once, with the first answer. */
  get answer(): Promise<Seal | undefined> {
    return this.#answer.promise
  }

  /** The next nonces to try; undefined when there are no more. Ranges that came back go first. */
  take(size: number): Range | undefined {
    const returned = this.#returned.pop()
    if (returned !== undefined) return returned
    const start = this.#next
    const end = Math.min(start + size, Number.MAX_SAFE_INTEGER)
    this.#next = end
    return start < end ? { start, end } : undefined
  }

  giveBack(range: Range): void {
    this.#returned.push(range)
  }

  settle(seal: Seal | undefined): void {
    this.over = true
    this.#answer.resolve(seal)
  }

  fail(error: unknown): void {
    this.over = true
    this.#answer.reject(error)
  }
}

function boundOf(work: number): Uint8Array {
  const hex = (target(work) - 1n).toString(16).padStart(64, '0')
  return new Uint8Array(Buffer.from(hex, 'hex'))
}
