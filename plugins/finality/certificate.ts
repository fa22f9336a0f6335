import { LRUCache } from 'lru-cache'
import * as v from 'valibot'
import {
  accepted,
  AurexError,
  canonicalJson,
  found,
  isHash,
  refuse,
  sha256Hex,
  type Ancestry,
  type Hash,
  type JsonObject,
  type Result,
  type SealedHeader,
  type Verdict,
} from '../../core/index.ts'
import { isEmpty } from './quiet.ts'
import type { Rules } from './rules.ts'
import {
  messageOfBallot,
  readBallot,
  signaturesSchema,
  trimmed,
  voteText,
  type Ballot,
  type Commit,
  type IsSigned,
} from './votes.ts'

/** How far below its block a certified checkpoint may stand, so that whoever looks for the one before need not look far. */
export const certificateDepthMax = 20_000
/** Certificates that were found good, and branches that were looked through. */
const rememberedMax = 4_096

const schema = v.strictObject({
  index: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  hash: v.custom<Hash>(isHash, 'expected 64 lowercase hex digits'),
  signatures: signaturesSchema,
})

/** The header's `finality`: a quorum of commits, and not one more. */
export function certificateOf(ballot: Ballot, { quorum }: Rules): JsonObject {
  const { target, signatures } = messageOfBallot(trimmed(ballot, quorum))
  return { index: target.index, hash: target.hash, signatures }
}

/** What stands in a header's `finality`; the signatures are not checked. Refuses `bad-finality`. */
export function readCertificate(value: JsonObject, rules: Rules): Result<Ballot & { readonly statement: Commit }> {
  const shaped = v.safeParse(schema, value, { abortEarly: true })
  if (!shaped.success) {
    const [issue] = shaped.issues
    return refuse('bad-finality', `finality.${v.getDotPath(issue) ?? ''}: ${issue.message}`)
  }
  const { index, hash, signatures } = shaped.output
  const target = { index, hash }
  const ballot = readBallot({ kind: 'commit', target, signatures }, rules)
  if (!ballot.ok) return refuse('bad-finality', `finality: ${ballot.detail}`)
  const { size } = ballot.value.signatures
  if (size === rules.quorum) return found({ ...ballot.value, statement: { kind: 'commit', target } })
  return refuse('bad-finality', `finality.signatures: expected ${rules.quorum}, a quorum, got ${size}`)
}

/** Whether everybody in a ballot signed its statement. Refuses `bad-signature`. */
export function checkSignatures({ statement, signatures }: Ballot, { chainId }: Rules, isSigned: IsSigned): Verdict {
  const text = voteText(chainId, statement)
  for (const [address, signature] of signatures) {
    if (!isSigned(address, text, signature)) return refuse('bad-signature', `the vote is not signed by ${address}`)
  }
  return accepted
}

/** The certificates in headers. What it remembers only saves work: the answers follow from the headers alone. */
export class Certificates {
  readonly #rules: Rules
  readonly #isSigned: IsSigned
  readonly #good = new LRUCache<Hash, true>({ max: rememberedMax })
  /** By block: the height that is certified there or below on its branch. */
  readonly #certified = new LRUCache<Hash, number>({ max: rememberedMax })

  constructor(rules: Rules, isSigned: IsSigned) {
    this.#rules = rules
    this.#isSigned = isSigned
  }

  /**
   * Whether a header may bear its certificate, or may do without. Refuses `bad-finality`; `finality-halted`: it stands too
   * high above the last certified block, on a chain that halts.
   */
  verify(header: SealedHeader, ancestry: Ancestry): Verdict {
    const { haltAfter } = this.#rules
    if (header.finality !== undefined) return this.#verify(header.finality, header, ancestry)
    if (haltAfter === undefined || isEmpty(header) || !this.isHalted(ancestry)) return accepted
    return refuse('finality-halted', `index: ${header.index} is more than ${haltAfter} above the last certified block`)
  }

  /** Whether a block may follow only with a new certificate. */
  isHalted(ancestry: Ancestry): boolean {
    const { haltAfter } = this.#rules
    if (haltAfter === undefined) return false
    const lowest = ancestry.parent.index + 1 - haltAfter
    return lowest > 0 && this.certifiedFrom(ancestry, lowest) === undefined
  }

  /** Whether a checkpoint could be certified in the next block: it is below it, not too far, and news on its branch. */
  isNews(ancestry: Ancestry, target: Commit['target']): Verdict {
    const below = isBelow(ancestry, target)
    return below.ok ? this.#isUncertified(ancestry, target) : below
  }

  #isUncertified(ancestry: Ancestry, { index }: Commit['target']): Verdict {
    const certified = this.certifiedFrom(ancestry, index)
    return certified === undefined
      ? accepted
      : refuse('bad-finality', `finality.index: ${certified} was certified before on this branch, got ${index}`)
  }

  /** The highest height that a block of the branch certifies, where it is at least `lowest`. */
  certifiedFrom(ancestry: Ancestry, lowest: number): number | undefined {
    const { parent } = ancestry
    const known = this.#certified.get(parent.current_hash)
    if (known !== undefined) return known >= lowest ? known : undefined
    // Certificates only name blocks below them, and grow: the first that is met going down is the highest.
    let index = parent.index
    let certified: number | undefined
    for (; index > 0 && index > lowest && certified === undefined; index--) {
      const header = headerAt(ancestry, index)
      certified = this.#certified.get(header.current_hash) ?? certifiedBy(header)
    }
    if (certified === undefined && index > 0) return undefined
    this.#certified.set(parent.current_hash, certified ?? 0)
    return certified !== undefined && certified >= lowest ? certified : undefined
  }

  #verify(value: JsonObject, header: SealedHeader, ancestry: Ancestry): Verdict {
    const read = readCertificate(value, this.#rules)
    if (!read.ok) return read
    const { target } = read.value.statement
    const below = isBelow(ancestry, target)
    if (!below.ok) return below
    const { haltAfter } = this.#rules
    if (haltAfter !== undefined && !isEmpty(header) && header.index - target.index > haltAfter) {
      return refuse(
        'finality-halted',
        `finality.index: ${target.index} is more than ${haltAfter} below ${header.index}`,
      )
    }
    const signed = this.#checkSignatures(value, read.value)
    // Last, since it may look through thousands of headers, and anybody can make up what is not signed.
    return signed.ok ? this.#isUncertified(ancestry, target) : signed
  }

  #checkSignatures(value: JsonObject, ballot: Ballot): Verdict {
    const key = sha256Hex(canonicalJson(value))
    if (this.#good.has(key)) return accepted
    const signed = checkSignatures(ballot, this.#rules, this.#isSigned)
    if (!signed.ok) return refuse('bad-finality', `finality.signatures: ${signed.detail}`)
    this.#good.set(key, true)
    return accepted
  }
}

/** Whether a checkpoint stands below the next block, and not too far. */
function isBelow(ancestry: Ancestry, { index, hash }: Commit['target']): Verdict {
  const { parent } = ancestry
  if (index > parent.index) return refuse('bad-finality', `finality.index: expected one below ${parent.index + 1}`)
  if (parent.index + 1 - index > certificateDepthMax) {
    return refuse('bad-finality', `finality.index: expected one at most ${certificateDepthMax} below the block`)
  }
  if (headerAt(ancestry, index).current_hash === hash) return accepted
  return refuse('bad-finality', `finality.hash: block ${index} of this branch is another`)
}

/** Only of headers that were verified. */
const certifiedBy = ({ finality }: SealedHeader): number | undefined => finality?.['index'] as number | undefined

function headerAt(ancestry: Ancestry, index: number): SealedHeader {
  const header = ancestry.at(index)
  if (header !== undefined) return header
  throw new AurexError(
    'missing-ancestor',
    `finality: block ${index}, below ${ancestry.parent.current_hash}, is not in the ledger; run: aurex verify`,
  )
}
