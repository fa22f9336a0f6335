import {
  accepted,
  excerpt,
  refuse,
  type Address,
  type Ancestry,
  type Consensus,
  type Due,
  type Header,
  type JsonObject,
  type SealedHeader,
  type Verdict,
} from '../../core/index.ts'
import { signerOf, type Authorities, type Snapshot } from './authorities.ts'
import type { PoaConfig } from './schema.ts'
import { readSeal, type Ballot, type PoaSeal } from './seal.ts'
import { isResting, sinceTurn, stepOutOfTurn, workInTurn, workOutOfTurn } from './turns.ts'
import { waitingFor } from './waiting.ts'

/** What an authority wants to vote next, and since when (milliseconds, wall clock). */
export interface NextBallot {
  readonly ballot: Ballot
  readonly since: number
}

export interface PoaParts {
  /** This node's own. */
  readonly address: Address
  /** Seconds. */
  readonly blockTime: number
  readonly config: PoaConfig
  readonly authorities: Authorities
  /** What this node wants to vote in the block after this. */
  readonly nextBallot: (below: Snapshot) => NextBallot | undefined
  /** Authorities that are up, as far as it is known here. */
  readonly seen?: () => ReadonlySet<Address>
}

/**
 * Proof of authority: Clique (EIP-225) with the order of EIP-3436 between chains that weigh the same, and one block a key
 * and height.
 */
export function poaEngine(parts: PoaParts): Consensus {
  const { authorities } = parts
  return {
    id: 'poa',
    futureMillisecondsMax: 15_000,
    prepare: (draft, ancestry) => prepare(draft, ancestry, parts),
    verify: (header, ancestry) => verify(header, ancestry, parts),
    weight: ({ work }) => BigInt(work),
    rank,
    authorities: (ancestry) => authorities.after(ancestry).authorities,
    turn: ({ index }) => [index],
    due: (ancestry, pending, now, since) => due({ ancestry, pending, now, since }, parts),
    // There is nothing to be found: who signs is all that counts.
    seal: async (_header, signal) => (signal.aborted ? undefined : { nonce: 0 }),
  }
}

/**
 * EIP-3436, for chains of the same total work: the lower number, then the signer whose own turn is longer ago. So of two
 * chains with as many authorities behind them all nodes choose the same; the lower hash after that is core's.
 */
function rank({ index, seal }: Header): bigint {
  const since = seal?.['since_turn']
  return (typeof since === 'number' ? BigInt(since) : 0n) - (BigInt(index) << 16n)
}

/** On the development chain, which names no authority, whoever signs block 1 is the one. */
const asSignedBy = (below: Snapshot, signer: Address): Snapshot =>
  below.index === 0 && below.authorities.length === 0 ? { ...below, authorities: [signer] } : below

const workOf = (since: number): number => (since === 0 ? workInTurn : workOutOfTurn)

function prepare(draft: Header, ancestry: Ancestry, { address, authorities, nextBallot }: PoaParts): Header {
  const signer = signerOf(draft)
  const below = asSignedBy(authorities.after(ancestry), signer)
  // What somebody who is no authority prepares is refused, whatever stands in it.
  const since = sinceTurn(signer, below) ?? 0
  const seal = authorities.isCheckpoint(draft.index)
    ? { since_turn: since, authorities: below.authorities }
    : { since_turn: since, ...voteOf(signer === address ? nextBallot(below) : undefined) }
  return { ...draft, work: workOf(since), signer_id: draft.miner_id, seal }
}

const voteOf = (next: NextBallot | undefined): JsonObject => (next === undefined ? {} : { vote: { ...next.ballot } })

/**
 * Refuses, the cheapest first: `bad-seal` and `bad-block` (fields), `bad-vote`, `bad-checkpoint`, `too-early`,
 * `not-authority`, `recently-signed`, `bad-work`.
 */
function verify(header: SealedHeader, ancestry: Ancestry, parts: PoaParts): Verdict {
  const unused = checkUnused(header)
  if (!unused.ok) return unused
  const seal = readSeal(header.seal)
  if (!seal.ok) return seal
  const time = checkTime(header, ancestry, parts)
  if (!time.ok) return time
  const signer = signerOf(header)
  const below = asSignedBy(parts.authorities.after(ancestry), signer)
  const turn = checkTurn(header, seal.value, signer, below)
  return turn.ok ? checkCheckpoint(header, seal.value, below, parts) : turn
}

function checkUnused({ nonce, certificate, signer_id, miner_id }: SealedHeader): Verdict {
  if (nonce !== 0) return refuse('bad-seal', `nonce: expected 0, got ${nonce}`)
  if (certificate !== undefined) return refuse('bad-block', 'certificate: poa has no such field')
  if (signer_id !== miner_id) return refuse('bad-block', 'signer_id: expected the same as miner_id')
  return accepted
}

function checkTime({ timestamp }: Header, { parent }: Ancestry, { blockTime }: PoaParts): Verdict {
  const after = Date.parse(timestamp) - Date.parse(parent.timestamp)
  if (after >= milliseconds(blockTime)) return accepted
  return refuse(
    'too-early',
    `timestamp: ${after} ms after the block below; expected ${milliseconds(blockTime)} or more`,
  )
}

function checkTurn({ work }: Header, seal: PoaSeal, signer: Address, below: Snapshot): Verdict {
  const since = sinceTurn(signer, below)
  if (since === undefined) {
    return refuse('not-authority', `the key ${excerpt(signer)} is none of the ${below.authorities.length} authorities`)
  }
  if (isResting(signer, below)) {
    return refuse('recently-signed', `${signer} has signed one of the last blocks, and has to wait for others`)
  }
  if (seal.since_turn !== since) return refuse('bad-seal', `since_turn: expected ${since}, got ${seal.since_turn}`)
  if (work !== workOf(since)) return refuse('bad-work', `work: expected ${workOf(since)}, got ${work}`)
  return accepted
}

function checkCheckpoint({ index }: Header, seal: PoaSeal, below: Snapshot, { authorities }: PoaParts): Verdict {
  if (!authorities.isCheckpoint(index)) {
    if (seal.authorities === undefined) return accepted
    return refuse('bad-checkpoint', `authorities: block ${index} is no checkpoint`)
  }
  if (seal.vote !== undefined) return refuse('bad-vote', `vote: block ${index} is a checkpoint, where votes expire`)
  const listed = seal.authorities ?? []
  const same = listed.length === below.authorities.length && listed.every((one, at) => one === below.authorities[at])
  return same ? accepted : refuse('bad-checkpoint', 'authorities: expected all of them, in the order of turns')
}

interface Asked {
  readonly ancestry: Ancestry
  readonly pending: number
  readonly now: number
  readonly since: number
}

/**
 * In turn: as soon as there is something to record. Out of turn: later, so that whose turn it is comes first. Who signed
 * lately, or is no authority, waits for others and says for whom.
 */
function due({ ancestry, pending, now, since }: Asked, parts: PoaParts): Due {
  const { address, authorities, blockTime, config, seen } = parts
  if (!config.produce) return { waitsFor: 'a block from others: produce is off' }
  const { parent } = ancestry
  const below = asSignedBy(authorities.after(ancestry), address)
  const wanted = wantedSince({ ancestry, pending, now, since }, below, parts)
  if (wanted === undefined) return { waitsFor: 'a transaction' }
  const turns = sinceTurn(address, below)
  if (turns === undefined || isResting(address, below)) return waitingFor(below, seen?.(), address)
  const base = Math.max(Date.parse(parent.timestamp) + milliseconds(blockTime), wanted)
  const step = turns === 0 ? 0 : stepOutOfTurn(address, parent.current_hash, below)
  return { when: Math.max(now, base + step * config.patience) }
}

/** Since when there is a reason for a block, which may lie ahead; undefined: there is none. */
function wantedSince({ ancestry, pending, since }: Asked, below: Snapshot, parts: PoaParts): number | undefined {
  const { heartbeat } = parts.config
  const ballot = parts.authorities.isCheckpoint(below.index + 1) ? undefined : parts.nextBallot(below)
  const beat = heartbeat > 0 ? Date.parse(ancestry.parent.timestamp) + milliseconds(heartbeat) : undefined
  const reasons = [pending > 0 ? since : undefined, ballot?.since, beat].filter((reason) => reason !== undefined)
  return reasons.length === 0 ? undefined : Math.min(...reasons)
}

const milliseconds = (seconds: number): number => Math.round(seconds * 1_000)
