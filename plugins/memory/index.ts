import * as v from 'valibot'
import { definePlugin } from '../../core/index.ts'
import { MemoryLedger } from './ledger.ts'

export { MemoryLedger } from './ledger.ts'

export default definePlugin({
  name: 'memory',
  summary: 'a ledger that is gone when the node stops',
  provides: 'storage',
  needs: [],
  config: v.strictObject({}),
  setup: () => new MemoryLedger(),
})
