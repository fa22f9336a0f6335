import { join, resolve } from 'node:path'
import * as v from 'valibot'
import { definePlugin } from '../../core/index.ts'
import { openLedger } from './ledger.ts'

export { openLedger } from './ledger.ts'
export type { Ledger, OpenOptions } from './ledger.ts'

export default definePlugin({
  name: 'sqlite',
  summary: 'the ledger in one SQLite file that anyone may read while the node runs',
  provides: 'storage',
  needs: [],
  config: v.strictObject({
    /** Of the file; relative to the working directory. `node_{port}.sqlite3` in the data directory if not given. */
    path: v.exactOptional(v.pipe(v.string(), v.minLength(1))),
    /** Looks at a ledger without writing, even while its node runs. */
    readonly: v.optional(v.boolean(), false),
  }),
  setup(context, { path, readonly }) {
    const { dataDir, port } = context.node
    const ledger = openLedger(path === undefined ? join(dataDir, `node_${port}.sqlite3`) : resolve(path), { readonly })
    context.defer(() => ledger.close())
    context.log.info('ledger opened', { path: ledger.location, readonly })
    return ledger
  },
})
