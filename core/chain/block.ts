import * as v from 'valibot'
import { accepted, found, refuse, type Result, type Verdict } from '../errors.ts'
import type { SignatureCheck } from '../runtime.ts'
import { canonicalJson, isHash, sha256Hex, utf8Bytes, zeroHash, type Hash } from './canonical.ts'
import { excerpt, isObject, jsonFault, nestingMax, type Json, type JsonObject } from './json.ts'
import { nodeIdOf, publicKeyOfPem, purposes, signedText, type Address, type NodeId, type PublicKey } from './keys.ts'
import { merkleRoot } from './merkle.ts'
import type { ChainRules } from './rules.ts'
import { decodeSignature, verifySignature } from './signature.ts'
import { parseTimestamp, type Timestamp } from './timestamp.ts'
import { readTransaction, type ReadTransaction, type Transaction } from './transaction.ts'

/** What a block's hash covers, beside the nonce (protocol section 4). */
export interface Header {
  readonly version: 1
  readonly chain_id: Hash
  /** The engine's name. */
  readonly consensus: string
  readonly index: number
  readonly timestamp: Timestamp
  readonly prev_hash: Hash
  readonly miner_id: NodeId
  readonly public_key_pem: string
  /** Expected hashes, or the engine's weight. */
  readonly work: number
  readonly tx_root: Hash
  readonly state_root: Hash
  /** Up to 64 printable ASCII characters of the producer's choice. */
  readonly extra: string
  readonly signer_id?: NodeId
  /** The engine's own fields. */
  readonly seal?: JsonObject
  /** A certificate for an earlier checkpoint. */
  readonly finality?: JsonObject
}

export interface SealedHeader extends Header {
  readonly current_hash: Hash
  readonly nonce: number
  /** Base64, by the key in `public_key_pem`, over `current_hash`. */
  readonly signature: string
  /** What the engine can only know about the finished hash. */
  readonly certificate?: Json
}

export interface Block extends SealedHeader {
  readonly transactions: readonly Transaction[]
}

/** A header that has been read, alone or with a body that has not: what follows from it holds, but for the signature. */
export interface ReadHeader<H extends SealedHeader = SealedHeader> {
  readonly block: H
  readonly signer: PublicKey
  readonly check: SignatureCheck
}

/** A block that has been read: everything that follows from its own bytes holds, but for the signatures in `checks`. */
export interface ReadBlock extends ReadHeader<Block> {
  readonly transactions: readonly ReadTransaction[]
  /** Canonical JSON, in bytes. */
  readonly bytes: number
}

const headerEntries = {
  version: v.literal(1),
  chain_id: v.string(),
  consensus: v.string(),
  index: v.number(),
  timestamp: v.string(),
  prev_hash: v.string(),
  current_hash: v.string(),
  nonce: v.number(),
  miner_id: v.string(),
  public_key_pem: v.string(),
  signature: v.string(),
  work: v.number(),
  tx_root: v.string(),
  state_root: v.string(),
  extra: v.string(),
  signer_id: v.optional(v.string()),
  // Kept as they came: a schema that copies objects would drop names such as `constructor` that the hash covers.
  seal: v.optional(v.custom<JsonObject>(isObject)),
  finality: v.optional(v.custom<JsonObject>(isObject)),
  certificate: v.optional(v.custom<Json>(() => true)),
}
const sealedHeaderFields = v.strictObject(headerEntries)
const blockFields = v.strictObject({ ...headerEntries, transactions: v.array(v.unknown()) })

/** The hashed part of a block: all of it but what is about the hash, and the transactions, which `tx_root` covers. */
export function headerOf(block: Header & Partial<Block>): Header {
  const {
    current_hash: _hash,
    nonce: _nonce,
    signature: _sig,
    certificate: _cert,
    transactions: _txs,
    ...header
  } = block
  return header
}

export function sealedHeaderOf(block: SealedHeader & Partial<Block>): SealedHeader {
  const { transactions: _txs, ...header } = block
  return header
}

/** Address of the key that a header bears; `''` for block 0, which nobody made. */
export function producerOf({ public_key_pem: pem }: Header): Address {
  const key = publicKeyOfPem(pem)
  return key.ok ? key.value.address : ''
}

/** What miners hash, all but the decimal nonce that they append to it. */
export const headerText = (header: Header): string => canonicalJson(headerOf(header))

export const headerHash = (header: Header, nonce: number): Hash => sha256Hex(headerText(header) + String(nonce))

/** The text that a block's signature covers. */
export const blockText = (currentHash: Hash): string => signedText(purposes.block, currentHash)

/** `tx_root`: RFC 6962 over the transaction ids. */
export const transactionsRoot = (hashes: readonly Hash[]): Hash =>
  Buffer.from(merkleRoot(hashes.map((hash) => Buffer.from(hash, 'hex')))).toString('hex')

/**
 * Reads the header of a block from JSON and recomputes its hash. The cheap half of reading a block: work is judged on
 * the result before anybody looks at the body. Refuses `bad-block` (names the field), `wrong-chain`, `wrong-engine`,
 * `bad-hash`, `bad-timestamp`, `bad-key`, `bad-signature` (its form), `wrong-key`, `too-deep`, `bad-json`.
 */
export const readHeader = (value: unknown, rules: ChainRules): Result<ReadHeader<Block>> =>
  readFields<Block>(blockFields, value, rules)

/** As `readHeader`, of a header that comes without its transactions. */
export const readSealedHeader = (value: unknown, rules: ChainRules): Result<ReadHeader> =>
  readFields<SealedHeader>(sealedHeaderFields, value, rules)

function readFields<H extends SealedHeader>(
  fields: v.GenericSchema,
  value: unknown,
  rules: ChainRules,
): Result<ReadHeader<H>> {
  if (!isObject(value)) return refuse('bad-block', 'a block is a JSON object')
  const shaped = v.safeParse(fields, value, { abortEarly: true })
  if (!shaped.success) return refuse('bad-block', issueText(shaped.issues[0]))
  const block = value as unknown as H
  // The engine's fields nest freely, and a block must fit into the deepest envelope that it is ever sent in.
  const fault = jsonFault(sealedHeaderOf(block), nestingMax)
  if (fault !== undefined) return fault
  if (block.chain_id !== rules.chainId) return refuse('wrong-chain', `chain_id: expected ${rules.chainId}`)
  if (block.consensus !== rules.consensus) return refuse('wrong-engine', `consensus: expected ${rules.consensus}`)
  const ranges = checkRanges(block)
  if (!ranges.ok) return ranges
  if (headerHash(block, block.nonce) !== block.current_hash) {
    return refuse('bad-hash', 'current_hash is not the SHA-256 of the canonical header and the nonce')
  }
  const signer = publicKeyOfPem(block.public_key_pem)
  if (!signer.ok) return signer
  if (nodeIdOf(signer.value) !== block.miner_id) {
    return refuse('wrong-key', 'miner_id is not the node id of the key in public_key_pem')
  }
  const signature = decodeSignature(block.signature)
  if (!signature.ok) return signature
  const check = {
    publicKey: signer.value.raw,
    message: utf8Bytes(blockText(block.current_hash)),
    signature: signature.value,
  }
  return found({ block, signer: signer.value, check })
}

/**
 * Reads the body of a block whose header was read: each transaction, none twice, their root, the limits.
 * Refuses as `readTransaction` does, and `too-large`, `duplicate-transaction`, `bad-tx-root`. A refusal is of this body
 * only: the same header may come with a good one. `reads`: where the block was made here, the transactions of which it
 * was made, in their order, so that they need not be read again.
 */
export function readBody(
  header: ReadHeader<Block>,
  rules: ChainRules,
  reads: readonly ReadTransaction[] = [],
): Result<ReadBlock> {
  const { block } = header
  const { blockTransactionsMax, blockBytesMax } = rules.limits
  const count = block.transactions.length
  if (count > blockTransactionsMax) {
    return refuse('too-large', `transactions: ${count}; at most ${blockTransactionsMax}`)
  }
  const transactions: ReadTransaction[] = []
  const seen = new Set<Hash>()
  // The canonical block with an empty list, then each transaction and the commas between them.
  let bytes = Buffer.byteLength(canonicalJson({ ...block, transactions: [] })) + Math.max(0, count - 1)
  const tooLarge = refuse('too-large', `the block is over ${blockBytesMax} bytes as canonical JSON`)
  if (bytes > blockBytesMax) return tooLarge
  for (const [position, value] of (block.transactions as readonly unknown[]).entries()) {
    const before = reads[position]
    const read = before !== undefined && before.transaction === value ? found(before) : readElement(value, rules)
    if (!read.ok) return { ...read, detail: `transactions[${position}]: ${read.detail}` }
    if (seen.has(read.value.hash)) {
      return refuse('duplicate-transaction', `transactions[${position}]: ${read.value.hash} is in this block already`)
    }
    seen.add(read.value.hash)
    bytes += read.value.bytes
    if (bytes > blockBytesMax) return tooLarge
    transactions.push(read.value)
  }
  if (transactionsRoot([...seen]) !== block.tx_root) {
    return refuse('bad-tx-root', 'tx_root is not the root of the transactions that came with the header')
  }
  return found({ ...header, transactions, bytes })
}

/** The schema of a block left its transactions unread: they may be anything. */
function readElement(value: unknown, rules: ChainRules): Result<ReadTransaction> {
  const unknown = Object.keys(isObject(value) ? value : {}).find((field) => !transactionFields.has(field))
  if (unknown !== undefined) return refuse('bad-block', `unknown field ${excerpt(unknown)}`)
  return readTransaction(value, rules)
}

/** The producer's signature. Refuses `bad-signature`. */
export function verifyBlockSignature(read: ReadHeader): Verdict {
  return verifySignature(read.signer, read.check.message, read.check.signature) ? accepted : badBlockSignature
}

export const badBlockSignature = refuse(
  'bad-signature',
  'the signature over current_hash is not by the key in public_key_pem',
)

const transactionFields = new Set(['sender', 'data', 'signature', 'nonce', 'public_key_pem'])
const printableAscii = /^[\x20-\x7e]{0,64}$/

function checkRanges(block: SealedHeader): Verdict {
  if (!isCount(block.index) || block.index === 0) return refuse('bad-block', 'index: expected an integer from 1 up')
  if (!isCount(block.nonce)) return refuse('bad-block', 'nonce: expected a safe integer from 0 up')
  if (!isCount(block.work) || block.work === 0) return refuse('bad-block', 'work: expected a safe integer from 1 up')
  for (const field of ['prev_hash', 'current_hash', 'tx_root', 'state_root'] as const) {
    if (!isHash(block[field])) return refuse('bad-block', `${field}: expected 64 lowercase hex digits`)
  }
  if (!printableAscii.test(block.extra))
    return refuse('bad-block', 'extra: expected at most 64 printable ASCII characters')
  if (block.signer_id !== undefined && block.signer_id !== block.miner_id) {
    return refuse('bad-block', 'signer_id: expected the same as miner_id')
  }
  if (parseTimestamp(block.timestamp) === undefined) {
    return refuse('bad-timestamp', 'timestamp: expected the form 2026-11-21T01:02:03.456Z')
  }
  return accepted
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

function issueText(issue: v.BaseIssue<unknown>): string {
  const field = issue.path?.map((step) => String(step.key)).join('.') ?? 'block'
  return issue.expected === 'never'
    ? `unknown field ${excerpt(field)}`
    : `${field}: expected ${issue.expected}, got ${excerpt(issue.received)}`
}

/** Block 0 stands for the genesis: its hash is the chain's id, and nobody made or signed it. */
export function genesisBlock(rules: ChainRules, timestamp: Timestamp): Block {
  return {
    version: 1,
    chain_id: rules.chainId,
    consensus: rules.consensus,
    index: 0,
    timestamp,
    prev_hash: zeroHash,
    current_hash: rules.chainId,
    nonce: 0,
    miner_id: '',
    public_key_pem: '',
    signature: '',
    work: 0,
    tx_root: transactionsRoot([]),
    state_root: zeroHash,
    extra: '',
    transactions: [],
  }
}
