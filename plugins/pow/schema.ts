import * as v from 'valibot'

const yearSeconds = 31_536_000
const seconds = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(yearSeconds))

/** The table `[pow]` of the genesis. Optional keys stay out of it: the chain's id covers only what was written. */
export const parametersSchema = v.pipe(
  v.strictObject({
    /** Leading zero hex digits; the expected number of hashes is 16 to that power. */
    difficulty: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(13)), 4),
    /** Seconds between blocks to retarget to. Without it the difficulty never changes. */
    block_time: v.exactOptional(seconds),
    /** Seconds of delay after which the work is halved; 20 block times where it is not given. */
    half_life: v.exactOptional(seconds),
  }),
  v.check(
    ({ block_time, half_life }) => half_life === undefined || block_time !== undefined,
    'half_life: only a chain with a block_time retargets; give block_time too, or leave half_life out',
  ),
)
export type PowParameters = v.InferOutput<typeof parametersSchema>

/** The section `[pow]` of the config: what this node does, and nothing that others must agree on. */
export const configSchema = v.strictObject({
  mine: v.optional(v.boolean(), true),
  /** Seconds after the last block until one without transactions is made; 0 for never. */
  mine_empty_after: v.optional(v.pipe(v.number(), v.finite(), v.minValue(0)), 0),
  /** Workers that hash. */
  threads: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64)), 1),
})
export type PowConfig = v.InferOutput<typeof configSchema>
