import * as v from 'valibot'
import { canonicalJson, isHash, type Hash } from '../chain/canonical.ts'
import type { JsonObject } from '../chain/json.ts'
import { isAddress, type Address, type Purpose } from '../chain/keys.ts'
import { checkQuorum, quorumOf, signatureList, type SignatureList } from '../chain/quorum.ts'
import { isSignedBy } from '../chain/signature.ts'
import { accepted, decline, found, refuse, type Result, type Verdict } from '../errors.ts'
import type { Context } from '../plugin.ts'

const whole = v.pipe(v.number(), v.safeInteger(), v.minValue(0))

/** What an authority says at one step of one round: for a block, or for none. As it goes over the wire. */
export const voteSchema = v.strictObject({
  step: v.string(),
  height: whole,
  round: whole,
  /** null: for no block. */
  hash: v.nullable(
    v.custom<Hash>((text) => typeof text === 'string' && isHash(text), 'expected 64 lowercase hex digits'),
  ),
  address: v.pipe(v.string(), v.check(isAddress)),
  signature: v.string(),
})
export type Vote = v.InferOutput<typeof voteSchema>

/** More than two thirds of the authorities said the same in one round. */
export const certificateSchema = v.strictObject({ round: whole, signatures: signatureList })

export interface Agreement {
  readonly hash: Hash | null
  readonly certificate: { readonly round: number; readonly signatures: SignatureList }
  readonly votes: readonly Vote[]
}

interface BallotsParts<S extends string> {
  readonly context: Pick<Context, 'signer' | 'contribute' | 'accuse' | 'log'>
  /** The plugin's name: what it signs begins with it, and evidence is called so. */
  readonly plugin: string
  readonly chainId: Hash
  /**
   * Each a track of the record of what is signed, so that the last vote of each can be said again after a restart. The first
   * one is for the round's proposer alone, and never for no block.
   */
  readonly steps: readonly S[]
}

/**
 * Votes of rounds so far from this node's own are not kept. It finds others that are ahead by a thousand rounds, which take
 * days; and somebody who lies can fill no more than that.
 */
const roundsAwayMax = 1_000
const stale = decline('stale-vote', 'it is of another height, of a round far away, or known')
const noEvidence = refuse('bad-evidence', 'expected two votes of one authority that contradict each other')

/**
 * The votes of one height, for engines whose authorities vote in rounds: signed once and for good, checked, counted. Who says
 * two things at one place is accused.
 */
export class Ballots<S extends string> {
  /** The round that this node is in. */
  round = 0
  #height = 0
  #authorities: readonly Address[] = []
  readonly #parts: BallotsParts<S>
  readonly #purpose: Purpose
  readonly #votes = new Map<string, Vote>()
  /** Or else the log says so already. */
  #isSigning = true

  constructor(parts: BallotsParts<S>) {
    this.#parts = parts
    this.#purpose = `aurex/${parts.plugin}/1`
    parts.context.contribute('evidence', { name: parts.plugin, read: (proof) => this.#readProof(proof) })
  }

  /** Another height: nothing is known of it but what this node itself said, which is on record; it stands in that round. */
  begin(height: number, authorities: readonly Address[]): void {
    const { signer } = this.#parts.context
    this.#height = height
    this.#authorities = authorities
    this.#votes.clear()
    this.round = 0
    for (const step of this.#parts.steps) {
      const { place, text } = signer.last(step) ?? {}
      if (place?.[0] !== height) continue
      this.round = Math.max(this.round, place[1]!)
      this.vote(step, (JSON.parse(text!) as Vote).hash, place[1])
    }
  }

  /** How many of the authorities are more than two thirds. */
  get quorum(): number {
    return quorumOf(this.#authorities)
  }

  isAuthority(address = this.#parts.context.signer.address): boolean {
    return this.#authorities.includes(address)
  }

  /** Whose turn it is to propose: one after the other, from height to height and from round to round. */
  proposer(round = this.round): Address {
    return this.#authorities[(this.#height + round) % this.#authorities.length] ?? ''
  }

  /** Whether that is this node. */
  isProposer(): boolean {
    return this.proposer() === this.#parts.context.signer.address
  }

  all(): readonly Vote[] {
    return [...this.#votes.values()]
  }

  said(step: S, round = this.round): readonly Vote[] {
    return this.all().filter((vote) => vote.step === step && vote.round === round)
  }

  /** Which authorities said nothing at this step, or of the first one, whether its proposer did. */
  missing(step: S): readonly Address[] {
    const asked = step === this.#parts.steps[0] ? [this.proposer()] : this.#authorities
    return asked.filter((address) => !this.said(step).some((vote) => vote.address === address))
  }

  /** Whether this node said something at this step. */
  isSaid(step: S, round = this.round): boolean {
    return this.said(step, round).some(({ address }) => address === this.#parts.context.signer.address)
  }

  /** What more than two thirds of the authorities said; undefined: they did not. */
  agreed(step: S, round = this.round): Agreement | undefined {
    const said = this.said(step, round)
    for (const hash of new Set(said.map((vote) => vote.hash))) {
      // As many as are needed: a certificate need not be longer.
      const votes = said.filter((vote) => vote.hash === hash).slice(0, this.quorum)
      if (votes.length < this.quorum) continue
      const signatures = Object.fromEntries(votes.map(({ address, signature }) => [address, signature]))
      return { hash, votes, certificate: { round, signatures } }
    }
    return undefined
  }

  /** The highest round that so many authorities have reached that one of them at least tells the truth; -1: none. */
  reached(): number {
    const last = new Map<Address, number>()
    for (const { address, round } of this.#votes.values()) last.set(address, Math.max(round, last.get(address) ?? 0))
    const falls = [...last.values()].sort((a, b) => b - a)
    return falls[this.#authorities.length - this.quorum] ?? -1
  }

  /** Signs what this node says. undefined: it is no authority, or may not sign it, and the log says why. */
  vote(step: S, hash: Hash | null, round = this.round): Vote | undefined {
    const { context, chainId } = this.#parts
    const { address } = context.signer
    if (!this.isAuthority(address)) return undefined
    const said = { step, height: this.#height, round, hash }
    const signed = context.signer.sign(step, [said.height, round], ballotText(chainId, said))
    if (!signed.ok && this.#isSigning) context.log.warn('votes are not signed', { step, round, why: signed.detail })
    this.#isSigning = signed.ok
    if (!signed.ok) return undefined
    const vote = { ...said, address, signature: signed.value }
    this.#votes.set(placeOf(vote), vote)
    return vote
  }

  /** Keeps what somebody is said to have said. Refuses `bad-vote`; declines what is not new or of no use. */
  take(vote: Vote): Verdict {
    const { context, chainId } = this.#parts
    const { step, height, round, address } = vote
    const known = this.#votes.get(placeOf(vote))
    if (height !== this.#height || Math.abs(round - this.round) > roundsAwayMax) return stale
    if (known?.signature === vote.signature || !this.isAuthority(address)) return stale
    if (!this.#isStep(step)) return refuse('bad-vote', `step: expected one of ${this.#parts.steps.join(', ')}`)
    const isFirst = step === this.#parts.steps[0]
    if (isFirst && (vote.hash === null || address !== this.proposer(round))) {
      return refuse('bad-vote', `${step}: round ${round} of height ${height} is not of ${address}`)
    }
    if (!this.#isSigned(vote)) return refuse('bad-vote', `the signature is not by ${address}`)
    if (address === context.signer.address) context.signer.met(step, [height, round], ballotText(chainId, vote))
    if (known === undefined) this.#votes.set(placeOf(vote), vote)
    else if (known.hash !== vote.hash) context.accuse(this.#parts.plugin, { first: known, second: vote })
    return known === undefined ? accepted : stale
  }

  /** Whether a certificate proves that a quorum of these said this of a block. Refuses `bad-certificate`. */
  verify(certificate: unknown, said: Omit<Said, 'round'>, authorities: readonly Address[]): Verdict {
    const shaped = v.safeParse(certificateSchema, certificate)
    if (!shaped.success)
      return refuse('bad-certificate', 'certificate: expected {round, signatures: {address: base64}}')
    const { round, signatures } = shaped.output
    return checkQuorum(signatures, authorities, this.#purpose, ballotText(this.#parts.chainId, { ...said, round }))
  }

  /**
   * Takes what a certificate that was verified says. Where this node's own key is among its signatures and the record does
   * not know of it, nothing is signed any more (`Signer.met`).
   */
  meet(certificate: unknown, said: Omit<Said, 'round'>): void {
    const { signer } = this.#parts.context
    const shaped = v.safeParse(certificateSchema, certificate)
    if (!shaped.success) return
    const { round, signatures } = shaped.output
    for (const [address, signature] of Object.entries(signatures)) {
      if (address !== signer.address) this.take({ ...said, round, address, signature })
      else signer.met(said.step, [said.height, round], ballotText(this.#parts.chainId, { ...said, round }))
    }
  }

  #isStep = (step: string): step is S => this.#parts.steps.some((one) => one === step)

  #isSigned = (vote: Vote): boolean =>
    isSignedBy(vote.address, this.#purpose, ballotText(this.#parts.chainId, vote), vote.signature)

  #readProof(proof: JsonObject): Result<{ readonly address: Address; readonly what: string }> {
    const shaped = v.safeParse(v.strictObject({ first: voteSchema, second: voteSchema }), proof)
    if (!shaped.success) return noEvidence
    const { first, second } = shaped.output
    const contradict = placeOf(first) === placeOf(second) && first.hash !== second.hash
    if (!contradict || !this.#isStep(first.step)) return noEvidence
    if (!this.isAuthority(first.address)) return decline('no-authority', `${first.address} is no authority here`)
    if (!this.#isSigned(first) || !this.#isSigned(second)) return noEvidence
    return found({ address: first.address, what: `height ${first.height}` })
  }
}

type Said = Pick<Vote, 'step' | 'height' | 'round' | 'hash'>

/** What is signed, after the line `aurex/<plugin>/1`. */
export const ballotText = (chainId: Hash, { step, height, round, hash }: Said): string =>
  canonicalJson({ chain_id: chainId, step, height, round, hash })

const placeOf = ({ height, round, step, address }: Vote): string => `${height}/${round}/${step}/${address}`
