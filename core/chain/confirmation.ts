import * as v from 'valibot'
import { accepted, decline, found, type Result, type Verdict } from '../errors.ts'
import { canonicalJson, isHash, utf8Bytes, type Hash } from './canonical.ts'
import { isObject, type Json, type JsonObject } from './json.ts'
import {
  isNodeId,
  nodeIdOf,
  publicKeyOfPem,
  purposes,
  signedText,
  type KeyPair,
  type NodeId,
  type PublicKey,
} from './keys.ts'
import { decodeSignature, verifySignature } from './signature.ts'
import { parseTimestamp, type Timestamp } from './timestamp.ts'

/**
 * That a node has a block on its chain (`block_confirmation`), or no longer has it (`block_orphaned`), as protocol
 * sections 6 and 7 have it.
 */
export interface Confirmation {
  readonly type: 'block_confirmation' | 'block_orphaned'
  readonly block_index: number
  readonly block_hash: Hash
  /** Who made the block. */
  readonly miner_id: NodeId
  /** Who says so. */
  readonly node_id: NodeId
  /** The block's own. */
  readonly timestamp: Timestamp
  readonly chain_id?: Hash
  /** Whether the block can no longer be undone. */
  readonly final?: boolean
  /** The same for the same news, whenever it is sent: a receiver may drop what it has had. */
  readonly id?: string
  /** Grows with everything that the node says about its blocks; that one is final has that of the block's own. */
  readonly sequence?: number
  readonly transactions?: Json
  readonly public_key_pem?: string
  readonly signature?: string
}

const schema = v.object({
  type: v.picklist(['block_confirmation', 'block_orphaned']),
  block_index: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  block_hash: v.custom<Hash>(isHash, 'expected 64 lowercase hex digits'),
  miner_id: v.pipe(v.string(), v.maxLength(64)),
  node_id: v.custom<NodeId>((id) => typeof id === 'string' && isNodeId(id), 'expected a node id, a UUID version 8'),
  timestamp: v.custom<Timestamp>(
    (text) => typeof text === 'string' && parseTimestamp(text) !== undefined,
    'expected the form 2026-11-21T01:02:03.456Z',
  ),
  chain_id: v.exactOptional(v.custom<Hash>(isHash, 'expected 64 lowercase hex digits')),
  final: v.exactOptional(v.boolean()),
  id: v.exactOptional(v.pipe(v.string(), v.maxLength(128))),
  sequence: v.exactOptional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
  transactions: v.exactOptional(v.array(v.custom<JsonObject>(isObject, 'expected an object'))),
  public_key_pem: v.exactOptional(v.pipe(v.string(), v.maxLength(400))),
  signature: v.exactOptional(v.string()),
})

export interface ReadConfirmation {
  /** As it came, unknown fields and all: the signature covers them. */
  readonly confirmation: Confirmation
  /** Whose signature it bears, checked; undefined where it bears none. */
  readonly signer: PublicKey | undefined
}

/** What is signed: canonical JSON of everything but the signature. */
function textOf(confirmation: JsonObject): string {
  const { signature: _signature, ...rest } = confirmation
  return canonicalJson(rest)
}

export function signConfirmation(key: KeyPair, unsigned: Confirmation): Confirmation {
  const named = { ...unsigned, public_key_pem: key.pem }
  return { ...named, signature: key.sign(purposes.confirmation, textOf(named)) }
}

/**
 * Declines `bad-confirmation` (names the field), `bad-key`, `bad-signature`, and `wrong-key` where `node_id` is not that of
 * the key. `trust` says whether the word of a key counts at all, and is asked before the signature is checked, which is
 * what costs most: what it declines is declined.
 */
export function readConfirmation(
  value: JsonObject,
  trust: (key: PublicKey) => Verdict = () => accepted,
): Result<ReadConfirmation> {
  const shaped = v.safeParse(schema, value, { abortEarly: true })
  if (!shaped.success) {
    const [issue] = shaped.issues
    const what = issue.received === 'undefined' ? 'is missing' : issue.message
    return decline('bad-confirmation', `${v.getDotPath(issue) ?? 'confirmation'}: ${what}`)
  }
  const confirmation = value as unknown as Confirmation
  const { signature, public_key_pem, node_id } = confirmation
  if (signature === undefined) return found({ confirmation, signer: undefined })
  if (public_key_pem === undefined) return decline('bad-confirmation', 'public_key_pem: is missing beside signature')
  const key = publicKeyOfPem(public_key_pem)
  if (!key.ok) return decline(key.code, key.detail)
  if (nodeIdOf(key.value) !== node_id) return decline('wrong-key', 'node_id is not that of the key in public_key_pem')
  const trusted = trust(key.value)
  if (!trusted.ok) return trusted
  const bytes = decodeSignature(signature)
  if (!bytes.ok) return decline(bytes.code, bytes.detail)
  const text = utf8Bytes(signedText(purposes.confirmation, textOf(value)))
  if (verifySignature(key.value, text, bytes.value)) return found({ confirmation, signer: key.value })
  return decline('bad-signature', 'signature: not by public_key_pem over the confirmation without its signature')
}
