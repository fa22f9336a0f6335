import type { NodeId } from '../chain/keys.ts'
import type { Consensus, Storage } from '../plugin.ts'
import type { Signing } from './signing.ts'

/** How far back a start looks for a block of this node's own. */
const headersMax = 1_000

export interface RecordCheckParts {
  readonly signing: Pick<Signing, 'metBlock'>
  readonly storage: Pick<Storage, 'head' | 'headerAt'>
  readonly consensus: Pick<Consensus, 'turn'>
  /** This node's own. */
  readonly nodeId: NodeId
}

/**
 * Whether the record of what is signed knows of the newest block of this node's own that the ledger holds: a record that is
 * older than its chain was not written by who signed the chain. Once, before anything is signed.
 */
export function checkRecord({ signing, storage, consensus, nodeId }: RecordCheckParts): void {
  if (consensus.turn === undefined) return
  const { header: head } = storage.head()
  for (let index = head.index; index > Math.max(0, head.index - headersMax); index--) {
    const header = storage.headerAt(index)?.header
    if (header?.miner_id !== nodeId) continue
    signing.metBlock(consensus.turn(header), header.current_hash)
    return
  }
}
