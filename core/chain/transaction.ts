import { accepted, found, refuse, type Result, type Verdict } from '../errors.ts'
import type { StatedTransaction } from '../plugin.ts'
import type { SignatureCheck } from '../runtime.ts'
import { canonicalJson, sha256Hex, utf8Bytes, type Hash } from './canonical.ts'
import { isObject, jsonFault, nestingMax, type JsonObject } from './json.ts'
import { isAddress, publicKeyOf, publicKeyOfPem, purposes, signedText, type KeyPair, type PublicKey } from './keys.ts'
import type { ChainRules, Gateways } from './rules.ts'
import { decodeSignature, verifySignature } from './signature.ts'

/** Protocol section 3. `sender` is an address, or a name for which the key in `public_key_pem` signed. */
export interface Transaction {
  readonly sender: string
  readonly data: JsonObject
  /** Base64 of 64 bytes. */
  readonly signature: string
  readonly nonce?: number
  readonly public_key_pem?: string
}

const nameCharactersMax = 128

/** A transaction that has been read, with what follows from its bytes alone. */
export interface ReadTransaction {
  readonly transaction: Transaction
  readonly hash: Hash
  /** Canonical JSON of the transaction, in bytes: what quotas count. */
  readonly bytes: number
  readonly signer: PublicKey
  /** Why the signer may sign for the sender, as far as the genesis says. */
  readonly right: SigningRight
  readonly check: SignatureCheck
}

export type SigningRight = StatedTransaction['right']

/**
 * Reads a transaction from JSON as protocol section 3 has it: every rule but the signature itself, which is returned
 * as a check to be made (it is the slow part). Fields that are not the transaction's are not looked at.
 *
 * Refuses `bad-transaction` (names the field), `too-large`, `too-deep`, `bad-json` (data that `parseJson` refuses),
 * `bad-key`, `bad-signature` (its form), `wrong-key`. On a chain with an application a name may be signed for by any proper
 * key: the application decides.
 */
export function readTransaction(value: unknown, rules: ChainRules): Result<ReadTransaction> {
  const shaped = shape(value)
  if (!shaped.ok) return shaped
  const transaction = shaped.value
  // Whatever way it came, it must be readable by every peer that it is sent on to.
  const fault = jsonFault(transaction, nestingMax)
  if (fault !== undefined) return fault
  const data = canonicalJson(transaction.data)
  const bytes = Buffer.byteLength(wholeJson(transaction, data))
  const bytesMax = rules.limits.transactionBytesMax
  if (bytes > bytesMax) {
    return refuse('too-large', `the transaction is ${bytes} bytes as canonical JSON; at most ${bytesMax}`)
  }
  const signer = signerOf(transaction)
  if (!signer.ok) return signer
  const right = rightOf(transaction, signer.value, rules.gateways)
  // Without an application nobody else knows of any right.
  if (right === 'none' && rules.application === undefined) return noRight
  const signature = decodeSignature(transaction.signature)
  if (!signature.ok) return signature
  const message = utf8Bytes(signedText(purposes.transaction, signedJson(transaction, data, rules.chainId)))
  return found({
    transaction,
    bytes,
    hash: sha256Hex(message),
    signer: signer.value,
    right,
    check: { publicKey: signer.value.raw, message, signature: signature.value },
  })
}

/** The signature of a transaction that was read. Refuses `bad-signature`. */
export const verifyTransaction = (read: ReadTransaction): Verdict =>
  verifySignature(read.signer, read.check.message, read.check.signature) ? accepted : badSignature

export const badSignature = refuse('bad-signature', 'the signature is not by the key that must have signed')

/** The signed text: its SHA-256 is the transaction's id, so the signature is not part of the id. */
export function transactionText(transaction: Omit<Transaction, 'signature'>, chainId: Hash): string {
  return signedText(purposes.transaction, signedJson(transaction, canonicalJson(transaction.data), chainId))
}

// Canonical JSON of objects whose names are known, and written here in their order: a third of the cost of sorting them.

function signedJson({ sender, nonce }: Omit<Transaction, 'signature'>, data: string, chainId: Hash): string {
  return `{"chain_id":${canonicalJson(chainId)},"data":${data}${member('nonce', nonce)},"sender":${canonicalJson(sender)}}`
}

function wholeJson({ sender, signature, nonce, public_key_pem }: Transaction, data: string): string {
  const optional = member('nonce', nonce) + member('public_key_pem', public_key_pem)
  return `{"data":${data}${optional},"sender":${canonicalJson(sender)},"signature":${canonicalJson(signature)}}`
}

const member = (name: string, value: number | string | undefined): string =>
  value === undefined ? '' : `,"${name}":${canonicalJson(value)}`

/** The id of a transaction on a chain (`tx_hash`). */
export const transactionHash = (transaction: Omit<Transaction, 'signature'>, chainId: Hash): Hash =>
  sha256Hex(transactionText(transaction, chainId))

/** Makes a transaction of `sender`, a name, and signs it for that name with a key that may: a gateway's, or the name's own. */
export function attestTransaction(
  key: KeyPair,
  chainId: Hash,
  sender: string,
  data: JsonObject,
  nonce?: number,
): Transaction {
  const unsigned = { sender, data, ...(nonce === undefined ? {} : { nonce }), public_key_pem: key.pem }
  const text = transactionText(unsigned, chainId).slice(purposes.transaction.length + 1)
  return { ...unsigned, signature: key.sign(purposes.transaction, text) }
}

/** Makes and signs a transaction in the name of the key's own address. */
export function signTransaction(key: KeyPair, chainId: Hash, data: JsonObject, nonce?: number): Transaction {
  const unsigned = nonce === undefined ? { sender: key.address, data } : { sender: key.address, data, nonce }
  const text = transactionText(unsigned, chainId).slice(purposes.transaction.length + 1)
  return { ...unsigned, signature: key.sign(purposes.transaction, text) }
}

function shape(value: unknown): Result<Transaction> {
  if (!isObject(value)) return refuse('bad-transaction', 'a transaction is a JSON object')
  const { sender, data, signature, nonce, public_key_pem } = value
  if (typeof sender !== 'string') return badField('sender', 'a string', sender)
  if (!hasNameLength(sender)) {
    return refuse('bad-transaction', `sender: expected 1 to ${nameCharactersMax} characters`)
  }
  // It is no name, and as an address it would be a second spelling.
  if (!isAddress(sender) && isAddress(sender.toLowerCase())) {
    return refuse('bad-transaction', 'sender: the hex digits of an address are lowercase')
  }
  if (!isObject(data)) return badField('data', 'a JSON object', data)
  if (typeof signature !== 'string') return badField('signature', 'base64 of 64 bytes', signature)
  if (nonce !== undefined && !Number.isSafeInteger(nonce)) return badField('nonce', 'a safe integer', nonce)
  if (public_key_pem !== undefined && typeof public_key_pem !== 'string') {
    return badField('public_key_pem', 'a PEM string', public_key_pem)
  }
  const transaction: { -readonly [Field in keyof Transaction]: Transaction[Field] } = { sender, data, signature }
  if (nonce !== undefined) transaction.nonce = nonce as number
  if (public_key_pem !== undefined) transaction.public_key_pem = public_key_pem
  return found(transaction)
}

/** Characters are code points, of one or two code units: only between these bounds must they be counted. */
function hasNameLength(text: string): boolean {
  if (text.length <= nameCharactersMax) return text.length > 0
  return text.length <= 2 * nameCharactersMax && Array.from(text).length <= nameCharactersMax
}

/** `bad-transaction`, naming the field, what it must be and what it was. */
function badField(field: string, expected: string, got: unknown) {
  const kind =
    got === undefined ? 'nothing' : got === null ? 'null' : Array.isArray(got) ? 'an array' : `a ${typeof got}`
  return refuse('bad-transaction', `${field}: expected ${expected}, got ${kind}`)
}

const noRight = refuse('wrong-key', 'the key in public_key_pem may not sign for names on this chain')

function rightOf({ sender }: Transaction, { address }: PublicKey, gateways: Gateways): SigningRight {
  if (isAddress(sender)) return 'own'
  if (gateways === 'any') return 'anyone'
  return gateways.includes(address) ? 'gateway' : 'none'
}

function signerOf(transaction: Transaction): Result<PublicKey> {
  const { sender, public_key_pem } = transaction
  const given = public_key_pem === undefined ? undefined : publicKeyOfPem(public_key_pem)
  if (given !== undefined && !given.ok) return given
  if (isAddress(sender)) {
    if (given !== undefined && given.value.address !== sender) {
      return refuse('wrong-key', 'public_key_pem is not the key of the address in sender')
    }
    return publicKeyOf(sender)
  }
  if (given === undefined) {
    return refuse('bad-transaction', 'public_key_pem: a sender that is a name needs the key that signed for it')
  }
  return given
}
