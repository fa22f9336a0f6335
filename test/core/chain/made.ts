import { headerHash, transactionsRoot, type Block, type Header } from '../../../core/chain/block.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { keyPairOfPem, privatePemOf, purposes, type KeyPair } from '../../../core/chain/keys.ts'
import { defaultLimits, type ChainRules } from '../../../core/chain/rules.ts'
import { signTransaction, transactionHash, transactionText, type Transaction } from '../../../core/chain/transaction.ts'

// Signed things for the tests of this folder, of fixed keys on a fixed chain.

export const keyOf = (seed: number): KeyPair =>
  keyPairOfPem(privatePemOf(new Uint8Array(32).fill(seed)), `seed ${seed}`)
export const alice = keyOf(1)
export const bob = keyOf(2)
export const miner = keyOf(3)
export const mallory = keyOf(4)

export const rules: ChainRules = {
  chainId: 'c1'.repeat(32),
  consensus: 'pow',
  gateways: [bob.address],
  limits: defaultLimits,
}

export const transfer = (nonce: number, data: JsonObject = { to: 'bob', amount: '1' }): Transaction =>
  signTransaction(alice, rules.chainId, data, nonce)

/** A transaction in the name of somebody, by the key of a gateway. */
export function named(sender: string, key: KeyPair, data: JsonObject = {}): Transaction {
  const unsigned = { sender, data, public_key_pem: key.pem }
  const text = transactionText(unsigned, rules.chainId)
  return { ...unsigned, signature: key.sign(purposes.transaction, text.slice(text.indexOf('\n') + 1)) }
}

export const draft: Header = {
  version: 1,
  chain_id: rules.chainId,
  consensus: 'pow',
  index: 7,
  timestamp: '2026-11-21T01:02:03.456Z',
  prev_hash: 'ab'.repeat(32),
  miner_id: miner.nodeId,
  public_key_pem: miner.pem,
  work: 256,
  tx_root: transactionsRoot([]),
  state_root: '00'.repeat(32),
  extra: 'tag',
}

/** Hashes and signs, whatever stands in the header: as a dishonest miner would. */
export function sealed(header: Header, transactions: readonly unknown[] = [], key: KeyPair = miner, nonce = 42): Block {
  const current_hash = headerHash(header, nonce)
  const signature = key.sign(purposes.block, current_hash)
  return { ...header, current_hash, nonce, signature, transactions: transactions as Transaction[] }
}

/** A good block of these transactions. */
export const blockOf = (transactions: readonly Transaction[], header: Partial<Header> = {}): Block =>
  sealed({ ...draft, tx_root: transactionsRoot(transactions.map(idOf)), ...header }, transactions)

export const idOf = (transaction: Transaction): string => transactionHash(transaction, rules.chainId)

/** Objects in objects: `levels` of them. */
export const nested = (levels: number): JsonObject => (levels === 1 ? {} : { inner: nested(levels - 1) })
