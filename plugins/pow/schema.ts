import * as v from 'valibot'

const yearSeconds = 31_536_000
const seconds = (description: string) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(yearSeconds), v.description(description))
const difficultyText = 'leading zero hex digits of a hash: 16 to that power are expected'

/** The table `[pow]` of the genesis. Optional keys stay out of it: the chain's id covers only what was written. */
export const parametersSchema = v.pipe(
  v.strictObject({
    difficulty: v.optional(
      v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(13), v.description(difficultyText)),
      4,
    ),
    block_time: v.exactOptional(
      seconds('seconds between blocks to retarget to; without it the difficulty is constant'),
    ),
    half_life: v.exactOptional(seconds('seconds of delay that halve the work; 20 block times if not given')),
  }),
  v.check(
    ({ block_time, half_life }) => half_life === undefined || block_time !== undefined,
    'half_life: only a chain with a block_time retargets; give block_time too, or leave half_life out',
  ),
)
export type PowParameters = v.InferOutput<typeof parametersSchema>

/** The section `[pow]` of the config: what this node does, and nothing that others must agree on. */
export const configSchema = v.strictObject({
  mine: v.optional(v.pipe(v.boolean(), v.description('look for blocks; if not, only check those of others')), true),
  mine_empty_after: v.optional(
    v.pipe(
      v.number(),
      v.finite(),
      v.minValue(0),
      v.description('seconds after the last block until an empty one is made; 0: never'),
    ),
    0,
  ),
  threads: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64), v.description('workers that hash')),
    1,
  ),
})
export type PowConfig = v.InferOutput<typeof configSchema>
