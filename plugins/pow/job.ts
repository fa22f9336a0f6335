import type { Outcome, Puzzle } from './search.ts'

/** A range of nonces, and where to look and to tell. Small: it is copied. */
export interface Job extends Puzzle {
  readonly id: number
  /** Goes on while `control[generationAt]` is this. */
  readonly generation: number
  readonly start: number
  /** Not included. */
  readonly end: number
  /** Shared with every worker. */
  readonly control: Int32Array
  /** Where in `control` this worker counts the attempts of its job. */
  readonly attemptsAt: number
}

export interface Reply extends Outcome {
  readonly id: number
}

/** Where in `control` the number of the attempt stands that all workers work on. */
export const generationAt = 0
