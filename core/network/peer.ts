import { LRUCache } from 'lru-cache'
import type { Hash } from '../chain/canonical.ts'
import type { JsonObject } from '../chain/json.ts'
import type { NodeId, PublicKey } from '../chain/keys.ts'
import type { Refusal, Result } from '../errors.ts'
import type { Connection } from '../plugin.ts'
import type { Clock } from '../runtime.ts'
import type { HostPort } from './hostport.ts'
import { Requests } from './requests.ts'

/** What a completed handshake proved of the other side, and what it said. */
export interface PeerFacts {
  readonly nodeId: NodeId
  readonly key: PublicKey
  readonly nodeType: string
  /** Where it can be dialled, as far as it said; not tested. */
  readonly listens: HostPort | undefined
  readonly height: number
  /** What it understands beyond the protocol's table, e.g. `compact_block`. */
  readonly features: ReadonlySet<string>
}

/** Transactions and blocks of which it is remembered that one peer has them. */
const inventoryMax = 8_192

export interface PeerParts {
  readonly connection: Connection
  readonly facts: PeerFacts
  readonly clock: Clock
  /** Ends the peer; `refusal.provable` also keeps it out for a while. */
  readonly drop: (peer: Peer, refusal: Refusal) => void
}

/** Another node with which a handshake was completed. */
export class Peer {
  readonly connection: Connection
  readonly facts: PeerFacts
  readonly requests: Requests
  /** Monotonic milliseconds. */
  readonly since: number
  /** The highest block that it was heard to have. A claim. */
  height: number
  /** Its clock less ours, milliseconds; undefined until it was measured. */
  clockOffset: number | undefined
  /** Round trip of the last ping, milliseconds. */
  roundTrip: number | undefined
  /** `NEW_TRANSACTION`s that we asked it for and that are still to come. */
  transactionsExpected = 0
  readonly #parts: PeerParts
  readonly #inventory = new LRUCache<Hash, true>({ max: inventoryMax })

  constructor(parts: PeerParts) {
    this.#parts = parts
    this.connection = parts.connection
    this.facts = parts.facts
    this.requests = new Requests(parts.connection, parts.clock)
    this.since = parts.clock.monotonic()
    this.height = parts.facts.height
  }

  /** Of the connection: what chain and mempool call the source of a thing. */
  get id(): string {
    return this.connection.id
  }

  get nodeId(): NodeId {
    return this.facts.nodeId
  }

  get outbound(): boolean {
    return this.connection.outbound
  }

  send(message: JsonObject): void {
    this.connection.send(message)
  }

  /** See `Requests.ask`. */
  ask(message: JsonObject, answerType: string, millisecondsMax: number): Promise<Result<JsonObject>> {
    return this.requests.ask(message, answerType, millisecondsMax)
  }

  /** Whether it is known to have a transaction or block: it sent it, announced it, or was sent it. */
  has(hash: Hash): boolean {
    return this.#inventory.has(hash)
  }

  nowHas(hash: Hash): void {
    this.#inventory.set(hash, true)
  }

  /** Says why, closes, and keeps it out for a while where `refusal.provable`. */
  drop(refusal: Refusal): void {
    this.#parts.drop(this, refusal)
  }
}
