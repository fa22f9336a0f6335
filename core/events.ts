// Every fact that core tells, in the past tense, after it became true. Nothing depends on being heard: a listener may
// be detached, and what must not be lost is written with the block.
import type { SealedHeader } from './chain/block.ts'
import type { Address, NodeId } from './chain/keys.ts'
import type { Hash } from './chain/canonical.ts'
import type { Transaction } from './chain/transaction.ts'

export interface CoreEvents {
  'node:started': { readonly port: number | undefined }
  'node:stopping': { readonly reason: string }
  'tx:admitted': { readonly hash: Hash; readonly transaction: Transaction; readonly pending: number }
  'tx:refused': { readonly code: string; readonly detail: string }
  /** It was pending and is not any more: what was recorded meanwhile rules it out, as the application says. */
  'tx:dropped': { readonly hash: Hash; readonly code: string; readonly detail: string }
  /** A valid block was kept, on the heaviest branch or beside it. */
  'block:accepted': { readonly header: SealedHeader; readonly transactions: number; readonly milliseconds: number }
  'block:refused': { readonly hash: Hash | undefined; readonly code: string; readonly detail: string }
  /** The recorded chain now ends elsewhere. `undone` newest first, `applied` oldest first. */
  'head:moved': {
    readonly head: SealedHeader
    readonly undone: readonly Hash[]
    readonly applied: readonly Hash[]
  }
  'peer:joined': { readonly nodeId: NodeId; readonly host: string; readonly outbound: boolean; readonly height: number }
  'peer:left': { readonly nodeId: NodeId; readonly reason: string }
  /** A handshake failed, here or on the other side. `nodeId` is what was claimed, where it was. */
  'peer:refused': { readonly nodeId: NodeId | undefined; readonly host: string; readonly code: string }
  'peer:banned': { readonly target: string; readonly reason: string; readonly until: number }
  'sync:started': { readonly height: number; readonly target: number }
  'sync:progressed': {
    readonly height: number
    readonly target: number
    readonly blocksPerSecond: number
    /** undefined until there is a rate. */
    readonly secondsLeft: number | undefined
  }
  /** The recorded chain is as far as the peers' are, or nobody is left to ask. */
  'sync:ended': { readonly height: number; readonly blocks: number; readonly milliseconds: number }
  /** This clock differs from the median of the peers' by more than they can all be wrong. */
  'clock:differs': { readonly milliseconds: number; readonly peers: number }
  /** A heavier branch was refused since it would undo more than this node allows, or what is final: somebody has to look. */
  'reorganisation:refused': {
    readonly code: 'reorganisation-too-deep' | 'below-final'
    readonly block: Hash
    readonly depth: number
    readonly depthMax: number
  }
  /** A key signed two things that contradict each other. */
  'evidence:found': { readonly address: Address; readonly kind: string; readonly what: string }
  /** Up to this block nothing is ever undone. */
  'chain:finalized': { readonly index: number; readonly hash: Hash }
  'storage:failed': { readonly code: string; readonly detail: string }
  'storage:recovered': { readonly downMilliseconds: number }
  'listener:detached': { readonly owner: string; readonly event: string; readonly reason: string }
}
