// Retargeting after aserti3-2d ("ASERT", Bitcoin Cash specification of 2020-11-15, by Toomim, Culianu, Lundeberg and
// others): the same exponential in the same integer arithmetic, applied from one block to the next.
//
// The original is absolute: it compares the time since an anchor block with the time that so many blocks should have
// taken. A chain that is quiet when idle would owe thousands of blocks after a night without transactions, and the work
// would fall to its floor and stay there. Relative to the block before, a pause costs one bounded step.

/** All times in milliseconds. */
export interface Pace {
  readonly blockTime: number
  /** Being late by so much halves the work. */
  readonly halfLife: number
}

/** 16^13: sums of it stay exact where other programs read `work` as a double. */
export const workMax = 2 ** 52

/**
 * Work of a block whose parent had `work` and came `solveTime` milliseconds after the one before it (negative where
 * clocks disagree). Between 1 and `workMax`, and within a factor of 4 of `work`.
 */
export function retarget(work: number, solveTime: number, pace: Pace): number {
  const exponent = stepExponent(solveTime, pace)
  if (exponent === 0n) return work
  const whole = exponent >> 16n
  // work * 2^whole * factor / 2^16; the two extra bits keep the shift positive for whole = -2.
  const scaled = (BigInt(work) * factor(exponent & 0xffffn)) << (whole + 2n)
  const down = scaled >> 18n
  // Rounded away from `work`: otherwise a small work could never rise again, 1 * 1.03 being 1.
  const next = exponent < 0n || down << 18n === scaled ? down : down + 1n
  return Number(next < 1n ? 1n : next > BigInt(workMax) ? BigInt(workMax) : next)
}

/**
 * How far from its time a block is counted, in block times: 9 later than its own one makes the ten block times after
 * which a pause is idleness and not lack of hash power. The same bound holds below: an invented timestamp and the
 * honest one after it, which seems to go back, then cancel out.
 */
const deviationBlockTimesMax = 9n
/** log2 of the largest step, 16 fractional bits. */
const stepExponentMax = 2n << 16n

/** log2(next work / work) with 16 fractional bits. */
function stepExponent(solveTime: number, pace: Pace): bigint {
  const blockTime = BigInt(pace.blockTime)
  const early = between(blockTime - BigInt(solveTime), deviationBlockTimesMax * blockTime)
  return between((early << 16n) / BigInt(pace.halfLife), stepExponentMax)
}

const between = (value: bigint, bound: bigint): bigint => (value > bound ? bound : value < -bound ? -bound : value)

/** 2^(fraction / 2^16) * 2^16: the specification's cubic, wrong by less than 0.013 %, equal on every machine. */
const factor = (fraction: bigint): bigint =>
  65536n + ((195766423245049n * fraction + 971821376n * fraction ** 2n + 5127n * fraction ** 3n + 2n ** 47n) >> 48n)
