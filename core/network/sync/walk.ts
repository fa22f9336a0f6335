import * as v from 'valibot'
import type { Hash } from '../../chain/canonical.ts'
import type { HeaderTrail } from '../../chain/trail.ts'
import { decline, type Refusal, type Verdict } from '../../errors.ts'
import type { Limits } from '../../limits.ts'
import type { Clock } from '../../runtime.ts'
import type { NetworkChain } from '../module.ts'
import type { Peer } from '../peer.ts'
import { locatorOf } from './locator.ts'
import { nearBlocksMax } from './parents.ts'
import { askHeaders, headersAskedMax, type Unchecked } from './questions.ts'

/** A branch that is shorter may weigh more, so an honest peer's height may fall by a few. */
const lenientBlocks = 100
/** With the first question's five seconds: a peer that claims what it does not show is gone within ten. */
const pingMilliseconds = 1_500
const againMilliseconds = 2_500
/** Who sends a few headers at a time must at least be as quick as this, once so long has passed. */
const paceHeadersPerSecond = 50
const paceMilliseconds = 4_000

const pong = v.object({ height: v.pipe(v.number(), v.safeInteger(), v.minValue(0)) })

export interface WalkParts {
  readonly chain: NetworkChain
  readonly clock: Clock
  readonly limits: Pick<Limits, 'request_milliseconds_max'>
  /** Headers that somebody else showed already, ahead of the ledger; they need not be sent or checked again. */
  readonly beside?: () => HeaderTrail | undefined
}

/**
 * What one question brought. `more`: headers were added and there may be others. `end`: the peer has shown all that it
 * has. `elsewhere`: it is on another branch than the trail, or ahead of the one beside.
 */
export type Step = 'more' | 'end' | 'elsewhere' | Refusal

/** Follows one peer's headers from our chain on, one question at a time, and checks them. */
export class HeaderWalk {
  readonly peer: Peer
  /** Its headers that are not in the ledger; undefined as long as there are none. */
  trail: HeaderTrail | undefined
  readonly #parts: WalkParts
  readonly #startedAt: number
  #received = 0
  /** Its claim was heard anew after it had nothing to show for it. */
  #claimRenewed = false

  /** `trail`: to be continued. */
  constructor(parts: WalkParts, peer: Peer, trail?: HeaderTrail) {
    this.#parts = parts
    this.peer = peer
    this.trail = trail
    this.#startedAt = parts.clock.monotonic()
  }

  /**
   * Asks for the headers after those that we have. A refusal says what the peer did wrong: it sent headers that do not
   * hold (provable), `sync-stalled`, `headers-unconnected`, `height-not-shown`; or why this branch is not for us:
   * `timestamp-ahead`, `reorganisation-too-deep`, `too-many` to be held at the moment.
   */
  async step(): Promise<Step> {
    const locator = this.#locator()
    const milliseconds = this.#claimRenewed ? againMilliseconds : this.#parts.limits.request_milliseconds_max
    const answer = await askHeaders(
      this.peer,
      locator,
      Math.min(milliseconds, this.#parts.limits.request_milliseconds_max),
    )
    if (!answer.ok) return this.#unanswered(answer)
    const fresh = this.#fresh(answer.value)
    const first = fresh[0]
    if (first === undefined) return this.#nothingShown()
    const joined = this.#join(first, locator)
    if (joined !== undefined) return joined
    const verdict = await this.#extend(fresh)
    if (!verdict.ok) return verdict
    if (answer.value.length === headersAskedMax) return 'more'
    if (this.#top() >= this.peer.height) return 'end'
    return this.#isTooSlow() ? decline('sync-stalled', 'its headers come too slowly') : 'more'
  }

  #locator(): Hash[] {
    return locatorOf(this.#top(), (index) => this.#hashAt(index))
  }

  /** The highest block that this peer need not show any more. */
  #top(): number {
    return (this.trail ?? this.#parts.beside?.())?.tip.index ?? this.#parts.chain.head().header.index
  }

  #hashAt(index: number): Hash | undefined {
    const ahead = (this.trail ?? this.#parts.beside?.())?.at(index)
    return (ahead ?? this.#parts.chain.headerAt(index)?.header)?.current_hash
  }

  /** Without those, from the first on, that are in the ledger or were shown already. */
  #fresh(headers: readonly Unchecked[]): readonly Unchecked[] {
    const { chain } = this.#parts
    const beside = this.#parts.beside?.()
    const first = headers.findIndex(
      ({ index, current_hash: hash }) =>
        chain.header(hash) === undefined &&
        this.trail?.at(index)?.current_hash !== hash &&
        beside?.at(index)?.current_hash !== hash,
    )
    return first === -1 ? [] : headers.slice(first)
  }

  /** Makes sure that there is a trail which this header continues; otherwise says what it is. */
  #join(first: Unchecked, locator: readonly Hash[]): Step | undefined {
    if (this.trail !== undefined) return first.prev_hash === this.trail.tip.current_hash ? undefined : 'elsewhere'
    this.trail = this.#parts.chain.trail(first.prev_hash)
    if (this.trail !== undefined) return undefined
    const beside = this.#parts.beside?.()
    const isKnown = locator.includes(first.prev_hash) || beside?.at(first.index - 1)?.current_hash === first.prev_hash
    // The locator ends in block 0: every chain that is ours goes on from one of its hashes.
    return isKnown ? 'elsewhere' : decline('headers-unconnected', `header ${first.index} stands on none that we named`)
  }

  async #extend(fresh: readonly Unchecked[]): Promise<Verdict> {
    const before = this.trail!.tip.index
    const verdict = await this.trail!.extend(fresh)
    this.#received += this.trail!.tip.index - before
    this.#claimRenewed = false
    return verdict
  }

  /** It has nothing that we do not have. That is fine, unless it claims to have. */
  async #nothingShown(): Promise<Step> {
    if (!this.#overclaims()) return 'end'
    const unshown = decline('height-not-shown', `height ${this.peer.height} is claimed, and no header shows it`)
    if (this.#claimRenewed) return unshown
    this.#claimRenewed = true
    const answer = await this.peer.ask({ type: 'ping' }, 'pong', pingMilliseconds)
    if (!answer.ok && answer.code === 'disconnected') return answer
    const renewed = answer.ok ? v.safeParse(pong, answer.value) : undefined
    if (renewed?.success !== true) return unshown
    this.peer.height = renewed.output.height
    return this.#overclaims() ? 'more' : 'end'
  }

  /** Not every program answers everything: only who claims to be ahead owes us its headers. */
  #unanswered(answer: Refusal): Step {
    if (answer.provable || answer.code === 'disconnected' || answer.code === 'too-many-requests') return answer
    if (this.peer.height <= this.#top() + nearBlocksMax) return 'end'
    return decline('sync-stalled', `height ${this.peer.height} is claimed; asked for headers: ${answer.detail}`)
  }

  #overclaims(): boolean {
    return this.peer.height > this.#top() + lenientBlocks
  }

  #isTooSlow(): boolean {
    const seconds = (this.#parts.clock.monotonic() - this.#startedAt) / 1_000
    return seconds > paceMilliseconds / 1_000 && this.#received / seconds < paceHeadersPerSecond
  }
}

/** Whether a refusal of a step is a reason to part with the peer. */
export function isPeersFault({ code, provable }: Refusal): boolean {
  return provable || ['sync-stalled', 'headers-unconnected', 'height-not-shown'].includes(code)
}
