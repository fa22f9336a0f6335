import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { ChainDoor, FinalityDoor } from '../plugin.ts'
import type { SealedHeader } from './block.ts'
import type { Chain } from './chain.ts'

type Hear = (header: SealedHeader) => void

/** The chain, for an engine whose nodes agree on a block before it is recorded. */
export const chainDoor = (chain: Chain, log: Log): ChainDoor => ({
  head: () => chain.head(),
  ancestry: () => chain.ancestors.of(chain.head().header),
  pendingCount: () => chain.pendingCount(),
  examine: (block) => chain.examine(block),
  submit: (block) => chain.submitBlock(block),
  changed: () => chain.changed(),
  onHead: (hear) => chain.watch({ moved: ({ head }) => guarded(log, hear, head) }),
})

/** The chain, for whoever says what is final. */
export const finalityDoor = (chain: Chain, log: Log): FinalityDoor => ({
  head: () => chain.head(),
  headerAt: (index) => chain.headerAt(index),
  header: (hash) => chain.header(hash),
  ancestry: (hash) => {
    const stored = chain.header(hash)
    return stored && chain.ancestors.of(stored.header)
  },
  changed: () => chain.reconsider(),
  fetch: (checkpoint, from) => chain.fetch(checkpoint, from),
  onBlock: (hear) => chain.watch({ taken: (header) => guarded(log, hear, header) }),
  onHead: (hear) => chain.watch({ moved: ({ head }) => guarded(log, hear, head) }),
})

/** They are called by the writer: what a plugin does wrong must not keep a block from being told to the others. */
function guarded(log: Log, hear: Hear, header: SealedHeader): void {
  try {
    hear(header)
  } catch (error) {
    log.error('a plugin failed to hear of a block', { index: header.index, why: messageOf(error) })
  }
}
