import { LRUCache } from 'lru-cache'
import type { NetworkView, NodeId, PublicKey, Storage } from '../../core/index.ts'

/** Nodes that were peers and may be remembered no longer than so many others. */
const rememberedMax = 10_000

export interface SignersParts {
  /** Node ids or addresses that the operator named. */
  readonly confirmers: readonly string[]
  readonly network: Pick<NetworkView, 'peers'>
  /** Its table `nodes` has those with which a handshake succeeded before this start. */
  readonly storage: Pick<Storage, 'nodes'> | undefined
}

/** Whose confirmations count: nodes with which this gateway has shaken hands, and those that its config names. */
export class Signers {
  readonly #named: ReadonlySet<string>
  readonly #network: Pick<NetworkView, 'peers'>
  readonly #met = new LRUCache<NodeId, true>({ max: rememberedMax })

  constructor({ confirmers, network, storage }: SignersParts) {
    this.#named = new Set(confirmers)
    this.#network = network
    for (const { node_id, status } of storage?.nodes() ?? []) if (status !== 'banned') this.meet(node_id)
  }

  /** A handshake with it succeeded. */
  meet(nodeId: NodeId): void {
    this.#met.set(nodeId, true)
  }

  /** It was banned: what was true of it before does not count any more. */
  forget(nodeId: NodeId): void {
    this.#met.delete(nodeId)
  }

  knows(nodeId: NodeId, key: PublicKey): boolean {
    if (this.#named.has(nodeId) || this.#named.has(key.address)) return true
    return this.#met.has(nodeId) || this.#network.peers().some((peer) => peer.nodeId === nodeId)
  }
}
