import type { Hash, JsonObject, Result, Transaction } from '../../core/index.ts'

/** What became of something that was submitted. */
export interface Submission {
  readonly hash: Hash
  readonly transaction: Transaction
  /** Nodes that answered `MINING_STARTED`; 0: it is kept, durably, and will be sent again. */
  readonly nodesReached: number
  /** Nodes that this gateway knew of. */
  readonly nodesTotal: number
  /** For people: what happened. */
  readonly message: string
}

export interface Fate {
  /** `unreachable`: nobody can say at the moment. */
  readonly status: 'pending' | 'included' | 'final' | 'orphaned' | 'unknown' | 'unreachable'
  readonly txHash: Hash | undefined
  readonly blockIndex: number | undefined
  readonly confirmations: number
  /** Why it will not be recorded, where that is known. */
  readonly code?: string
  readonly message?: string
}

/** Where requests become transactions, are kept, sent on, and followed until they are recorded. */
export interface Desk {
  /**
   * `body`: `{sender, data, signature}` and extras, as it came. Declines what `readTransaction` refuses, what every node
   * refused it for, `no-signature` where it has none and this gateway does not attest, `not-a-gateway` where the genesis does
   * not let it, `no-chain` while the rules of the chain are not known, `wrong-chain`, `unreachable` where no node took it and it
   * is not kept, `queue-full`, `storage-unavailable`, `busy`, `stopping`.
   */
  submitTransaction(body: JsonObject): Promise<Result<Submission>>
  /** `body`: that of `submit_purchase`. Declines `bad-purchase` (names the field), `conflict`, and as `submitTransaction`. */
  submitPurchase(body: JsonObject): Promise<Result<Submission>>
  fate(of: { readonly txHash: Hash } | { readonly txId: string }): Promise<Fate>
  /**
   * `queued`: kept, and no node is known to have it. `unsettled`: nodes have it, and it is not deep enough in the chain yet.
   * `nodes`: those that can be reached at the moment.
   */
  counts(): { readonly queued: number; readonly unsettled: number; readonly nodes: number }
}
