import type { Block } from '../chain/block.ts'
import type { Hash } from '../chain/canonical.ts'
import type { Genesis } from '../chain/genesis.ts'
import type { ReadTransaction } from '../chain/transaction.ts'
import type { Refusal, Result, Verdict } from '../errors.ts'
import type { Due } from './consensus.ts'
import type { RecordedTransaction, StoredHeader } from './storage.ts'

export type TransactionStatus =
  | { readonly status: 'pending' }
  | {
      /** `final`: its block can no longer be undone. */
      readonly status: 'included' | 'final'
      readonly blockIndex: number
      readonly blockHash: Hash
      /** Blocks from its own up to the head. */
      readonly confirmations: number
    }
  /** It was recorded, its block was undone, and no block holds it now. `refusal`: it will not be recorded again, and why. */
  | { readonly status: 'orphaned'; readonly refusal?: Refusal }
  /** `refusal`: it was pending here and was dropped, since what was recorded meanwhile rules it out. */
  | { readonly status: 'unknown'; readonly refusal?: Refusal }

/** Of a transaction that is in a block of the recorded chain. */
export type Recorded = Extract<TransactionStatus, { readonly blockIndex: number }>

export interface Chain {
  readonly genesis: Genesis
  head(): StoredHeader
  headerAt(index: number): StoredHeader | undefined
  block(hash: Hash): Block | undefined
  transaction(hash: Hash): RecordedTransaction | undefined
  status(hash: Hash): TransactionStatus
  /** Up to this height, nothing can be undone any more. 0 on a chain without finality: the genesis alone is final. */
  finalHeight(): number
  pendingCount(): number
  /** When this node makes a block of what is pending, or what it waits for. */
  due(): Due
  /**
   * Checks a transaction and keeps it until it is recorded. Resolves when it is durable. Refusals: those of
   * `readTransaction`, `bad-signature`, `mempool-full`, `sender-quota`, `storage-unavailable`, what the application declines
   * on top of all that is pending, and `application-failed` where it throws. One that is known
   * already is accepted again: the answer says what became of it. `from`: the connection that it came by, which may not
   * fill the mempool alone.
   */
  submitTransaction(value: unknown, from?: string): Promise<Result<Admission>>
  /** Checks a block and records it. Refusals: those of `readHeader` and `readBody`, and the chain's own (chain.ts). */
  submitBlock(value: unknown, from?: string): Promise<Verdict>
}

export interface Admission {
  readonly hash: Hash
  readonly read: ReadTransaction
  /** `admitted` now, or known before: `pending`, `included`. */
  readonly status: 'admitted' | 'pending' | 'included'
}
