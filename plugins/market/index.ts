import * as v from 'valibot'
import { definePlugin } from '../../core/index.ts'
import { marketApplication } from './application.ts'
import { parametersSchema } from './schema.ts'

export default definePlugin({
  name: 'market',
  summary: 'accounts, assets and purchases',
  provides: 'application',
  needs: [],
  config: v.strictObject({}),
  parameters: parametersSchema,
  // Without a genesis there is no chain, and nothing to judge.
  setup: ({ genesis }, _config, parameters) => marketApplication(parameters, genesis?.rules.gateways ?? []),
})
