import { jitter, type Dice } from './chance.ts'

const firstMilliseconds = 1_000

/**
 * How long to wait after so many failures in a row: one second, doubled each time up to a bound. A quarter more or less by
 * chance, so that nodes that lost each other at one moment do not all come back at another.
 */
export function backOff(dice: Dice, failures: number, millisecondsMax: number): number {
  const doubled = firstMilliseconds * 2 ** Math.min(30, Math.max(0, failures - 1))
  return jitter(dice, Math.min(doubled, millisecondsMax))
}

const lasting: ReadonlySet<string> = new Set([
  'wrong-chain',
  'wrong-version',
  'bad-signature',
  'banned',
  'not-allowed',
  'no-chain',
])

/** Whether a node that refused us with this code will do it again until somebody changes something. */
export const isLasting = (code: string): boolean => lasting.has(code)
