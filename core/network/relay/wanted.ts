import type { Hash } from '../../chain/canonical.ts'
import type { JsonObject } from '../../chain/json.ts'
import { decline } from '../../errors.ts'
import type { Clock, Timer } from '../../runtime.ts'
import type { Peer } from '../peer.ts'
import { hashesPerMessageMax } from './messages.ts'

/** Of one transaction, so many peers are remembered that could be asked for it. */
const announcersMax = 8
/** Asked of one peer and not come yet. */
const askedHashesMax = 2_000
/** A peer that was asked and sends nothing for so long is slow: others are asked. */
const quietMilliseconds = 2_000
/** However much else it sends, this one transaction does not come. */
const askedMillisecondsMax = 30_000
/** What a peer announced and did not send; beyond that it is dropped. */
const undeliveredMax = 2_000
/** `NEW_TRANSACTION`s of one peer that count as asked for. What does not come stays owed: it may come late. */
const expectedMax = 10_000
/** A transaction that did come makes up for so many that did not. */
const forgivenPerDelivery = 10

export interface WantedParts {
  readonly clock: Clock
  /** Announced, and not here yet, in all. */
  readonly hashesMax: number
  /** There is something to ask a peer for. */
  readonly wake: (peer: Peer) => void
}

interface Wish {
  /** Whose turn it is: it is asked, or will be. */
  asked: Peer
  /** Who announced it as well, in their order. */
  readonly others: Peer[]
}

interface Supplier {
  /** To be asked for, in order. */
  readonly queue: Set<Hash>
  /** Asked for, with when, in monotonic milliseconds; oldest first. */
  readonly asked: Map<Hash, number>
  /** When it last sent a transaction, or was asked after a quiet time. */
  heardAt: number
  undelivered: number
  timer: Timer | undefined
}

/**
 * Transactions that peers announced and that are not here. Each is asked of one peer at a time; when that one does not
 * send it, the next that announced it is asked.
 */
export class Wanted {
  readonly #parts: WantedParts
  readonly #wishes = new Map<Hash, Wish>()
  readonly #suppliers = new Map<Peer, Supplier>()

  constructor(parts: WantedParts) {
    this.#parts = parts
  }

  get size(): number {
    return this.#wishes.size
  }

  add(peer: Peer): void {
    const heardAt = this.#parts.clock.monotonic()
    this.#suppliers.set(peer, { queue: new Set(), asked: new Map(), heardAt, undelivered: 0, timer: undefined })
  }

  /** A peer is gone: what it owed is asked of others. */
  remove(peer: Peer): void {
    const supplier = this.#suppliers.get(peer)
    if (supplier === undefined) return
    supplier.timer?.cancel()
    this.#suppliers.delete(peer)
    for (const hash of [...supplier.asked.keys(), ...supplier.queue]) this.#passOn(hash)
  }

  /** A peer says that it has a transaction that is not here. */
  announced(peer: Peer, hash: Hash): void {
    const wish = this.#wishes.get(hash)
    if (wish !== undefined) {
      const isNew = wish.asked !== peer && !wish.others.includes(peer)
      if (isNew && wish.others.length < announcersMax) wish.others.push(peer)
    } else if (this.#hasRoom(peer)) {
      this.#wishes.set(hash, { asked: peer, others: [] })
      this.#suppliers.get(peer)!.queue.add(hash)
      this.#parts.wake(peer)
    }
  }

  /** What to ask a peer for now; undefined when there is nothing, or enough was asked of it. */
  next(peer: Peer): JsonObject | undefined {
    const supplier = this.#suppliers.get(peer)
    if (supplier === undefined || supplier.queue.size === 0) return undefined
    const count = Math.min(hashesPerMessageMax, askedHashesMax - supplier.asked.size)
    if (count <= 0) return undefined
    const hashes = [...supplier.queue.values().take(count)]
    const now = this.#parts.clock.monotonic()
    if (supplier.asked.size === 0) supplier.heardAt = now
    for (const hash of hashes) {
      supplier.queue.delete(hash)
      supplier.asked.set(hash, now)
    }
    peer.transactionsExpected = Math.min(expectedMax, peer.transactionsExpected + hashes.length)
    this.#watch(peer, supplier)
    return { type: 'tx_request', hashes }
  }

  /** A peer sent a transaction, whichever it is. */
  heard(peer: Peer): void {
    const supplier = this.#suppliers.get(peer)
    if (supplier === undefined) return
    supplier.heardAt = this.#parts.clock.monotonic()
    supplier.undelivered = Math.max(0, supplier.undelivered - forgivenPerDelivery)
  }

  /** Not wanted any more: it is here, or it is of no use to ask others for it. */
  settled(hash: Hash): void {
    const wish = this.#wishes.get(hash)
    if (wish === undefined) return
    this.#wishes.delete(hash)
    this.#release(wish.asked, hash)
  }

  end(): void {
    for (const { timer } of this.#suppliers.values()) timer?.cancel()
  }

  /** As in the mempool: one peer may hold as much as it leaves free, so that there is room for another's. */
  #hasRoom(peer: Peer): boolean {
    const supplier = this.#suppliers.get(peer)
    if (supplier === undefined) return false
    return supplier.queue.size + supplier.asked.size < this.#parts.hashesMax - this.#wishes.size
  }

  #release(peer: Peer, hash: Hash): void {
    const supplier = this.#suppliers.get(peer)
    if (supplier === undefined) return
    supplier.queue.delete(hash)
    const wasFull = supplier.asked.size >= askedHashesMax
    if (supplier.asked.delete(hash) && wasFull) this.#parts.wake(peer)
  }

  #passOn(hash: Hash): void {
    const wish = this.#wishes.get(hash)
    if (wish === undefined) return
    for (let next = wish.others.shift(); next !== undefined; next = wish.others.shift()) {
      const supplier = this.#suppliers.get(next)
      if (supplier === undefined) continue
      wish.asked = next
      supplier.queue.add(hash)
      this.#parts.wake(next)
      return
    }
    this.#wishes.delete(hash)
  }

  #watch(peer: Peer, supplier: Supplier): void {
    const [oldestAt] = supplier.asked.values()
    if (supplier.timer !== undefined || oldestAt === undefined) return
    const { clock } = this.#parts
    const wait = Math.max(supplier.heardAt, oldestAt) + quietMilliseconds - clock.monotonic()
    supplier.timer = clock.after(wait, () => {
      supplier.timer = undefined
      this.#look(peer, supplier)
    })
  }

  #look(peer: Peer, supplier: Supplier): void {
    const now = this.#parts.clock.monotonic()
    const isQuiet = now - supplier.heardAt >= quietMilliseconds
    // While it sends, the rest of what it was asked for is on its way: a thousand of them take a slow line a while.
    const patience = isQuiet ? quietMilliseconds : askedMillisecondsMax
    const late = [...supplier.asked].filter(([, at]) => now - at >= patience).map(([hash]) => hash)
    for (const hash of late) {
      supplier.asked.delete(hash)
      this.#passOn(hash)
    }
    supplier.undelivered += late.length
    this.#watch(peer, supplier)
    if (supplier.queue.size > 0) this.#parts.wake(peer)
    if (supplier.undelivered <= undeliveredMax) return
    peer.drop(decline('announced-not-sent', `${supplier.undelivered} transactions were announced and not sent`))
  }
}
