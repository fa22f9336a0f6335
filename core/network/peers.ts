import type { NodeId } from '../chain/keys.ts'
import type { Connection } from '../plugin.ts'
import type { Peer } from './peer.ts'

export interface PeersParts {
  readonly joined: (peer: Peer) => void
  readonly left: (peer: Peer, reason: string) => void
}

/** The nodes that this one is connected with, each once. */
export class Peers {
  readonly #parts: PeersParts
  readonly #byNodeId = new Map<NodeId, Peer>()
  readonly #byConnection = new Map<Connection, Peer>()

  constructor(parts: PeersParts) {
    this.#parts = parts
  }

  get size(): number {
    return this.#byNodeId.size
  }

  all(): readonly Peer[] {
    return [...this.#byNodeId.values()]
  }

  /** Those that keep the chain. */
  full(): readonly Peer[] {
    return this.all().filter((peer) => !peer.isLight)
  }

  get(nodeId: NodeId): Peer | undefined {
    return this.#byNodeId.get(nodeId)
  }

  of(connection: Connection): Peer | undefined {
    return this.#byConnection.get(connection)
  }

  add(peer: Peer): void {
    this.#byNodeId.set(peer.nodeId, peer)
    this.#byConnection.set(peer.connection, peer)
    this.#parts.joined(peer)
  }

  /** `reason`: the code that ended it, or `disconnected`. */
  remove(peer: Peer, reason: string): void {
    if (!this.#byConnection.delete(peer.connection)) return
    this.#byNodeId.delete(peer.nodeId)
    peer.requests.end()
    this.#parts.left(peer, reason)
  }
}
