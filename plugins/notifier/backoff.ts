export interface Bounds {
  readonly millisecondsMin: number
  readonly millisecondsMax: number
}

/**
 * How long to wait after so many failures in a row, in milliseconds: twice as long each time, and of that a random part
 * between half and all, so that many nodes do not call at the same moment. `dice` gives random bytes.
 */
export function backOff(failures: number, bounds: Bounds, dice: (length: number) => Uint8Array): number {
  const { millisecondsMin, millisecondsMax } = bounds
  const whole = Math.min(millisecondsMax, millisecondsMin * 2 ** Math.min(failures - 1, doublingsMax))
  return whole * (0.5 + dice(1)[0]! / 510)
}

const doublingsMax = 40
