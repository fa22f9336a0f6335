import { LRUCache } from 'lru-cache'
import {
  accepted,
  decline,
  type Address,
  type Channel,
  type Checkpoint,
  type Clock,
  type JsonObject,
  type NodeId,
  type PeerView,
  type Refusal,
  type Signer,
  type Verdict,
} from '../../core/index.ts'
import { checkSignatures } from './certificate.ts'
import { contradiction } from './contradiction.ts'
import { proofOf } from './evidence.ts'
import type { Rules } from './rules.ts'
import type { Standing } from './standing.ts'
import type { Tally } from './tally.ts'
import {
  ballotOfVote,
  keyOf,
  messageOfBallot,
  readBallot,
  voteText,
  type Ballot,
  type IsSigned,
  type Vote,
  type VoteMessage,
} from './votes.ts'

/** How far above what is known here a vote is taken, in checkpoints. A quorum is taken from anywhere. */
export const windowCheckpoints = 1_000
/** A peer that is behind is told so once in so long. */
const tellMilliseconds = 1_000
const toldMax = 1_000
/** Contradictions that were told. */
const accusedMax = 1_000
/** Of what is open, so many of the highest statements of each kind are said again. */
const openMax = 2

export interface ExchangeParts {
  readonly rules: Rules
  readonly isSigned: IsSigned
  readonly signer: Pick<Signer, 'address' | 'met'>
  readonly clock: Pick<Clock, 'monotonic'>
  readonly standing: Standing
  readonly tally: Tally
  readonly accuse: (proof: JsonObject) => Verdict
  /** The highest block that is here. */
  readonly height: () => number
}

/** What nodes say to each other of votes: each statement with the signatures under it. */
export class Exchange {
  readonly #parts: ExchangeParts
  /** Who has a decided block that may not be here. */
  readonly #sayers = new Map<string, NodeId>()
  readonly #told = new Map<NodeId, number>()
  readonly #accused = new LRUCache<string, true>({ max: accusedMax })
  #channel: Channel<VoteMessage> | undefined
  #taken = { justify: 0, commit: 0 }

  constructor(parts: ExchangeParts) {
    this.#parts = parts
  }

  /** Votes that were taken, own ones too. */
  get taken(): Readonly<Record<'justify' | 'commit', number>> {
    return this.#taken
  }

  open(channel: Channel<VoteMessage>): void {
    this.#channel = channel
  }

  // ---- hearing ----

  /**
   * Refuses `bad-vote`, `bad-signature`. Declines `unknown-authority`, `known`, `old-vote`, `too-many-votes`, `far-vote` (it
   * is about a block far above those that are here).
   */
  hear(message: VoteMessage, from: PeerView): Verdict {
    const { rules, isSigned, standing } = this.#parts
    const read = readBallot(message, rules)
    if (!read.ok) return read
    const ballot = read.value
    const { target } = ballot.statement
    if (target.index <= standing.final.index) {
      this.#tellBehind(ballot, from)
      const lies = this.#findLies(ballot)
      if (!lies.ok) return lies
      return decline('old-vote', `block ${standing.final.index} is final already`)
    }
    const fresh = this.#fresh(ballot)
    if (fresh.signatures.size === 0) return decline('known', 'these votes are known')
    const isDecided = ballot.signatures.size >= rules.quorum
    if (!isDecided && this.#isFar(target)) return decline('far-vote', `block ${target.index} is far above this chain`)
    // A quorum counts, even where a lying key has no room left for its part in it.
    const full = isDecided && !standing.isDecided(ballot.statement) ? undefined : this.#noRoom(fresh)
    if (full !== undefined) {
      const lies = this.#findLies(fresh)
      return lies.ok ? full : lies
    }
    const signed = checkSignatures(fresh, rules, isSigned)
    if (!signed.ok) return signed
    this.#sayers.set(keyOf(ballot.statement), from.nodeId)
    if (this.#sayers.size > toldMax) this.#sayers.delete(this.#sayers.keys().next().value!)
    const verdicts = [...votesOf(fresh)].map((vote) => this.take(vote))
    return standing.reached(ballot) ? accepted : (verdicts.find(({ ok }) => ok) ?? verdicts[0]!)
  }

  /** Notes the certificate of a header that was verified. */
  learn(ballot: Ballot): void {
    for (const vote of votesOf(ballot)) this.#meet(vote)
    this.#parts.standing.reached(ballot)
  }

  /** The reason, where there is room for none of these votes: then nobody's signature need be looked at. */
  #noRoom(ballot: Ballot): Refusal | undefined {
    const verdicts = [...votesOf(ballot)].map((vote) => this.#parts.tally.roomFor(vote))
    const refusals = verdicts.filter((verdict) => !verdict.ok && verdict.code !== 'known')
    return refusals.length === verdicts.length ? (refusals[0] as Refusal) : undefined
  }

  /** What is not counted proves still whose key signed twice. Refuses `bad-signature`. */
  #findLies(ballot: Ballot): Verdict {
    const { tally, rules, isSigned } = this.#parts
    for (const vote of votesOf(ballot)) {
      const other = tally.contradicted(vote)
      if (other === undefined || this.#accused.has(chargeOf(other, vote))) continue
      const signed = checkSignatures(ballotOfVote(vote), rules, isSigned)
      if (!signed.ok) return signed
      this.#accuse(other, vote)
    }
    return accepted
  }

  /** Each contradiction once, however often its votes come: a proof costs signatures to judge. */
  #accuse(first: Vote, second: Vote): void {
    const charge = chargeOf(first, second)
    if (this.#accused.has(charge)) return
    const verdict = this.#parts.accuse(proofOf(first, second))
    if (verdict.ok || verdict.code !== 'storage-unavailable') this.#accused.set(charge, true)
  }

  /** Counts a vote whose signature is good. Declines as `Tally.add`. */
  take(vote: Vote): Verdict {
    const { tally, standing } = this.#parts
    this.#meet(vote)
    const other = tally.contradicted(vote)
    if (other !== undefined) this.#accuse(other, vote)
    const verdict = tally.add(vote)
    if (verdict.ok) this.#taken[vote.statement.kind]++
    const ballot = tally.of(vote.statement)
    if (ballot !== undefined) standing.reached(ballot)
    return verdict
  }

  /** Who said that something is decided. */
  sayerOf({ statement }: Pick<Ballot, 'statement'>): NodeId | undefined {
    return this.#sayers.get(keyOf(statement))
  }

  /** Those that were not checked before. A signature that is another than the known one is checked like a new one. */
  #fresh({ statement, signatures }: Ballot): Ballot {
    const { tally } = this.#parts
    const isKnown = ([address, signature]: readonly [string, string]) =>
      tally.signatureOf(statement, address) === signature
    return { statement, signatures: new Map([...signatures].filter((one) => !isKnown(one))) }
  }

  #isFar({ index }: Checkpoint): boolean {
    const { rules, standing, height } = this.#parts
    return index > Math.max(height(), standing.justified.index) + windowCheckpoints * rules.every
  }

  /** This node's own key signed it: the record must know. */
  #meet({ statement, address }: Vote): void {
    const { signer, rules } = this.#parts
    if (address !== signer.address) return
    signer.met(statement.kind, [statement.target.index], voteText(rules.chainId, statement))
  }

  // ---- saying ----

  broadcast(ballot: Ballot): void {
    this.#channel?.broadcast(messageOfBallot(ballot))
  }

  /** All that a peer needs to be where this node is, and what its own key signed last: its record may be lost. */
  greet(nodeId: NodeId, address: Address | undefined): void {
    const own = address === undefined ? [] : this.#lastOf(address)
    for (const ballot of distinct([...this.#news(), ...own])) this.#channel?.send(nodeId, messageOfBallot(ballot))
  }

  /** One of each kind, the highest, above the final block: what links to that is around none below. */
  #lastOf(address: Address): readonly Ballot[] {
    const { tally, standing } = this.#parts
    const votes = tally.votesOf(address).filter(({ statement }) => statement.target.index > standing.final.index)
    return (['justify', 'commit'] as const).flatMap((kind) => {
      const ofKind = votes.filter(({ statement }) => statement.kind === kind)
      const [last] = ofKind.toSorted((a, b) => b.statement.target.index - a.statement.target.index)
      return last === undefined ? [] : ballotOfVote(last)
    })
  }

  /** The same to everybody: messages may have been lost. */
  repeat(): void {
    for (const ballot of this.#news()) this.broadcast(ballot)
  }

  /** Who votes for what is final here has missed that it is. */
  #tellBehind({ statement, signatures }: Ballot, { nodeId }: PeerView): void {
    const { clock, standing, rules } = this.#parts
    const now = clock.monotonic()
    const { certificate } = standing
    if (certificate === undefined || now - (this.#told.get(nodeId) ?? -tellMilliseconds) < tellMilliseconds) return
    const isEven = statement.target.index === standing.final.index
    if (isEven && statement.kind === 'commit' && signatures.size >= rules.quorum) return
    this.#told.delete(nodeId)
    this.#told.set(nodeId, now)
    if (this.#told.size > toldMax) this.#told.delete(this.#told.keys().next().value!)
    this.#channel?.send(nodeId, messageOfBallot(certificate))
  }

  /** What is final and justified, this node's last votes, and the highest statements that are open, whoever signed them. */
  #news(): readonly Ballot[] {
    const { standing, tally, signer } = this.#parts
    const open = tally.above(standing.final.index)
    const ofKind = (kind: string): readonly Ballot[] => {
      const all = open.filter(({ statement }) => statement.kind === kind)
      const own = all.find(({ signatures }) => signatures.has(signer.address))
      return [...all.slice(0, openMax), ...(own === undefined ? [] : [own])]
    }
    const decided = [standing.certificate, standing.justification].filter((one) => one !== undefined)
    return distinct([...decided, ...ofKind('justify'), ...ofKind('commit')])
  }
}

/** Each statement once, as it comes first: with all signatures that are known. */
const distinct = (ballots: readonly Ballot[]): readonly Ballot[] => {
  const known = new Map<string, Ballot>()
  for (const ballot of ballots) if (!known.has(keyOf(ballot.statement))) known.set(keyOf(ballot.statement), ballot)
  return [...known.values()]
}

function* votesOf({ statement, signatures }: Ballot): Generator<Vote> {
  for (const [address, signature] of signatures) yield { statement, address, signature }
}

/** Whose contradiction it is, and which. */
const chargeOf = (first: Vote, second: Vote): string =>
  `${second.address}/${contradiction(first.statement, second.statement) ?? ''}`
