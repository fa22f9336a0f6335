// Every fact that core tells, in the past tense, after it became true. Nothing depends on being heard: a listener may
// be detached, and what must not be lost is written with the block.
import type { SealedHeader } from './chain/block.ts'
import type { Hash } from './chain/canonical.ts'
import type { Transaction } from './chain/transaction.ts'

export interface CoreEvents {
  'node:started': { readonly port: number | undefined }
  'node:stopping': { readonly reason: string }
  'tx:admitted': { readonly hash: Hash; readonly transaction: Transaction; readonly pending: number }
  'tx:refused': { readonly code: string; readonly detail: string }
  /** A valid block was kept, on the heaviest branch or beside it. */
  'block:accepted': { readonly header: SealedHeader; readonly transactions: number; readonly milliseconds: number }
  'block:refused': { readonly hash: Hash | undefined; readonly code: string; readonly detail: string }
  /** The recorded chain now ends elsewhere. `undone` newest first, `applied` oldest first. */
  'head:moved': {
    readonly head: SealedHeader
    readonly undone: readonly Hash[]
    readonly applied: readonly Hash[]
  }
  'storage:failed': { readonly code: string; readonly detail: string }
  'storage:recovered': { readonly downMilliseconds: number }
  'listener:detached': { readonly owner: string; readonly event: string; readonly reason: string }
}
