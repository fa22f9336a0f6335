import type { Result } from '../../errors.ts'
import type { HostPort } from '../hostport.ts'
import type { ModuleParts } from '../module.ts'
import type { PeerFacts } from '../peer.ts'
import { isLightType } from '../standing.ts'
import { backOff, isLasting } from './backoff.ts'
import type { Book, Entry } from './book.ts'
import { jitter } from './chance.ts'

export interface OutcomesParts extends Pick<ModuleParts, 'peers' | 'runtime'> {
  readonly book: Book
  /** A node that is there has no place for this one. */
  readonly full: (at: HostPort) => void
}

/** For a node that was a peer not long ago, so that a network that was torn is soon whole again; for any other. */
const retryLostMillisecondsMax = 20_000
const retryMillisecondsMax = 5 * 60_000
const lostMilliseconds = 60 * 60_000
const refusedMilliseconds = 60 * 60_000
const busyMilliseconds = 60_000
/** After so many failures in a row a known node is not handed on any more, and a candidate is forgotten. */
const failuresUntilUnreachable = 2
const failuresUntilForgotten = 6

/** What becomes of an address after it was dialled. */
export class Outcomes {
  readonly #parts: OutcomesParts
  readonly #isOwn: (to: HostPort) => void

  constructor(parts: OutcomesParts, isOwn: (to: HostPort) => void) {
    this.#parts = parts
    this.#isOwn = isOwn
  }

  ofConfigured(at: HostPort, result: Result<PeerFacts>): void {
    const entry = this.#parts.book.at(at)
    if (result.ok) this.#reached(at, result.value)
    else if (result.code === 'self') this.#isOwn(at)
    else if (entry !== undefined) this.of(entry, result)
    else if (result.code === 'too-many-peers') this.#parts.full(at)
  }

  /** Who keeps no chain is nobody's to be sent to. */
  #reached(at: HostPort, { nodeId, nodeType }: PeerFacts): void {
    const { book } = this.#parts
    if (!isLightType(nodeType)) return void book.reached(at, nodeId, nodeType)
    const entry = book.at(at)
    if (entry !== undefined) book.remove(entry)
  }

  of(entry: Entry, result: Result<PeerFacts>): void {
    const { book, runtime } = this.#parts
    if (result.ok) {
      this.#reached(entry.to, result.value)
      return
    }
    switch (result.code) {
      case 'self':
        this.#isOwn(entry.to)
        book.remove(entry)
        return
      case 'duplicate':
        this.#duplicate(entry)
        return
      case 'too-many-peers':
        this.#parts.full(entry.to)
        this.#postpone(entry, jitter(runtime, busyMilliseconds))
        return
      default:
        this.#failed(entry, result.code)
    }
  }

  /** The node behind the address is a peer already: the one that says so, or else we cannot tell which. */
  #duplicate(entry: Entry): void {
    const { book, peers, runtime } = this.#parts
    const claimant = entry.claimedBy === undefined ? undefined : peers.get(entry.claimedBy)
    this.#postpone(entry, jitter(runtime, retryMillisecondsMax))
    if (claimant !== undefined) book.reached(entry.to, claimant.nodeId, claimant.facts.nodeType)
    else if (entry.node !== undefined) book.mark(entry, 'active', true)
  }

  #failed(entry: Entry, code: string): void {
    const { book, runtime } = this.#parts
    const now = runtime.clock.monotonic()
    entry.failures++
    if (entry.lostAt !== undefined && now - entry.lostAt > lostMilliseconds) entry.lostAt = undefined
    if (entry.node === undefined && entry.failures >= failuresUntilForgotten) {
      book.remove(entry)
      return
    }
    const most = entry.lostAt === undefined ? retryMillisecondsMax : retryLostMillisecondsMax
    this.#postpone(
      entry,
      isLasting(code) ? jitter(runtime, refusedMilliseconds) : backOff(runtime, entry.failures, most),
    )
    if (isLasting(code) || entry.failures >= failuresUntilUnreachable) book.mark(entry, 'unreachable', false)
  }

  #postpone(entry: Entry, milliseconds: number): void {
    entry.dueAt = this.#parts.runtime.clock.monotonic() + milliseconds
  }
}
