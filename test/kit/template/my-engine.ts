// An engine of your own. The authorities that the genesis names take turns: the block of height 1 is the second one's, that
// of height 2 the third one's, and so on. While the one whose turn it is does not answer, all wait; the engine poa, which
// comes with aurex, shows how others step in. What every method is asked and answers stands in core/slots/consensus.ts.
import * as v from 'valibot'
import { accepted, addressList, definePlugin, producerOf, refuse, type Address, type Consensus } from 'aurex'

export default definePlugin({
  // What the genesis says in `consensus`, and every header with it.
  name: 'my-engine',
  summary: 'authorities that take turns',
  provides: 'consensus',
  needs: [],

  // This node's own affair: [my-engine] in its config, or --my-engine.produce=false.
  config: v.strictObject({
    produce: v.optional(v.pipe(v.boolean(), v.description("make blocks when it is this node's turn")), true),
  }),

  // What all nodes must agree on: [my-engine] in the genesis. The defaults are those of a chain for development.
  parameters: v.strictObject({
    authorities: v.optional(
      v.pipe(addressList, v.description('addresses, in the order of their turns; none: anybody makes blocks')),
      () => [],
    ),
  }),

  setup(context, config, { authorities }): Consensus {
    /** Whose turn it is; undefined: anybody's. */
    const whose = (height: number): Address | undefined => authorities[height % authorities.length]

    return {
      id: 'my-engine',

      // How far ahead of this node's clock a block may be. Core checks it, and that time goes forward.
      futureMillisecondsMax: 15_000,

      // Core has drafted a header; what is the engine's own in it is filled in here. Pure, like all that judges: no
      // clock, no dice, nothing remembered, or nodes would disagree for ever.
      prepare: (draft) => ({ ...draft, work: 1 }),

      // Whether a header keeps the rules. Core has found its hash, its signature and its place to be right. `refuse`:
      // whoever sent it is provably wrong, and is sent away. What the engine has no use for must be refused as well.
      verify(header) {
        if (header.work !== 1) return refuse('bad-work', `work: expected 1, got ${header.work}`)
        if (header.nonce !== 0) return refuse('bad-seal', `nonce: expected 0, got ${header.nonce}`)
        const unused = (['seal', 'certificate', 'signer_id'] as const).find((field) => header[field] !== undefined)
        if (unused !== undefined) return refuse('bad-block', `${unused}: this engine has no such field`)
        const producer = producerOf(header)
        const expected = whose(header.index) ?? producer
        if (producer === expected) return accepted
        return refuse('not-its-turn', `height ${header.index}: expected a block of ${expected}, got one of ${producer}`)
      },

      // The chain with the largest sum wins.
      weight: () => 1n,

      // Of what a key signs one block only: here of each height. Core keeps a durable record, so that not even a node
      // that was killed signs two, and makes evidence of it when another does.
      turn: (header) => [header.index],

      // Who may make the blocks that follow, for those who show it. Here from whoever is next.
      authorities: ({ parent }) => authorities.map((_address, at) => whose(parent.index + 1 + at)!),

      // When this node may make the next block, or what it waits for: `aurex why` says that. Asked again after every
      // new block and transaction.
      due({ parent }, pending, now) {
        if (!config.produce) return { waitsFor: 'a block of others: produce is off' }
        if (pending === 0) return { waitsFor: 'a transaction' }
        const next = whose(parent.index + 1)
        if (next === undefined || next === context.identity.address) return { when: now }
        return { waitsFor: `a block of ${next.slice(0, 8)}, whose turn it is` }
      },

      // The work that it takes, if any: undefined when `signal` was aborted first, since another block came.
      async seal(_header, signal) {
        return signal.aborted ? undefined : { nonce: 0 }
      },
    }
  },
})
