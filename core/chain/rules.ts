import type { Hash } from './canonical.ts'
import type { Address } from './keys.ts'

/** Who may sign for a name: the gateways of the genesis, by address, or anyone (a development chain). */
export type Gateways = 'any' | readonly Address[]

/** Sizes that all nodes of a chain must agree on (protocol sections 3 and 4). */
export interface ChainLimits {
  /** Canonical JSON of one transaction. */
  readonly transactionBytesMax: number
  readonly blockTransactionsMax: number
  /** Canonical JSON of one whole block. */
  readonly blockBytesMax: number
}

export const defaultLimits: ChainLimits = {
  transactionBytesMax: 64 * 1024,
  blockTransactionsMax: 5_000,
  blockBytesMax: 4 * 1024 * 1024,
}

/** What every check of a transaction or a block needs to know of its chain. All of it comes from the genesis. */
export interface ChainRules {
  readonly chainId: Hash
  /** The engine's name, as headers must have it in `consensus`. */
  readonly consensus: string
  readonly gateways: Gateways
  /**
   * What gives transactions their meaning and keeps a state, which headers commit to. It decides who else may sign for a
   * name. undefined: any data is taken as it is.
   */
  readonly application?: string | undefined
  /** Whether authorities say what is final, and headers may bear their certificates. */
  readonly finality?: boolean
  readonly limits: ChainLimits
}
