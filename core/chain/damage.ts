import type { Hash } from './canonical.ts'

/** The first thing that is wrong with a ledger, and where. */
export interface Damage {
  /** Table and key, as a person would look it up. */
  readonly row: string
  readonly what: string
}

export const damageText = ({ row, what }: Damage): string => `${row}: ${what}`

export const rowOfBlock = (index: number): string => `blocks, "index" ${index}`

export const rowOfTransaction = (hash: Hash, index: number): string => `transactions, tx_hash ${hash} (block ${index})`
