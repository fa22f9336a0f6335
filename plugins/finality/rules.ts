import type { Address, Checkpoint, Hash } from '../../core/index.ts'
import type { FinalityParameters } from './schema.ts'

/** What the genesis says of finality, ready for use. */
export interface Rules {
  readonly chainId: Hash
  /** Sorted, so that everybody counts them alike. */
  readonly authorities: readonly Address[]
  /** So many of them decide. */
  readonly quorum: number
  /** Blocks whose index is a multiple of this are checkpoints. */
  readonly every: number
  /** No block may stand more blocks than this above the last certified one; undefined: any may. */
  readonly haltAfter: number | undefined
}

const haltAfterDefault = 100

export const rulesOf = (chainId: Hash, parameters: FinalityParameters): Rules => ({
  chainId,
  authorities: parameters.authorities.toSorted(),
  quorum: quorumOf(parameters.authorities.length),
  every: parameters.checkpoint_every,
  haltAfter: parameters.stall === 'halt' ? (parameters.halt_after ?? haltAfterDefault) : undefined,
})

/**
 * More than two thirds: any two quorums share more than a third of the authorities, so at least one that does not lie
 * while no more than `floor((n - 1) / 3)` do.
 */
export const quorumOf = (authorities: number): number => Math.floor((2 * authorities) / 3) + 1

/** Nobody votes for block 0: it is justified and final from the start. */
export const genesisCheckpoint = ({ chainId }: Pick<Rules, 'chainId'>): Checkpoint => ({ index: 0, hash: chainId })

export const isSame = (a: Checkpoint, b: Checkpoint): boolean => a.index === b.index && a.hash === b.hash

/** The index of the last checkpoint up to a block. */
export const checkpointUpTo = (index: number, { every }: Pick<Rules, 'every'>): number => index - (index % every)
