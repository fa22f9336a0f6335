import * as v from 'valibot'
import { publicKeyOf } from '../../core/index.ts'

export const authoritiesMax = 100
export const checkpointEveryMax = 10_000

const address = v.pipe(
  v.string(),
  v.check((text) => publicKeyOf(text).ok, 'expected the address of a proper key: 64 lowercase hex digits'),
)

const count = (max: number, description: string) =>
  v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(max), v.description(description))

/** The table `[finality]` of the genesis. `halt_after` stays out where it was not written. */
export const parametersSchema = v.pipe(
  v.strictObject({
    authorities: v.pipe(
      v.array(address),
      v.minLength(1),
      v.maxLength(authoritiesMax),
      v.check((list) => new Set(list).size === list.length, 'an address is named twice; leave one of them out'),
      v.description('whose votes make blocks final, by their addresses'),
    ),
    checkpoint_every: v.optional(count(checkpointEveryMax, 'blocks from one that is voted for to the next'), 1),
    stall: v.optional(
      v.pipe(v.picklist(['continue', 'halt']), v.description('what the chain does while nothing becomes final')),
      'continue',
    ),
    halt_after: v.exactOptional(
      count(checkpointEveryMax, 'blocks that may stand above the last final one; only with stall "halt"'),
    ),
  }),
  v.check(
    ({ stall, halt_after }) => halt_after === undefined || stall === 'halt',
    'halt_after: only a chain with stall = "halt" stops; say that too, or leave halt_after out',
  ),
  v.check(
    ({ stall, halt_after = 100, checkpoint_every }) => stall !== 'halt' || halt_after >= checkpoint_every,
    'halt_after: expected at least checkpoint_every (halt_after is 100 if not given), or no checkpoint is ever reached',
  ),
)
export type FinalityParameters = v.InferOutput<typeof parametersSchema>

/** The section `[finality]` of the config: what this node does, and nothing that others must agree on. */
export const configSchema = v.strictObject({
  vote: v.optional(v.pipe(v.boolean(), v.description("vote, where this node's key is an authority's")), true),
  round_milliseconds: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(10),
      v.maxValue(60_000),
      v.description('without a quorum for so long, another block is voted for; then longer'),
    ),
    1_000,
  ),
})
