import { join, resolve } from 'node:path'
import * as v from 'valibot'
import { definePlugin } from '../../core/index.ts'
import { openLedger } from './ledger.ts'

export { openLedger } from './ledger.ts'
export type { Ledger, OpenOptions } from './ledger.ts'

export default definePlugin({
  name: 'sqlite',
  summary: 'the ledger in one SQLite file that anyone may read',
  provides: 'storage',
  needs: [],
  config: v.strictObject({
    // Relative to the working directory.
    path: v.exactOptional(
      v.pipe(
        v.string(),
        v.minLength(1),
        v.description("the ledger's file; node_{port}.sqlite3 in data_dir if not given"),
      ),
    ),
    readonly: v.optional(
      v.pipe(v.boolean(), v.description('look at a ledger without writing, even while its node runs')),
      false,
    ),
  }),
  setup(context, { path, readonly }) {
    const { dataDir, port } = context.node
    const ledger = openLedger(path === undefined ? join(dataDir, `node_${port}.sqlite3`) : resolve(path), { readonly })
    context.defer(() => ledger.close())
    context.log.info('ledger opened', { path: ledger.location, readonly })
    return ledger
  },
})
