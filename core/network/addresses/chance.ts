import type { Runtime } from '../../runtime.ts'

export type Dice = Pick<Runtime, 'random'>

/** A quarter more or less. */
export const jitter = (dice: Dice, milliseconds: number): number => milliseconds * (0.75 + fraction(dice) / 2)

/** From 0 up to but not including 1. */
export function fraction(dice: Dice): number {
  const bytes = dice.random(4)
  return bytes.reduce((sum, byte) => sum * 256 + byte, 0) / 2 ** 32
}

/** In another order each time. */
export const shuffled = <T>(dice: Dice, items: readonly T[]): readonly T[] =>
  items
    .map((item) => ({ item, place: fraction(dice) }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ item }) => item)
