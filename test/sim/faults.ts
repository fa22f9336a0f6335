/** Everything that may go wrong in a world of its own accord. A batch of seeds in which one of them never fired fails. */
export const faultKinds = [
  'loss',
  'duplicate',
  'reorder',
  'delay-spike',
  'reset',
  'one-way-partition',
  'two-way-partition',
  'bridge-partition',
  'crash',
  'power-cut',
  'lost-write',
  'torn-write',
  'clock-skew',
  'clock-jump',
  'stall',
  'slow-disk',
  'absence',
] as const
export type FaultKind = (typeof faultKinds)[number]

/** How often each thing happened. */
export class Tally<K extends string> {
  readonly #counts = new Map<K, number>()

  add(kind: K, times = 1): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + times)
  }

  of(kind: K): number {
    return this.#counts.get(kind) ?? 0
  }

  /** In the order of `kinds`, those that never happened as 0. */
  all(kinds: readonly K[]): Record<K, number> {
    return Object.fromEntries(kinds.map((kind) => [kind, this.of(kind)])) as Record<K, number>
  }
}

/** What may befall a line on its way: the share of lines that it does befall. `reset`: of writes. */
export interface Weather {
  readonly loss: number
  readonly duplicate: number
  readonly reorder: number
  readonly delaySpike: number
  readonly reset: number
}

export const calm: Weather = { loss: 0, duplicate: 0, reorder: 0, delaySpike: 0, reset: 0 }
