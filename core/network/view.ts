import type { Genesis } from '../chain/genesis.ts'
import type { NetworkView, PeerView } from '../plugin.ts'
import type { Network } from './network.ts'
import type { Peer } from './peer.ts'

/** The network as plugins see it: they are set up before there is one. */
export class PluginsView implements NetworkView {
  readonly #given: Genesis | undefined
  #network: Pick<Network, 'genesis' | 'peers'> | undefined

  /** `given`: by a genesis file, or that of this node's own chain. */
  constructor(given: Genesis | undefined) {
    this.#given = given
  }

  attach(network: Pick<Network, 'genesis' | 'peers'>): void {
    this.#network = network
  }

  genesis(): Genesis | undefined {
    return this.#network?.genesis() ?? this.#given
  }

  peers() {
    return (this.#network?.peers.all() ?? []).map(peerView)
  }
}

export const peerView = ({ nodeId, facts: { key, nodeType, listens } }: Peer): PeerView => ({
  nodeId,
  address: key.address,
  nodeType,
  listens,
})
