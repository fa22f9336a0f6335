import * as v from 'valibot'
import {
  accepted,
  canonicalJson,
  decline,
  found,
  isHash,
  refuse,
  type Address,
  type Checkpoint,
  type Hash,
  type Json,
  type JsonObject,
  type Result,
  type Verdict,
} from '../../core/index.ts'
import type { Rules } from './rules.ts'
import { authoritiesMax } from './schema.ts'

/** `target` may follow `source`, which I know to be justified. */
export interface Justify {
  readonly kind: 'justify'
  readonly source: Checkpoint
  readonly target: Checkpoint
}
/** `target`, which I know to be justified, is never to be undone. */
export interface Commit {
  readonly kind: 'commit'
  readonly target: Checkpoint
}
/** What an authority signs. */
export type Statement = Justify | Commit

export interface Vote {
  readonly statement: Statement
  readonly address: Address
  /** Base64. */
  readonly signature: string
}

/** One statement, and who signed it. */
export interface Ballot {
  readonly statement: Statement
  readonly signatures: ReadonlyMap<Address, string>
}

/** Whether the key behind an address signed a text, as votes are signed. */
export type IsSigned = (address: Address, text: string, signature: string) => boolean

/** What stands below the purpose line in what is signed. */
export const voteText = (chainId: Hash, statement: Statement): string =>
  canonicalJson({ chain_id: chainId, ...statement })

/** The same for equal statements, and for no others. */
export const keyOf = (statement: Statement): string => {
  const { kind, target } = statement
  const from = statement.kind === 'justify' ? `${statement.source.index}:${statement.source.hash}` : ''
  return `${kind}/${from}/${target.index}:${target.hash}`
}

// ---- reading ----

const checkpoint = v.strictObject({
  index: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  hash: v.custom<Hash>(isHash, 'expected 64 lowercase hex digits'),
})
const statementEntries = {
  kind: v.picklist(['justify', 'commit']),
  source: v.exactOptional(checkpoint),
  target: checkpoint,
}
const signatureText = v.pipe(v.string(), v.length(88))

export const signaturesSchema = v.pipe(
  v.record(v.pipe(v.string(), v.length(64)), signatureText),
  v.check((signatures) => {
    const count = Object.keys(signatures).length
    return count >= 1 && count <= authoritiesMax
  }, `expected 1 to ${authoritiesMax} signatures`),
)

/** `finality_vote`: one statement and the signatures under it. One is a vote, a quorum of them a certificate. */
export const messageSchema = v.strictObject({
  type: v.exactOptional(v.string()),
  ...statementEntries,
  signatures: signaturesSchema,
})
export type VoteMessage = v.InferOutput<typeof messageSchema>

export const voteSchema = v.strictObject({ ...statementEntries, address: v.string(), signature: signatureText })

const textSchema = v.strictObject({ chain_id: v.string(), ...statementEntries })

/** What has the form of a statement, as far as it can mean something on this chain. Refuses `bad-vote`. */
export function readStatement(
  { kind, source, target }: Pick<VoteMessage, 'kind' | 'source' | 'target'>,
  rules: Rules,
): Result<Statement> {
  if (target.index === 0 || target.index % rules.every !== 0) {
    return refuse('bad-vote', `target.index: expected a multiple of ${rules.every} above 0, got ${target.index}`)
  }
  if (kind === 'commit') {
    return source === undefined ? found({ kind, target }) : refuse('bad-vote', 'source: a commit has none')
  }
  if (source === undefined) return refuse('bad-vote', 'source: is missing')
  const verdict = checkSource(source, target, rules)
  return verdict.ok ? found({ kind, source, target }) : verdict
}

function checkSource(source: Checkpoint, target: Checkpoint, { every, chainId }: Rules): Verdict {
  if (source.index >= target.index || source.index % every !== 0) {
    return refuse('bad-vote', `source.index: expected a multiple of ${every} below ${target.index}`)
  }
  if (source.index === 0 && source.hash !== chainId) return refuse('bad-vote', 'source.hash: block 0 is another')
  return accepted
}

/** Declines `unknown-authority`; refuses `bad-vote`. The signatures are not checked. */
export function readBallot(message: VoteMessage, rules: Rules): Result<Ballot> {
  const statement = readStatement(message, rules)
  if (!statement.ok) return statement
  const signatures = new Map(Object.entries(message.signatures))
  const stranger = signatures.keys().find((address) => !rules.authorities.includes(address))
  if (stranger !== undefined) return decline('unknown-authority', `${stranger} is no authority of this chain`)
  return found({ statement: statement.value, signatures })
}

/** What this node itself signed, from its record; undefined where it is of another chain or cannot be read. */
export function statementOfText(text: string, rules: Rules): Statement | undefined {
  const shaped = v.safeParse(v.pipe(v.string(), v.parseJson(), textSchema), text)
  if (!shaped.success || shaped.output.chain_id !== rules.chainId) return undefined
  const read = readStatement(shaped.output, rules)
  return read.ok ? read.value : undefined
}

// ---- writing ----

export const messageOfBallot = ({ statement, signatures }: Ballot): VoteMessage => ({
  ...statement,
  signatures: Object.fromEntries([...signatures].toSorted(byAddress)),
})

export const ballotOfVote = ({ statement, address, signature }: Vote): Ballot => ({
  statement,
  signatures: new Map([[address, signature]]),
})

export const jsonOfVote = ({ statement, address, signature }: Vote): JsonObject => ({
  ...(statement as unknown as { readonly [key: string]: Json }),
  address,
  signature,
})

/** Exactly as many signatures as decide, those of the lowest addresses. */
export function trimmed({ statement, signatures }: Ballot, quorum: number): Ballot {
  return { statement, signatures: new Map([...signatures].toSorted(byAddress).slice(0, quorum)) }
}

const byAddress = ([a]: readonly [Address, string], [b]: readonly [Address, string]): number => (a < b ? -1 : 1)
