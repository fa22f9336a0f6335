/** One line of the table: a figure of ours beside what the bare library or program does in the same run. */
export interface Row {
  readonly name: string
  readonly figure: number
  readonly unit: string
  /** What it is compared with, and its figure in the same unit. */
  readonly reference: string
  readonly referenceFigure: number
}

/** Ours over the reference: for rates more is better, for times and sizes less. */
export const ratioOf = (row: Row): number => row.figure / row.referenceFigure

/** Runs `work` so many times and returns how many a second. */
export function perSecond(times: number, work: (i: number) => void): number {
  const started = performance.now()
  for (let i = 0; i < times; i++) work(i)
  return (times / (performance.now() - started)) * 1_000
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
