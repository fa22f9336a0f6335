// Blocks, keys and transactions as a node would make them: hashed, signed, valid but for the engine's seal.
import { headerHash, headerOf, transactionsRoot, type Block, type SealedHeader } from '../../core/chain/block.ts'
import { zeroHash } from '../../core/chain/canonical.ts'
import { developmentGenesis, type Genesis } from '../../core/chain/genesis.ts'
import type { Json, JsonObject } from '../../core/chain/json.ts'
import { keyPairOfPem, privatePemOf, purposes, type KeyPair } from '../../core/chain/keys.ts'
import { formatTimestamp, parseTimestamp } from '../../core/chain/timestamp.ts'
import { signTransaction, transactionHash, type Transaction } from '../../core/chain/transaction.ts'
import type { AppliedBlock, PendingTransaction } from '../../core/plugin.ts'

const keys = new Map<number, KeyPair>()

/** The key of the n-th person, always the same. `n` from 0 to 255. */
export function makeKey(n: number): KeyPair {
  const key = keys.get(n) ?? keyPairOfPem(privatePemOf(new Uint8Array(32).fill(n)), `key ${n}`)
  keys.set(n, key)
  return key
}

/** The development genesis of an engine. */
export const makeGenesis = (consensus = 'pow', parameters: JsonObject = { difficulty: 1 }): Genesis =>
  developmentGenesis(consensus, parameters)

export const makeTransaction = (genesis: Genesis, n: number, data: JsonObject, nonce?: number): Transaction =>
  signTransaction(makeKey(n), genesis.rules.chainId, data, nonce)

export interface BlockOptions {
  readonly transactions?: readonly Transaction[]
  /** Which key makes it. */
  readonly miner?: number
  readonly work?: number
  readonly nonce?: number
  readonly extra?: string
  /** Milliseconds after the parent. */
  readonly after?: number
  readonly signer?: boolean
  readonly seal?: JsonObject
  readonly finality?: JsonObject
  readonly certificate?: Json
}

/** The block after `parent`. Its fields stand in no particular order. */
export function makeBlock(parent: SealedHeader, options: BlockOptions = {}): Block {
  const { transactions = [], work = 16, nonce = 0, extra = '', after = 1_000, seal, finality, certificate } = options
  const miner = makeKey(options.miner ?? 1)
  const { signer_id: _signer, seal: _seal, finality: _finality, ...above } = headerOf(parent)
  const header = {
    ...above,
    index: parent.index + 1,
    timestamp: formatTimestamp((parseTimestamp(parent.timestamp) ?? 0) + after),
    prev_hash: parent.current_hash,
    miner_id: miner.nodeId,
    public_key_pem: miner.pem,
    work,
    tx_root: transactionsRoot(transactions.map((transaction) => transactionHash(transaction, parent.chain_id))),
    state_root: zeroHash,
    extra,
    ...(options.signer === true ? { signer_id: miner.nodeId } : {}),
    ...(seal === undefined ? {} : { seal }),
    ...(finality === undefined ? {} : { finality }),
  }
  const current_hash = headerHash(header, nonce)
  return {
    ...header,
    current_hash,
    nonce,
    signature: miner.sign(purposes.block, current_hash),
    ...(certificate === undefined ? {} : { certificate }),
    transactions,
  }
}

/** A block as it is handed to `Storage.commit`. */
export const makeApplied = (block: Block, totalWork: bigint, receivedAt = 1_700_000_000_000): AppliedBlock => ({
  block,
  hashes: block.transactions.map((transaction) => transactionHash(transaction, block.chain_id)),
  receivedAt: block.transactions.map((_transaction, position) => receivedAt + position),
  totalWork,
})

export const makePending = (genesis: Genesis, transaction: Transaction, receivedAt: number): PendingTransaction => ({
  hash: transactionHash(transaction, genesis.rules.chainId),
  transaction,
  receivedAt,
})
