import type { Place } from '../plugin.ts'

/** Before 0: `a` comes before `b`; 0: they are the same. Number by number; of two that begin alike the shorter is before. */
export function comparePlaces(a: Place, b: Place): number {
  const at = a.findIndex((number, i) => number !== b[i])
  if (at < 0) return a.length - b.length
  return at < b.length ? a[at]! - b[at]! : 1
}

/** What can be ordered and compared with heights: at least one number, all of them whole and none below 0. */
export const isPlace = (place: Place): boolean =>
  place.length > 0 && place.every((number) => Number.isSafeInteger(number) && number >= 0)

export const placeText = (place: Place): string => place.join('.')
