import * as v from 'valibot'
import { readSealedHeader, verifyBlockSignature, type ReadHeader, type SealedHeader } from '../chain/block.ts'
import type { JsonObject } from '../chain/json.ts'
import type { Address } from '../chain/keys.ts'
import type { ChainRules } from '../chain/rules.ts'
import { decline, found, refuse, type Refusal, type Result } from '../errors.ts'
import type { Consensus, EvidenceKind, Place } from '../plugin.ts'

/** Two blocks that one key signed for one turn. */
export const blockKind = 'block'

export interface BlockEvidenceParts {
  readonly consensus: Pick<Consensus, 'turn'>
  readonly rules: ChainRules
  /** Whether this key may sign blocks, or might where this header stands, as far as that is known here. */
  readonly wasAuthority: (address: Address, header: SealedHeader) => boolean
}

const proofFields = v.strictObject({ first: v.unknown(), second: v.unknown() })

/**
 * The kind `block`: `{first, second}`, two whole headers. Refuses `bad-evidence` and what `readSealedHeader` refuses; declines
 * `no-authority`, since who may sign is a matter of the branch that one is on.
 */
export const blockEvidence = (parts: BlockEvidenceParts): EvidenceKind => ({
  name: blockKind,
  read: (proof) => readProof(proof, parts),
})

export const blockProof = (first: SealedHeader, second: SealedHeader): JsonObject => {
  // In one order, whichever came first here: two nodes that find the same tell each other nothing new.
  const [one, other] = first.current_hash < second.current_hash ? [first, second] : [second, first]
  return { first: one as object as JsonObject, second: other as object as JsonObject }
}

/** `height 17`, or all numbers of a turn that has more. */
export const turnText = (turn: Place): string => (turn.length === 1 ? `height ${turn[0]}` : `turn ${turn.join('.')}`)

function readProof(proof: JsonObject, parts: BlockEvidenceParts): ReturnType<EvidenceKind['read']> {
  const shaped = v.safeParse(proofFields, proof)
  if (!shaped.success) return wrong('expected the two headers first and second, and nothing else')
  // The cheap half of both before the signatures of either.
  const first = readSealedHeader(shaped.output.first, parts.rules)
  if (!first.ok) return { ...first, detail: `first: ${first.detail}` }
  const second = readSealedHeader(shaped.output.second, parts.rules)
  if (!second.ok) return { ...second, detail: `second: ${second.detail}` }
  const turn = contradiction(first.value, second.value, parts)
  if (!turn.ok) return turn
  const { address } = first.value.signer
  if (!parts.wasAuthority(address, first.value.block) && !parts.wasAuthority(address, second.value.block)) {
    return decline('no-authority', `${address} is no authority here, so nobody relies on what it signs`)
  }
  for (const [which, read] of Object.entries({ first: first.value, second: second.value })) {
    const verdict = verifyBlockSignature(read)
    if (!verdict.ok) return { ...verdict, detail: `${which}: ${verdict.detail}` }
  }
  return found({ address, what: turnText(turn.value) })
}

/** The turn that both headers claim. */
function contradiction(first: ReadHeader, second: ReadHeader, parts: BlockEvidenceParts): Result<Place> {
  if (first.block.current_hash === second.block.current_hash) return wrong('both headers are the same')
  if (first.signer.address !== second.signer.address) return wrong('the headers are by two different keys')
  const [one, other] = [turnOf(first.block, parts), turnOf(second.block, parts)]
  if (one === undefined || other === undefined) return wrong('a header has no turn')
  return one.join() === other.join() ? found(one) : wrong(`${turnText(one)} and ${turnText(other)} are two turns`)
}

/** undefined for what has none. The engine has not judged this header: it may make nothing of it. */
function turnOf(header: SealedHeader, { consensus }: BlockEvidenceParts): Place | undefined {
  try {
    const turn = consensus.turn?.(header)
    return turn === undefined || turn.length === 0 ? undefined : turn
  } catch {
    return undefined
  }
}

const wrong = (detail: string): Refusal => refuse('bad-evidence', detail)
