import type { Hash } from '../../chain/canonical.ts'
import type { JsonObject } from '../../chain/json.ts'
import type { PoolEntry } from '../../chain/mempool.ts'
import { readTransaction, type Transaction } from '../../chain/transaction.ts'
import type { Result } from '../../errors.ts'
import type { Admission, Connection, Recorded, TransactionStatus } from '../../plugin.ts'
import type { Timer } from '../../runtime.ts'
import { requestIdOf } from '../messages.ts'
import type { ModuleParts, NetworkChain, Sender } from '../module.ts'
import type { Peer } from '../peer.ts'
import type { Answer } from '../session.ts'
import { Allowance } from './allowance.ts'
import { Announcements } from './announcements.ts'
import { hashesPerMessageMax } from './messages.ts'
import type { Recent } from './recent.ts'
import { Serving } from './serving.ts'
import { Talk } from './talk.ts'
import { Wanted } from './wanted.ts'

/** What is pending for so long is announced again: the only node that announced it may have been cut off. */
const againMilliseconds = 30_000
/** Transactions that one connection may have looked up in the ledger at once, and in a second. */
const lookupsMax = 10_000
const lookupsPerSecondMax = 5_000

export interface TransactionRelayParts extends ModuleParts {
  readonly chain: NetworkChain
  readonly recent: Recent
}

interface Line {
  readonly talk: Talk
  readonly lookups: Allowance
}

/**
 * Spreads transactions: what was admitted here is announced by its hash to the peers that do not have it, and what they
 * announce is asked for once. Only what the chain found valid counts as known, so that an invalid variant from one peer
 * does not keep the good one of another out.
 */
export class TransactionRelay {
  readonly #parts: TransactionRelayParts
  readonly #announcements: Announcements
  readonly #wanted: Wanted
  readonly #lines = new Map<Peer, Line>()
  readonly #servings = new Map<Connection, Serving>()
  /** Signatures of these are being checked. */
  readonly #submissions = new Set<Promise<unknown>>()
  #fresh: PoolEntry[] = []
  #timer: Timer | undefined

  constructor(parts: TransactionRelayParts) {
    const { clock } = parts.runtime
    this.#parts = parts
    this.#announcements = new Announcements(parts.chain, clock)
    this.#wanted = new Wanted({
      clock,
      hashesMax: 2 * parts.limits.mempool_transactions_max,
      wake: (peer) => this.#lines.get(peer)?.talk.wake(),
    })
  }

  start(): void {
    this.#timer = this.#parts.runtime.clock.after(againMilliseconds, () => {
      this.#announceAgain()
      this.start()
    })
  }

  stop(): void {
    this.#timer?.cancel()
    this.#wanted.end()
    for (const { talk } of this.#lines.values()) talk.end()
    for (const serving of this.#servings.values()) serving.end()
  }

  /** Both sides announce what is pending, so that mempools agree. */
  joined(peer: Peer): void {
    const { clock } = this.#parts.runtime
    const kinds = [() => this.#wanted.next(peer), () => this.#announcements.next(peer)]
    const line = { talk: new Talk(peer, clock, kinds), lookups: new Allowance(lookupsMax, lookupsPerSecondMax, clock) }
    this.#lines.set(peer, line)
    this.#announcements.add(peer)
    this.#wanted.add(peer)
    for (const hash of this.#parts.chain.pendingHashes()) this.#announcements.note(peer, hash)
    line.talk.wake()
  }

  left(peer: Peer): void {
    this.#lines.get(peer)?.talk.end()
    this.#lines.delete(peer)
    this.#announcements.remove(peer)
    this.#wanted.remove(peer)
  }

  closed(connection: Connection): void {
    this.#servings.get(connection)?.end()
    this.#servings.delete(connection)
  }

  /** From the writer: takes note, and works in a turn of its own. */
  admitted(entries: readonly PoolEntry[]): void {
    if (entries.length === 0) return
    if (this.#fresh.length === 0) this.#parts.runtime.clock.soon(() => this.#spread())
    this.#fresh.push(...entries)
  }

  recorded(hash: Hash): void {
    this.#wanted.settled(hash)
  }

  /** Whether a peer most likely holds a transaction by now. */
  arrived(peer: Peer, hash: Hash): boolean {
    return this.#announcements.arrived(peer, hash)
  }

  /** Resolves when the transactions whose signatures are being checked now are pending, or refused. */
  async submitted(): Promise<void> {
    await Promise.allSettled(this.#submissions)
  }

  // ---- messages ----

  announced(peer: Peer, hashes: readonly Hash[]): void {
    for (const hash of hashes) {
      peer.nowHas(hash)
      if (!this.#isKnown(peer, hash)) this.#wanted.announced(peer, hash)
    }
  }

  asked({ connection, peer }: Sender, hashes: readonly Hash[]): void {
    const serving = this.#servings.get(connection) ?? this.#serve(connection, peer)
    serving.ask(hashes)
  }

  /** One that was asked for is taken in silence; any other is answered as a client's. */
  async take(message: JsonObject, { connection, peer }: Sender): Promise<Answer> {
    const isAsked = peer !== undefined && peer.transactionsExpected > 0 && requestIdOf(message) === undefined
    if (isAsked) peer.transactionsExpected--
    if (peer !== undefined) this.#wanted.heard(peer)
    const result = await this.#submit(message, connection)
    if (peer !== undefined) this.#judged(peer, message, result)
    if (isAsked) return result.ok || !result.provable ? undefined : { refusal: result }
    return result.ok ? this.#answer(result.value) : { refusal: result }
  }

  async #submit(message: JsonObject, connection: Connection): Promise<Result<Admission>> {
    const submission = this.#parts.chain.submitTransaction(message, connection.id)
    this.#submissions.add(submission)
    try {
      return await submission
    } finally {
      this.#submissions.delete(submission)
    }
  }

  #judged(peer: Peer, message: JsonObject, result: Result<Admission>): void {
    if (result.ok) {
      peer.nowHas(result.value.hash)
      this.#wanted.settled(result.value.hash)
    } else if (!result.provable) {
      this.#noRoom(message)
    }
    // A peer that sent what does not hold is about to be dropped, and what it owed is asked of others.
  }

  /** Whoever sends it, it is not taken now; it is announced again. */
  #noRoom(message: JsonObject): void {
    const read = readTransaction(message, this.#parts.chain.genesis.rules)
    if (read.ok) this.#wanted.settled(read.value.hash)
  }

  #answer(admission: Admission): Answer {
    const { chain, identity } = this.#parts
    const { hash } = admission
    const message = whatBecameOf(chain, admission)
    return { message: { type: 'MINING_STARTED', miner: identity.nodeId, message, tx_hash: hash } }
  }

  // ---- spreading ----

  #spread(): void {
    const entries = this.#fresh
    this.#fresh = []
    for (const { read } of entries) this.#wanted.settled(read.hash)
    for (const [peer, { talk }] of this.#lines) {
      for (const { read, source, returned } of entries) {
        if (source === peer.id) peer.nowHas(read.hash)
        // A peer may have it in a block beside its chain alone, and then nobody would record it.
        else if (returned === true) this.#announcements.again(peer, read.hash)
        else if (!peer.has(read.hash)) this.#announcements.note(peer, read.hash)
      }
      talk.speak()
    }
  }

  #announceAgain(): void {
    const hashes = this.#parts.chain.pendingOlderThan(againMilliseconds, hashesPerMessageMax)
    if (hashes.length === 0) return
    for (const [peer, { talk }] of this.#lines) {
      for (const hash of hashes) this.#announcements.again(peer, hash)
      talk.wake()
    }
  }

  #isKnown(peer: Peer, hash: Hash): boolean {
    const { chain, recent } = this.#parts
    if (chain.pending(hash) !== undefined || recent.has(hash)) return true
    // Looking in the ledger costs more than announcing does: who announces too much is not heard.
    return this.#lines.get(peer)?.lookups.take() !== true || isHere(chain.status(hash))
  }

  #serve(connection: Connection, peer: Peer | undefined): Serving {
    const { chain, runtime } = this.#parts
    const lookups = new Allowance(lookupsMax, lookupsPerSecondMax, runtime.clock)
    const find = (hash: Hash): Transaction | undefined =>
      chain.pending(hash) ?? (lookups.take() ? chain.transaction(hash)?.transaction : undefined)
    const sent = (hash: Hash): void => {
      if (peer === undefined) return
      peer.rate.sent({ type: 'NEW_TRANSACTION' })
      this.#announcements.delivered(peer, hash)
    }
    const serving = new Serving({ connection, clock: runtime.clock, find, sent })
    this.#servings.set(connection, serving)
    return serving
  }
}

/** Of one that was refused meanwhile, another branch may think otherwise. */
const isHere = (status: TransactionStatus): boolean =>
  status.status === 'orphaned' ? status.refusal === undefined : status.status !== 'unknown'

function whatBecameOf(chain: NetworkChain, { status, hash }: Admission): string {
  const now = chain.status(hash)
  if (status !== 'admitted') return isRecorded(now) ? `already in block ${now.blockIndex}` : 'already pending'
  const due = chain.due()
  if ('when' in due || isRecorded(now)) return 'Mining started'
  return `Kept until a block records it; this node waits for ${due.waitsFor}`
}

const isRecorded = (status: TransactionStatus): status is Recorded => 'blockIndex' in status
