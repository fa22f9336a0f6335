import type { Hash } from '../../chain/canonical.ts'
import type { NodeId } from '../../chain/keys.ts'
import type { Limits } from '../../limits.ts'
import type { Log } from '../../log.ts'
import type { Clock } from '../../runtime.ts'
import { BoundedSet } from '../boundedset.ts'
import type { Peer } from '../peer.ts'
import type { Peers } from '../peers.ts'
import { Outlet, type Outgoing } from './outlet.ts'

/** Of one peer, so many messages at least are remembered that it has. */
const inventoryMin = 2_048
/**
 * The share of what a peer may send that is sent all the time, and the seconds of the limit that go at once: far below
 * what the other side allows, since a slow line delivers at once what was sent over seconds.
 */
const paceShare = 0.5
const burstSeconds = 1

interface Line {
  readonly outlet: Outlet
  readonly has: BoundedSet<Hash>
}

export interface LinesParts {
  readonly peers: Pick<Peers, 'full' | 'get'>
  readonly clock: Clock
  readonly limits: Pick<Limits, 'peer_channel_messages_per_second_max'>
  readonly log: Log
}

/** What plugins say to each peer, and which of it each is known to have. */
export class Lines {
  readonly #parts: LinesParts
  readonly #lines = new Map<Peer, Line>()

  constructor(parts: LinesParts) {
    this.#parts = parts
  }

  joined(peer: Peer): void {
    const { clock, limits, log } = this.#parts
    const perSecond = limits.peer_channel_messages_per_second_max
    const outlet = new Outlet({
      peer,
      clock,
      log,
      burstMessagesMax: Math.max(1, perSecond * burstSeconds),
      messagesPerSecondMax: Math.max(1, perSecond * paceShare),
    })
    this.#lines.set(peer, { outlet, has: new BoundedSet(inventoryMin) })
  }

  left(peer: Peer): void {
    this.#lines.get(peer)?.outlet.end()
    this.#lines.delete(peer)
  }

  end(): void {
    for (const peer of this.#lines.keys()) this.left(peer)
  }

  peer(nodeId: NodeId): Peer | undefined {
    return this.#parts.peers.get(nodeId)
  }

  /** Those that keep the chain. */
  full(): readonly Peer[] {
    return this.#parts.peers.full()
  }

  /** Nothing happens where the peer did not name this type among what it understands. */
  say(peer: Peer, outgoing: Outgoing): void {
    if (peer.facts.features.has(outgoing.message['type'] as string)) this.#lines.get(peer)?.outlet.send(outgoing)
  }

  has(peer: Peer, key: Hash): boolean {
    return this.#lines.get(peer)?.has.has(key) === true
  }

  nowHas(peer: Peer, key: Hash): void {
    this.#lines.get(peer)?.has.add(key)
  }
}
