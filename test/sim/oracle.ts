// What a valid block is, written a second time from protocol sections 2 to 4 and without the node's own code: a fault in
// that must not keep itself from being seen.
import { createHash, createPublicKey, verify } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Block } from '../../core/index.ts'

const hashed = (text: string | Uint8Array): string => createHash('sha256').update(text).digest('hex')

/** What is wrong with a block by its own bytes; undefined where nothing is. `proofOfWork`: its hash must show its work. */
export function faultOf(block: Block, proofOfWork: boolean): string | undefined {
  const { current_hash, nonce, signature, certificate: _none, transactions, ...header } = block
  if (hashed(`${canonicalize(header)}${nonce}`) !== current_hash) return 'current_hash is not its hash'
  if (proofOfWork && BigInt(`0x${current_hash}`) >= 2n ** 256n / BigInt(block.work))
    return 'its hash shows no such work'
  if (!isSigned(`aurex/block/1\n${current_hash}`, block.public_key_pem, signature)) return 'its signature does not hold'
  const ids = transactions.map((transaction) => transactionIdOf(transaction, block.chain_id))
  if (rootOf(ids.map((id) => Buffer.from(id, 'hex'))) !== block.tx_root) return 'tx_root is not of its transactions'
  if (new Set(ids).size < ids.length) return 'a transaction stands in it twice'
  const forged = transactions.findIndex(
    (one) => !isSigned(transactionText(one, block.chain_id), one.public_key_pem ?? pemOf(one.sender), one.signature),
  )
  return forged < 0 ? undefined : `the signature of transaction ${forged} does not hold`
}

/** The id of a transaction on a chain. */
export const transactionIdOf = (transaction: Transaction, chainId: string): string =>
  hashed(transactionText(transaction, chainId))

type Transaction = Block['transactions'][number]

function transactionText({ sender, data, nonce }: Transaction, chain_id: string): string {
  const signed = nonce === undefined ? { chain_id, data, sender } : { chain_id, data, sender, nonce }
  return `aurex/tx/1\n${canonicalize(signed)}`
}

export function isSigned(text: string, pem: string, signature: string): boolean {
  return verify(null, Buffer.from(text), createPublicKey(pem), Buffer.from(signature, 'base64'))
}

/** Of an address: 32 bytes in hex. */
export function pemOf(address: string): string {
  const der = Buffer.from(`302a300506032b6570032100${address}`, 'hex').toString('base64')
  return `-----BEGIN PUBLIC KEY-----\n${der}\n-----END PUBLIC KEY-----\n`
}

/** RFC 6962, 2.1. */
function rootOf(ids: readonly Uint8Array[]): string {
  const tree = (leaves: readonly Uint8Array[]): Uint8Array => {
    if (leaves.length === 0) return createHash('sha256').digest()
    if (leaves.length === 1) return createHash('sha256').update('\0').update(leaves[0]!).digest()
    let half = 1
    while (half * 2 < leaves.length) half *= 2
    return createHash('sha256')
      .update('\u0001')
      .update(tree(leaves.slice(0, half)))
      .update(tree(leaves.slice(half)))
      .digest()
  }
  return Buffer.from(tree(ids)).toString('hex')
}
