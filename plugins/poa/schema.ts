import * as v from 'valibot'
import { publicKeyOf } from '../../core/index.ts'
import { authoritiesMax } from './seal.ts'

const yearSeconds = 31_536_000

const authorities = v.pipe(
  v.array(
    v.pipe(
      v.string(),
      v.check(
        (address) => publicKeyOf(address).ok,
        ({ input }) =>
          `expected the address of a proper key (64 lowercase hex digits, as aurex key show prints), got ${input}`,
      ),
    ),
  ),
  v.maxLength(authoritiesMax),
  v.check(
    (addresses) => new Set(addresses).size === addresses.length,
    ({ input }) => `expected each address once, got ${twiceIn(input)} twice`,
  ),
  v.description('addresses of the keys that make blocks from the start'),
)

const twiceIn = (addresses: readonly string[]): string =>
  addresses.find((address, at) => addresses.indexOf(address) !== at) ?? ''

/** The table `[poa]` of the genesis. */
export const parametersSchema = v.strictObject({
  authorities: v.optional(authorities, []),
  block_time: v.optional(
    v.pipe(
      v.number(),
      v.finite(),
      v.minValue(0.01),
      v.maxValue(yearSeconds),
      v.description('seconds from a block to the next, at least; decimals allowed'),
    ),
    1,
  ),
  epoch: v.optional(
    v.pipe(
      v.number(),
      v.safeInteger(),
      v.minValue(2),
      v.maxValue(100_000),
      v.description('blocks until votes expire and a block lists the authorities'),
    ),
    1_000,
  ),
})
export type PoaParameters = v.InferOutput<typeof parametersSchema>

/** The section `[poa]` of the config: what this node does, and nothing that others must agree on. */
export const configSchema = v.strictObject({
  produce: v.optional(
    v.pipe(v.boolean(), v.description('make blocks if it is an authority; if not, only check those of others')),
    true,
  ),
  heartbeat: v.optional(
    v.pipe(
      v.number(),
      v.finite(),
      v.minValue(0),
      v.maxValue(yearSeconds),
      v.description('seconds after the last block until an empty one is made; 0: never'),
    ),
    0,
  ),
  patience: v.optional(
    v.pipe(
      v.number(),
      v.safeInteger(),
      v.minValue(1),
      v.maxValue(60_000),
      v.description('milliseconds that each one out of turn waits longer'),
    ),
    500,
  ),
})
export type PoaConfig = v.InferOutput<typeof configSchema>
