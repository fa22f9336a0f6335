import * as v from 'valibot'
import { AurexError, type Address, type Records } from '../../core/index.ts'
import type { Snapshot } from './authorities.ts'
import type { NextBallot } from './engine.ts'
import { tallyOn } from './votes.ts'

export const actions = ['add', 'remove', 'withdraw'] as const
export type Action = (typeof actions)[number]

/** What this node's operator wants to be voted, until it is so. */
export interface Wish {
  readonly target: Address
  readonly vote: Action
  /** Milliseconds, wall clock: when it was taken. */
  readonly since: number
  /** It is given up at this height. */
  readonly until: number
}

export const wishesMax = 100
const prefix = 'wish/'
const askedKey = 'asked'

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const schema = v.strictObject({ target: v.string(), vote: v.picklist(actions), since: whole, until: whole })

/**
 * What this node votes in the blocks that it makes: one wish a block, the oldest first, and again after votes have expired.
 * Kept in the ledger's file, one a target.
 */
export class Wishes {
  readonly #records: Records
  readonly #own: Address
  readonly #wishes: Map<Address, Wish>
  /** Height at which it was first seen to be so. A reorganisation may undo what others voted. */
  readonly #fulfilledAt = new Map<Address, number>()

  /** Throws `wishes-damaged`. */
  constructor(records: Records, own: Address) {
    this.#records = records
    this.#own = own
    const stored = records.list(prefix, undefined, wishesMax).map(([key, text]) => readWish(key, text))
    this.#wishes = new Map(stored.sort((a, b) => a.since - b.since).map((wish) => [wish.target, wish]))
  }

  /** The oldest first. */
  all(): readonly Wish[] {
    return [...this.#wishes.values()]
  }

  get(target: Address): Wish | undefined {
    return this.#wishes.get(target)
  }

  /** Milliseconds: the time that the last request bore; a later one must bear a later time. 0: there was none. */
  lastAsked(): number {
    return Number(this.#records.get(askedKey) ?? 0)
  }

  /** Durable on return, with the time of the request. Throws as `Storage` does. */
  take(wish: Wish, askedAt: number): void {
    this.#records.write([
      [prefix + wish.target, JSON.stringify(wish)],
      [askedKey, String(askedAt)],
    ])
    this.#wishes.delete(wish.target)
    this.#fulfilledAt.delete(wish.target)
    this.#wishes.set(wish.target, wish)
  }

  /** As `take`: this node wants nothing of this target any more. */
  drop(target: Address, askedAt: number): void {
    this.#records.write([
      [prefix + target, undefined],
      [askedKey, String(askedAt)],
    ])
    this.#wishes.delete(target)
  }

  /** What goes into the block after this one. */
  next(below: Snapshot): NextBallot | undefined {
    if (!below.authorities.includes(this.#own)) return undefined
    const wish = this.all().find((one) => below.index < one.until && this.#hasToBeSaid(one, below))
    if (wish === undefined) return undefined
    const { target, vote, since } = wish
    return { since, ballot: vote === 'withdraw' ? { target, withdraw: true } : { target, authorize: vote === 'add' } }
  }

  /**
   * Drops what is so for long enough that no reorganisation is to be expected, and what was given up. Throws as `Storage`
   * does.
   */
  settle(below: Snapshot): readonly Wish[] {
    const over = this.all().filter((wish) => below.index >= wish.until || this.#isSettled(wish, below))
    if (over.length === 0) return over
    this.#records.write(over.map(({ target }) => [prefix + target, undefined]))
    for (const { target } of over) this.#wishes.delete(target)
    return over
  }

  #isSettled(wish: Wish, below: Snapshot): boolean {
    const { target } = wish
    if (!this.#isFulfilled(wish, below)) {
      this.#fulfilledAt.delete(target)
      return false
    }
    const at = this.#fulfilledAt.get(target) ?? below.index
    this.#fulfilledAt.set(target, at)
    return below.index - at >= 2 * below.authorities.length
  }

  #isFulfilled({ target, vote }: Wish, below: Snapshot): boolean {
    if (vote === 'withdraw') return !this.#stands(target, below)
    return below.authorities.includes(target) === (vote === 'add')
  }

  #hasToBeSaid(wish: Wish, below: Snapshot): boolean {
    if (this.#isFulfilled(wish, below)) return false
    if (wish.vote === 'withdraw' || !this.#stands(wish.target, below)) return true
    // It has become the will of the majority because somebody left: saying it once more carries it out.
    return tallyOn(below, wish.target)?.passes === true
  }

  /** Whether a vote of this node on a target counts at the moment. */
  #stands(target: Address, { votes }: Snapshot): boolean {
    return votes.some((vote) => vote.signer === this.#own && vote.target === target)
  }
}

function readWish(key: string, text: string): Wish {
  try {
    return v.parse(schema, JSON.parse(text))
  } catch (cause) {
    const message = `the record ${key} of poa cannot be read, got ${text.slice(0, 100)}; check the ledger with aurex verify`
    throw new AurexError('wishes-damaged', message, { cause })
  }
}
