import type { Hash } from '../../chain/canonical.ts'
import type { JsonObject } from '../../chain/json.ts'
import type { Clock } from '../../runtime.ts'
import type { NetworkChain } from '../module.ts'
import type { Peer } from '../peer.ts'
import { hashesPerMessageMax } from './messages.ts'

/** Hashes that wait to be announced to one peer. What finds no room is announced again later (see `again`). */
const waitingHashesMax = 20_000
/** Hashes of which it is remembered for one peer that they were announced just now. */
const underWayHashesMax = 10_000
/** After so long a peer that did not ask for a transaction most likely has it from somebody else. */
const underWayMilliseconds = 500

interface Waiting {
  /** To be announced. `true`: although the peer has it, as far as is known. */
  readonly hashes: Map<Hash, boolean>
  /** Announced, and not yet asked for; with when, in monotonic milliseconds. Oldest first. */
  readonly underWay: Map<Hash, number>
}

/** What is announced to each peer: each transaction once, and only to those that are not known to have it. */
export class Announcements {
  readonly #chain: Pick<NetworkChain, 'pending'>
  readonly #clock: Clock
  readonly #peers = new Map<Peer, Waiting>()

  constructor(chain: Pick<NetworkChain, 'pending'>, clock: Clock) {
    this.#chain = chain
    this.#clock = clock
  }

  add(peer: Peer): void {
    this.#peers.set(peer, { hashes: new Map(), underWay: new Map() })
  }

  remove(peer: Peer): void {
    this.#peers.delete(peer)
  }

  /** To be announced to a peer, unless it turns out to have it first. */
  note(peer: Peer, hash: Hash): void {
    this.#note(peer, hash, false)
  }

  /** To be announced to a peer whatever it is believed to have: it may have lost it. */
  again(peer: Peer, hash: Hash): void {
    this.#note(peer, hash, true)
  }

  /** The next message for a peer; undefined when there is nothing to announce. */
  next(peer: Peer): JsonObject | undefined {
    const waiting = this.#peers.get(peer)
    if (waiting === undefined) return undefined
    const hashes: Hash[] = []
    for (const [hash, again] of waiting.hashes) {
      if (hashes.length === hashesPerMessageMax) break
      waiting.hashes.delete(hash)
      if (this.#chain.pending(hash) === undefined || (!again && peer.has(hash))) continue
      if (!peer.has(hash)) this.#announced(peer, waiting, hash)
      hashes.push(hash)
    }
    return hashes.length === 0 ? undefined : { type: 'tx_announce', hashes }
  }

  /** The peer was sent a transaction for which it had asked. */
  delivered(peer: Peer, hash: Hash): void {
    peer.nowHas(hash)
    this.#peers.get(peer)?.underWay.delete(hash)
  }

  /** Whether a peer most likely holds a transaction by now: one that was only just announced is still on its way to it. */
  arrived(peer: Peer, hash: Hash): boolean {
    if (!peer.has(hash)) return false
    const at = this.#peers.get(peer)?.underWay.get(hash)
    return at === undefined || this.#clock.monotonic() - at > underWayMilliseconds
  }

  #note(peer: Peer, hash: Hash, again: boolean): void {
    const hashes = this.#peers.get(peer)?.hashes
    if (hashes !== undefined && hashes.size < waitingHashesMax) hashes.set(hash, again)
  }

  #announced(peer: Peer, { underWay }: Waiting, hash: Hash): void {
    peer.nowHas(hash)
    const now = this.#clock.monotonic()
    underWay.set(hash, now)
    for (const [oldest, at] of underWay) {
      if (underWay.size <= underWayHashesMax && now - at <= underWayMilliseconds) return
      underWay.delete(oldest)
    }
  }
}
