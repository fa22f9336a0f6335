import { readFileSync } from 'node:fs'

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

/** How long `work` takes. */
export function millisecondsOf(work: () => void): number {
  const started = performance.now()
  work()
  return performance.now() - started
}

/** Processor time of a process so far, on all its threads. proc(5): in hundredths of a second. Linux only. */
export function cpuMicroseconds(pid: number): number {
  // The name in parentheses may hold spaces: the fields are counted from behind it. They are the 14th and the 15th.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

export const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

export const median = (values: readonly number[]): number => percentile(values, 50)

/** The least of the values that no more than so many in a hundred are below. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))] ?? Number.NaN
}

/** Resident memory of a process. Linux only. */
export function residentMiB(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(line?.[1]) / 1_024
}
