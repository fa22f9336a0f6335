import * as v from 'valibot'
import { excerpt, found, publicKeyOf, refuse, type Address, type JsonObject, type Result } from '../../core/index.ts'

/** A list of so many, with the seal around it, has room in a block beside its transactions. */
export const authoritiesMax = 200

/** What a block says of one address. */
export type Ballot =
  | { readonly target: Address; readonly authorize: boolean }
  /** The signer's vote on this address, if it has one, is taken back. */
  | { readonly target: Address; readonly withdraw: true }

/** What stands in a header's `seal`. */
export interface PoaSeal {
  /** How many turns ago it was the signer's turn: 0 is in turn. */
  readonly since_turn: number
  readonly vote?: Ballot
  /** At a checkpoint: all authorities, in the order of turns. */
  readonly authorities?: readonly Address[]
}

const sealFields = v.strictObject({
  since_turn: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(authoritiesMax)),
  vote: v.exactOptional(v.unknown()),
  authorities: v.exactOptional(v.unknown()),
})
const ballotFields = v.union([
  v.strictObject({ target: v.string(), authorize: v.boolean() }),
  v.strictObject({ target: v.string(), withdraw: v.literal(true) }),
])
const listFields = v.pipe(v.array(v.string()), v.maxLength(authoritiesMax))

/** Reads a header's `seal`, as far as it speaks for itself. Refuses `bad-seal`, `bad-vote`, `bad-checkpoint`. */
export function readSeal(seal: JsonObject | undefined): Result<PoaSeal> {
  const shaped = v.safeParse(sealFields, seal, { abortEarly: true })
  if (!shaped.success) return refuse('bad-seal', `seal: expected since_turn, vote, authorities; ${issueText(shaped)}`)
  const { since_turn, vote, authorities } = shaped.output
  const ballot = vote === undefined ? undefined : readBallot(vote)
  if (ballot?.ok === false) return ballot
  if (authorities !== undefined && !v.is(listFields, authorities)) {
    return refuse('bad-checkpoint', `authorities: expected a list of at most ${authoritiesMax} addresses`)
  }
  return found({
    since_turn,
    ...(ballot === undefined ? {} : { vote: ballot.value }),
    ...(authorities === undefined ? {} : { authorities }),
  })
}

function readBallot(vote: unknown): Result<Ballot> {
  const shaped = v.safeParse(ballotFields, vote)
  if (!shaped.success) {
    return refuse('bad-vote', 'vote: expected {target, authorize: true or false} or {target, withdraw: true}')
  }
  // Who cannot have a key must not become an authority: it would count, and never sign.
  const { target } = shaped.output
  if (!publicKeyOf(target).ok) return refuse('bad-vote', `vote: ${excerpt(target)} is not the address of a proper key`)
  return found(shaped.output)
}

const issueText = ({ issues: [issue] }: { readonly issues: readonly [v.BaseIssue<unknown>, ...unknown[]] }): string =>
  `${v.getDotPath(issue) ?? 'seal'}: expected ${issue.expected ?? 'another value'}, got ${excerpt(issue.received)}`
