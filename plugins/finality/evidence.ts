import * as v from 'valibot'
import {
  decline,
  found,
  refuse,
  type Address,
  type EvidenceKind,
  type JsonObject,
  type Result,
} from '../../core/index.ts'
import { contradiction } from './contradiction.ts'
import type { Rules } from './rules.ts'
import { jsonOfVote, readStatement, voteSchema, voteText, type IsSigned, type Vote } from './votes.ts'

const proofSchema = v.strictObject({ first: voteSchema, second: voteSchema })

/** Two votes of one key that no honest key signs both. */
export const proofOf = (first: Vote, second: Vote): JsonObject => ({
  first: jsonOfVote(first),
  second: jsonOfVote(second),
})

/** Refuses `bad-evidence`, `bad-signature`; declines `unknown-authority`. */
export const voteEvidence = (rules: Rules, isSigned: IsSigned): EvidenceKind => ({
  name: 'finality',
  read(proof): Result<{ readonly address: Address; readonly what: string }> {
    const shaped = v.safeParse(proofSchema, proof, { abortEarly: true })
    if (!shaped.success) {
      const [issue] = shaped.issues
      return refuse('bad-evidence', `${v.getDotPath(issue) ?? 'proof'}: ${issue.message}`)
    }
    const { first, second } = shaped.output
    const { address } = first
    if (second.address !== address) return refuse('bad-evidence', 'the votes are of two keys')
    if (!rules.authorities.includes(address)) return decline('unknown-authority', `${address} is no authority`)
    const [one, other] = [readStatement(first, rules), readStatement(second, rules)]
    if (!one.ok) return one
    if (!other.ok) return other
    const what = contradiction(one.value, other.value)
    if (what === undefined) return refuse('bad-evidence', 'an honest key may sign both votes')
    for (const [statement, { signature }] of [[one.value, first] as const, [other.value, second] as const]) {
      if (isSigned(address, voteText(rules.chainId, statement), signature)) continue
      return refuse('bad-signature', `a vote is not signed by ${address}`)
    }
    return found({ address, what })
  },
})
