import type { JsonObject } from '../chain/json.ts'
import { finalityFields } from './finalityfields.ts'
import { plain } from './messages.ts'
import type { Catchup, ModuleParts } from './module.ts'
import { lightNodeType } from './standing.ts'

export interface NodeStatusParts extends ModuleParts {
  readonly catchup: Pick<Catchup, 'running' | 'progress'>
}

/** How this node fares, with all that its plugins contribute. */
export function nodeStatus(parts: NodeStatusParts): JsonObject {
  const { chain, finality, known, identity, node, peers, catchup, contributed } = parts
  const head = chain?.head().header
  const chainId = known.value?.rules.chainId
  const { metrics, faults } = contributed?.figures() ?? { metrics: [], faults: [] }
  const health = [...(contributed?.findings() ?? []), ...faults]
  return {
    type: 'node_status',
    node_id: identity.nodeId,
    node_type: chain === undefined ? lightNodeType : 'full',
    version: node.version,
    name: node.name,
    ...(chainId === undefined ? {} : { chain_id: chainId }),
    ...(chain === undefined || head === undefined
      ? {}
      : {
          height: head.index,
          head: head.current_hash,
          pending: chain.pendingCount(),
          ...finalityFields({ chain, finality }),
        }),
    peers: peers.size,
    syncing: catchup.running,
    metrics: metrics.map(({ name, labels, value }) => ({ name, labels: { ...labels }, value })),
    health: health.map(({ name, status, output }) => ({ name, status, output: plain(output) })),
  }
}
