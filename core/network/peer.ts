import type { Hash } from '../chain/canonical.ts'
import type { JsonObject } from '../chain/json.ts'
import type { NodeId, PublicKey } from '../chain/keys.ts'
import type { Refusal, Result } from '../errors.ts'
import type { Limits } from '../limits.ts'
import type { Connection } from '../plugin.ts'
import type { Clock } from '../runtime.ts'
import { BoundedSet } from './boundedset.ts'
import type { HostPort } from './hostport.ts'
import { MessageRate } from './rate.ts'
import { Requests } from './requests.ts'
import { isLightType } from './standing.ts'

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

/** Transactions and blocks of which it is remembered that one peer has them: so many at least, twice as many at most. */
const inventoryMin = 8_192

export interface PeerParts {
  readonly connection: Connection
  readonly facts: PeerFacts
  readonly clock: Clock
  readonly limits: Pick<Limits, 'peer_messages_per_second_max' | 'peer_channel_messages_per_second_max'>
  /** Ends the peer; `refusal.provable` also keeps it out for a while. */
  readonly drop: (peer: Peer, refusal: Refusal) => void
}

/** Another node with which a handshake was completed. */
export class Peer {
  readonly connection: Connection
  readonly facts: PeerFacts
  readonly requests: Requests
  readonly rate: MessageRate
  /** Of the messages of plugins' channels, which have a limit of their own. */
  readonly channelRate: MessageRate
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
  /** Monotonic milliseconds: when it last sent a message. */
  heardAt: number
  /** Code of the `ERROR` that was the last thing it said. */
  complaint: string | undefined
  readonly #parts: PeerParts
  readonly #inventory = new BoundedSet<Hash>(inventoryMin)

  constructor(parts: PeerParts) {
    this.#parts = parts
    this.connection = parts.connection
    this.facts = parts.facts
    this.requests = new Requests(parts.connection, parts.clock)
    const { peer_messages_per_second_max, peer_channel_messages_per_second_max } = parts.limits
    this.rate = new MessageRate(peer_messages_per_second_max, parts.clock)
    this.channelRate = new MessageRate(peer_channel_messages_per_second_max, parts.clock)
    this.since = this.heardAt = parts.clock.monotonic()
    this.height = parts.facts.height
  }

  /** Of the connection: what chain and mempool call the source of a thing. */
  get id(): string {
    return this.connection.id
  }

  get nodeId(): NodeId {
    return this.facts.nodeId
  }

  /** Whether it keeps no chain: nothing is announced or sent to it by itself, and it is asked for nothing. */
  get isLight(): boolean {
    return isLightType(this.facts.nodeType)
  }

  get outbound(): boolean {
    return this.connection.outbound
  }

  send(message: JsonObject): void {
    this.rate.sent(message)
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
    this.#inventory.add(hash)
  }

  /** It sent a message. */
  heard(): void {
    this.heardAt = this.#parts.clock.monotonic()
    this.complaint = undefined
  }

  /** Says why, closes, and keeps it out for a while where `refusal.provable`. */
  drop(refusal: Refusal): void {
    this.#parts.drop(this, refusal)
  }
}
