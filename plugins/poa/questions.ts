import * as v from 'valibot'
import {
  AurexError,
  canonicalJson,
  decline,
  found,
  formatTimestamp,
  messageOf,
  parseTimestamp,
  publicKeyOf,
  refuse,
  sha256Hex,
  type Address,
  type Ancestry,
  type ChainDoor,
  type Hash,
  type JsonObject,
  type KeyPair,
  type Result,
  type SealedHeader,
  type Verdict,
} from '../../core/index.ts'
import { lastSigned, warningOf } from './attendance.ts'
import type { Authorities, Snapshot } from './authorities.ts'
import { sinceTurn } from './turns.ts'
import { majorityOf, tallyOn } from './votes.ts'
import { actions, wishesMax, type Action, type Wishes } from './wishes.ts'

/** How old a request may be, or ahead of this clock: it is signed for once, not for ever. */
const requestMillisecondsMax = 5 * 60_000
const wishBlocksDefault = 10_000
const wishBlocksMax = 1_000_000_000

export const voteSchema = v.object({
  target: v.string(),
  vote: v.picklist(actions),
  /** For how many blocks it is said before it is given up. */
  blocks: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(wishBlocksMax))),
  timestamp: v.string(),
  signature: v.string(),
})
export const votesSchema = v.object({})
type VoteRequest = v.InferOutput<typeof voteSchema>

export interface DeskParts {
  readonly identity: KeyPair
  readonly chainId: string
  readonly authorities: Authorities
  readonly wishes: Wishes
  /** undefined until the chain is up. */
  readonly door: () => ChainDoor | undefined
  /** This node's own address and those of its peers. */
  readonly seen: () => ReadonlySet<Address>
  readonly now: () => number
  /** Blocks from a checkpoint to the next. */
  readonly epoch: number
}

/** What the operator of this node is told of votes, and what he wants to be voted. */
export class VoteDesk {
  readonly #parts: DeskParts
  #last: { readonly head: Hash; readonly signed: ReadonlyMap<Address, SealedHeader> } | undefined

  constructor(parts: DeskParts) {
    this.#parts = parts
  }

  /**
   * `poa.vote`: takes a wish. Whoever asks has this node's own key: the signature is over `aurex/poa/1` and the canonical
   * JSON of `{blocks, chain_id, target, timestamp, vote}` (`blocks` where it is given). Declines `chain-not-up`,
   * `bad-signature`, `stale-request`, `not-authority`, `nothing-to-vote`, `last-authority`, `too-many-wishes`,
   * `storage-unavailable`; refuses `bad-key`, `bad-timestamp`.
   */
  vote(request: VoteRequest): Result<JsonObject> {
    const door = this.#parts.door()
    if (door === undefined) return notUp
    const askedAt = this.#checkRequest(request)
    if (!askedAt.ok) return askedAt
    const below = this.#parts.authorities.after(door.ancestry())
    const holds = this.#checkWish(request, below)
    if (!holds.ok) return holds
    const until = below.index + (request.blocks ?? wishBlocksDefault)
    try {
      this.#keep(request, askedAt.value, until, below)
    } catch (error) {
      if (!(error instanceof AurexError)) throw error
      return decline('storage-unavailable', `the wish cannot be kept: ${messageOf(error)}`)
    }
    door.changed()
    return found(this.#taken(request, until, below))
  }

  /** `poa.votes`: authorities, votes and this node's wishes, after the head. */
  votes(): Result<JsonObject> {
    const door = this.#parts.door()
    if (door === undefined) return notUp
    const { wishes, epoch } = this.#parts
    const ancestry = door.ancestry()
    const below = this.#parts.authorities.after(ancestry)
    return found({
      height: below.index,
      checkpoint: (Math.floor(below.index / epoch) + 1) * epoch,
      needed: majorityOf(below.authorities.length),
      authorities: this.#listed(ancestry, below),
      votes: [...new Set(below.votes.map(({ target }) => target))].map((target) => tallyJson(target, below)),
      wishes: wishes.all().map((wish) => ({ ...wish, since: formatTimestamp(wish.since) })),
    })
  }

  #listed(ancestry: Ancestry, below: Snapshot): JsonObject[] {
    const { identity, seen } = this.#parts
    const last = this.#lastSigned(ancestry, below)
    const up = seen()
    return below.authorities.map((address) => {
      const header = last.get(address)
      return {
        address,
        own: address === identity.address,
        in_turn: sinceTurn(address, below) === 0,
        connected: up.has(address),
        // null: none of the last 1,000.
        last_block: header === undefined ? null : { index: header.index, timestamp: header.timestamp },
      }
    })
  }

  /** Anybody may ask, and it looks far back: once a head. */
  #lastSigned(ancestry: Ancestry, { authorities }: Snapshot): ReadonlyMap<Address, SealedHeader> {
    const { current_hash: head } = ancestry.parent
    if (this.#last?.head !== head) this.#last = { head, signed: lastSigned(ancestry, authorities) }
    return this.#last.signed
  }

  #checkRequest(request: VoteRequest): Result<number> {
    const { now, wishes } = this.#parts
    const askedAt = parseTimestamp(request.timestamp)
    if (askedAt === undefined) return refuse('bad-timestamp', 'timestamp: expected the form 2026-11-21T01:02:03.456Z')
    const signed = this.#checkSignature(request)
    if (!signed.ok) return signed
    if (Math.abs(now() - askedAt) > requestMillisecondsMax) {
      return decline('stale-request', `timestamp: more than ${requestMillisecondsMax / 60_000} minutes off this clock`)
    }
    if (askedAt > wishes.lastAsked()) return found(askedAt)
    return decline('stale-request', 'timestamp: a request of this time or a later one was taken already')
  }

  #checkSignature({ signature, ...request }: VoteRequest): Verdict {
    const { identity, chainId } = this.#parts
    // RFC 8032: a key signs a text in one way only, so that signing it once more is as good as verifying, and nobody else's
    // key needs to be looked at.
    const expected = identity.sign('aurex/poa/1', canonicalJson({ ...request, chain_id: chainId }))
    if (sha256Hex(expected) === sha256Hex(signature)) return { ok: true }
    return decline(
      'bad-signature',
      `the vote is not signed with the key of this node, whose address is ${identity.address}; name its file with --key`,
    )
  }

  #checkWish({ target, vote }: VoteRequest, below: Snapshot): Verdict {
    const { identity, wishes } = this.#parts
    const key = publicKeyOf(target)
    if (!key.ok) return { ...key, detail: `target: ${key.detail}` }
    if (!below.authorities.includes(identity.address)) {
      return decline('not-authority', `only authorities vote, and the key of this node, ${identity.address}, is none`)
    }
    const isAuthority = below.authorities.includes(target)
    if (vote === 'add' && isAuthority) return nothingToVote(`${target} is an authority already`)
    if (vote === 'remove' && !isAuthority) return nothingToVote(`${target} is no authority`)
    if (vote === 'remove' && below.authorities.length === 1) {
      return decline('last-authority', 'it is the only authority: without it nobody could make a block, ever')
    }
    if (vote === 'withdraw')
      return this.#hasVoted(target, below) ? { ok: true } : nothingToVote('there is no such vote')
    if (wishes.get(target) !== undefined || wishes.all().length < wishesMax) return { ok: true }
    return decline('too-many-wishes', `${wishesMax} wishes are open; withdraw one first`)
  }

  #hasVoted(target: Address, { votes }: Snapshot): boolean {
    const { identity, wishes } = this.#parts
    const stands = votes.some((vote) => vote.target === target && vote.signer === identity.address)
    return stands || wishes.get(target) !== undefined
  }

  /** A wish that no block has said yet is withdrawn by dropping it. */
  #keep({ target, vote }: VoteRequest, askedAt: number, until: number, below: Snapshot): void {
    const { wishes, identity, now } = this.#parts
    const said = below.votes.some((one) => one.target === target && one.signer === identity.address)
    if (vote === 'withdraw' && !said) wishes.drop(target, askedAt)
    else wishes.take({ target, vote, since: now(), until }, askedAt)
  }

  #taken({ target, vote }: VoteRequest, until: number, below: Snapshot): JsonObject {
    const tally = tallyOn(below, target)
    const warning = warningOf(vote, target, below, this.#parts.seen())
    return {
      target,
      vote,
      until,
      votes: tally?.signers.length ?? 0,
      needed: majorityOf(below.authorities.length),
      ...(warning === undefined ? {} : { warning }),
    }
  }
}

function tallyJson(target: Address, below: Snapshot): JsonObject {
  const { authorize, signers, needed } = tallyOn(below, target)!
  const vote: Action = authorize ? 'add' : 'remove'
  return { target, vote, signers, needed }
}

const notUp = decline('chain-not-up', 'the chain of this node is not up yet; ask again in a moment')
const nothingToVote = (why: string) => decline('nothing-to-vote', why)
