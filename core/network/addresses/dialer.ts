import type { NodeId } from '../../chain/keys.ts'
import { decline, type Result } from '../../errors.ts'
import type { Timer } from '../../runtime.ts'
import type { HostPort } from '../hostport.ts'
import type { Dialling, ModuleParts } from '../module.ts'
import type { Peer, PeerFacts } from '../peer.ts'
import { backOff } from './backoff.ts'
import type { Entry } from './book.ts'
import { Budget } from './budget.ts'
import { jitter } from './chance.ts'
import { Choice, type ChoiceParts } from './choice.ts'
import type { Attempt } from './configured.ts'
import { Outcomes } from './outcomes.ts'

export interface DialerParts extends ChoiceParts, Pick<ModuleParts, 'limits' | 'log'>, Dialling {
  /** Asks a node that has no place for this one whom it knows. */
  readonly inquire: (at: HostPort) => void
}

const dialsAtOnceMax = 4
/** Nobody waits longer for the next look at whom to dial, and there are no more looks than this. */
const lookMilliseconds = 10_000
const lookMillisecondsMin = 250
/** Candidates cost whoever names them nothing: so many dials at once, and then one in so long. */
const candidateDialsMax = 16
const candidateDialMilliseconds = 2_000
/**
 * Now and then, also while all places are taken, somebody else is visited: it shows whether an address is good, and what
 * is going on where none of our peers is (feelers, in the paper that book.ts names). Peers that were lost are tried sooner.
 */
const visitMilliseconds = 60_000
const firstVisitMilliseconds = 15_000
const betweenVisitsMilliseconds = 120_000
const betweenReunionsMilliseconds = 10_000
/** A peer that stayed shorter than this is dialled again like one that was not reached. */
const stayMilliseconds = 15_000
const retryMilliseconds = 5 * 60_000

/** Keeps the places for peers that this node looks for filled. */
export class Dialer {
  readonly #parts: DialerParts
  readonly #choice: Choice
  readonly #outcomes: Outcomes
  readonly #budget: Budget
  #running = false
  #timer: Timer | undefined
  #configuredDials = 0
  #visitDueAt: number
  #reunionDueAt = 0
  /** Who is visited, and until when (monotonic milliseconds). */
  #visit: { readonly nodeId: NodeId; readonly endsAt: number } | undefined

  constructor(parts: DialerParts) {
    this.#parts = parts
    this.#choice = new Choice(parts)
    this.#outcomes = new Outcomes({ ...parts, full: (at) => this.#full(at) }, (to) => this.#choice.isOwn(to))
    this.#budget = new Budget(parts.runtime.clock, candidateDialsMax, candidateDialMilliseconds)
    this.#visitDueAt = this.#now() + jitter(parts.runtime, firstVisitMilliseconds)
  }

  /** Whether this node has all the peers that it looks for. */
  get satisfied(): boolean {
    return this.#freePlaces() <= 0
  }

  start(): void {
    this.#running = true
    this.look()
  }

  stop(): void {
    this.#running = false
    this.#timer?.cancel()
  }

  left({ nodeId, since }: Peer, reason: string): void {
    const { book, configured, peers, runtime } = this.#parts
    const stayed = this.#now() - since
    configured.left(nodeId, stayed)
    const entry = book.of(nodeId)
    if (entry !== undefined && reason !== 'duplicate') {
      const isOver = reason === visitOver.code
      entry.failures = stayed < stayMilliseconds ? entry.failures + 1 : 0
      const wait = isOver ? jitter(runtime, retryMilliseconds) : backOff(runtime, entry.failures, retryMilliseconds)
      entry.dueAt = this.#now() + wait
      entry.lostAt = isOver ? undefined : this.#now()
    }
    if (this.#visit?.nodeId === nodeId && reason !== 'duplicate') this.#visit = undefined
    if (peers.full().length === 0 && stayed >= stayMilliseconds) this.#hurry()
    this.look()
  }

  /** Looks, in a moment, whom to dial. */
  look(): void {
    this.#lookIn(0)
  }

  #lookIn(milliseconds: number): void {
    this.#timer?.cancel()
    if (this.#running) this.#timer = this.#parts.runtime.clock.after(milliseconds, () => this.#lookNow())
  }

  #lookNow(): void {
    if (this.#visit !== undefined && this.#now() >= this.#visit.endsAt) this.#endVisit()
    this.#dialConfigured()
    this.#dialForPlaces()
    this.#dialForReunion()
    this.#dialForVisit()
    const { configured } = this.#parts
    const places = this.#freePlaces() > 0 && !this.#isBusy() ? this.#choice.nextDueAt() : Number.POSITIVE_INFINITY
    const next = Math.min(configured.nextDueAt(), places, this.#visit?.endsAt ?? this.#visitDueAt)
    this.#lookIn(Math.min(lookMilliseconds, Math.max(lookMillisecondsMin, next - this.#now())))
  }

  /** The last peer is gone. */
  #hurry(): void {
    this.#parts.configured.hurry()
    const soon = this.#now() + backOff(this.#parts.runtime, 1, retryMilliseconds)
    for (const entry of this.#parts.book.active()) entry.dueAt = Math.min(entry.dueAt, soon)
  }

  // ---- places ----

  #freePlaces(): number {
    return this.#parts.limits.outbound_peers - this.#choice.learnt().length - this.#choice.dialling.size
  }

  #isBusy(): boolean {
    return this.#choice.dialling.size + this.#configuredDials >= dialsAtOnceMax
  }

  #dialConfigured(): void {
    while (!this.#isBusy()) {
      const attempt = this.#parts.configured.dialNext()
      if (attempt === undefined) return
      this.#configuredDials++
      void this.#settleConfigured(attempt)
    }
  }

  async #settleConfigured(attempt: Promise<Attempt>): Promise<void> {
    const { at, result } = await attempt
    this.#configuredDials--
    if (!this.#running) return
    if (at !== undefined) this.#outcomes.ofConfigured(at, result)
    this.look()
  }

  #dialForPlaces(): void {
    while (this.#freePlaces() > 0 && !this.#isBusy()) {
      const entry = this.#choice.forPlace(this.#now())
      if (entry === undefined || !this.#affords(entry)) return
      void this.#dial(entry)
    }
  }

  #affords({ node }: Entry): boolean {
    return node !== undefined || this.#budget.take()
  }

  async #dial(entry: Entry): Promise<Result<PeerFacts>> {
    this.#choice.dialling.add(entry)
    entry.triedAt = this.#now()
    const result = await this.#parts.dial(entry.to)
    this.#choice.dialling.delete(entry)
    if (!this.#running) return result
    this.#outcomes.of(entry, result)
    this.look()
    return result
  }

  #full(at: HostPort): void {
    if (!this.satisfied) this.#parts.inquire(at)
  }

  // ---- visits ----

  #dialForVisit(): void {
    const now = this.#now()
    if (now < this.#visitDueAt || this.#visit !== undefined || this.#isBusy()) return
    const entry = this.#choice.forVisit(now)
    this.#visitDueAt =
      now + jitter(this.#parts.runtime, entry === undefined ? lookMilliseconds : betweenVisitsMilliseconds)
    if (entry !== undefined) void this.#visitNode(entry)
  }

  /** A peer that was lost does not wait until somebody else's visit is over. */
  #dialForReunion(): void {
    const now = this.#now()
    if (now < this.#reunionDueAt || this.#isBusy()) return
    const entry = this.#choice.forReunion(now)
    if (entry === undefined) return
    this.#reunionDueAt = now + jitter(this.#parts.runtime, betweenReunionsMilliseconds)
    void this.#visitNode(entry)
  }

  async #visitNode(entry: Entry): Promise<void> {
    const result = await this.#dial(entry)
    if (!result.ok) return
    this.#endVisit()
    this.#visit = { nodeId: result.value.nodeId, endsAt: this.#now() + visitMilliseconds }
  }

  /** Who is visited stays where there is a place for it. */
  #endVisit(): void {
    if (this.#visit === undefined) return
    const { nodeId } = this.#visit
    const peer = this.#parts.peers.get(nodeId)
    this.#visit = undefined
    if (peer?.outbound !== true || (this.#freePlaces() >= 0 && !this.#choice.exceeds(nodeId))) return
    peer.drop(visitOver)
  }

  #now(): number {
    return this.#parts.runtime.clock.monotonic()
  }
}

const visitOver = decline('visit-over', 'all places for peers are taken')
