import { sha256Hex, type Address, type Hash } from '../../core/index.ts'

/** What stands below a block, as far as turns go. */
export interface Succession {
  /** Of the block below. */
  readonly index: number
  /** Sorted: the order of turns. */
  readonly authorities: readonly Address[]
  /** Who signed the last blocks, newest first; at least as far back as matters. */
  readonly recent: readonly Address[]
}

/** EIP-225, DIFF_INTURN and DIFF_NOTURN. */
export const workInTurn = 2
export const workOutOfTurn = 1

/** EIP-225, SIGNER_LIMIT: who signed one of so many last blocks waits. So more than half of them must be up. */
export const restingBlocks = (authorities: number): number => Math.floor(authorities / 2)

/**
 * How many turns ago it was an authority's turn, at the block after `below`: 0 is in turn. EIP-3436's
 * `(header_number - validator_index) % validator_count`. undefined: it is no authority.
 */
export function sinceTurn(address: Address, { index, authorities }: Succession): number | undefined {
  const place = authorities.indexOf(address)
  if (place < 0) return undefined
  const count = authorities.length
  return (((index + 1 - place) % count) + count) % count
}

export const isResting = (address: Address, { authorities, recent }: Succession): boolean =>
  recent.slice(0, restingBlocks(authorities.length)).includes(address)

/** Who may sign the block after `below`: in turn first, then those whose turn is next. */
export function eligible(below: Succession): Address[] {
  const { index, authorities } = below
  const inTurn = (index + 1) % Math.max(1, authorities.length)
  const ordered = [...authorities.slice(inTurn), ...authorities.slice(0, inTurn)]
  return ordered.filter((address) => !isResting(address, below))
}

/**
 * How long one out of turn waits after the one in turn could have signed, in steps from 1 up. Each has another number, so
 * that they do not all sign at once when the one in turn is away, and the order is another one at every block, so that
 * nobody is always the first: by the hash of the block below and the address.
 */
export function stepOutOfTurn(address: Address, parentHash: Hash, below: Succession): number {
  const lot = (one: Address): string => sha256Hex(parentHash + one)
  const own = lot(address)
  const others = eligible(below).filter((one) => one !== address && sinceTurn(one, below) !== 0)
  return 1 + others.filter((one) => lot(one) < own).length
}
