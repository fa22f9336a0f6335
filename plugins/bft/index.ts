import * as v from 'valibot'
import { addressList, definePlugin } from '../../core/index.ts'
import { Bft } from './engine.ts'

const seconds = (least: number, what: string) =>
  v.pipe(v.number(), v.minValue(least), v.maxValue(86_400), v.description(`seconds ${what}; decimals allowed`))

const parameters = v.strictObject({
  authorities: v.optional(v.pipe(addressList, v.description('addresses of the keys that agree on blocks')), []),
  block_time: v.optional(seconds(0, 'from a block to the next, at least'), 0.1),
  timeout: v.optional(seconds(0.05, 'that a step of a first round takes, at most'), 1),
})
export type Parameters = v.InferOutput<typeof parameters>

export default definePlugin({
  name: 'bft',
  summary: 'authorities agree by votes; blocks are final at once',
  provides: 'consensus',
  needs: ['storage'],
  config: v.strictObject({}),
  parameters,
  setup: (context, _config, table) => new Bft(context, table),
})
