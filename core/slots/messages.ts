import type { Genesis } from '../chain/genesis.ts'
import type { JsonObject } from '../chain/json.ts'
import type { Address, NodeId } from '../chain/keys.ts'
import type { Result } from '../errors.ts'

/** Says messages of one type to peers. */
export interface Channel<M> {
  /** To every peer that keeps the chain and has such a channel, as often as it is said. Throws `bad-message`. */
  broadcast(message: M): void
  /** Does nothing where there is no such peer, or it has no such channel. Throws `bad-message`. */
  send(to: NodeId, message: M): void
}

export interface ChannelOptions {
  /**
   * Core passes on what `hear` accepted: to each peer once, never back to who said it; and gives it the same again only
   * when it has long forgotten it (decline what you know). What the schema makes of a message is compared and passed on, so
   * it may leave fields out, but transform none. Off: `hear` sees to it.
   */
  readonly gossip?: boolean
}

/** Answers a question that anybody may ask on this node's ports. */
export interface Answering<M> {
  /** Only who asks from the machine of the node itself is answered. */
  readonly loopbackOnly?: boolean
  answer(message: M): Result<JsonObject> | Promise<Result<JsonObject>>
}

/** Another node with which this one has shaken hands. */
export interface PeerView {
  readonly nodeId: NodeId
  readonly address: Address
  /** What it says that it is: `full`, `gateway`. */
  readonly nodeType: string
  /** Where it listens, for peers and clients alike; undefined where it does not. */
  readonly listens: { readonly host: string; readonly port: number } | undefined
}

export interface NetworkView {
  /**
   * The rules of the chain that the network is on. On a node without a chain of its own they are those of a genesis file,
   * or are learnt from the peers that the operator named; undefined until then.
   */
  genesis(): Genesis | undefined
  /** The peers of this moment. */
  peers(): readonly PeerView[]
}
