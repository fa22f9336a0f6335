import * as v from 'valibot'
import { accepted, definePlugin, refuse, type Consensus } from 'aurex'

export default definePlugin({
  name: 'instant',
  summary: 'a block at once, without proof: for development',
  provides: 'consensus',
  needs: [],
  config: v.strictObject({
    // On two nodes, they would make different blocks at the same height.
    produce: v.optional(v.pipe(v.boolean(), v.description('make blocks; off on all nodes but one')), true),
  }),
  setup: (context, config): Consensus => ({
    id: 'instant',
    futureMillisecondsMax: 15_000,

    prepare: (draft) => ({ ...draft, work: 1 }),

    verify(header) {
      if (header.work !== 1) return refuse('bad-work', `work: expected 1, got ${header.work}`)
      if (header.nonce !== 0) return refuse('bad-seal', `nonce: expected 0, got ${header.nonce}`)
      const unused = (['seal', 'certificate', 'signer_id'] as const).find((field) => header[field] !== undefined)
      if (unused !== undefined) return refuse('bad-block', `${unused}: instant has no such field`)
      return accepted
    },

    // Every block weighs the same, so the longest branch wins.
    weight: () => 1n,

    due(_ancestry, pending, now) {
      if (!config.produce) return { waitsFor: 'a block from others: produce is off' }
      return pending > 0 ? { when: now } : { waitsFor: 'a transaction' }
    },

    async seal(header, signal) {
      if (signal.aborted) return undefined
      context.log.debug('sealed', { index: header.index })
      return { nonce: 0 }
    },
  }),
})
