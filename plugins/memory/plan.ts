import { AurexError, canonicalJson, sealedHeaderOf, type Change, type Hash } from '../../core/index.ts'
import type { Recorded } from './ledger.ts'
import { mustBeUnicode } from './records.ts'
import { orderedState } from './state.ts'

/** The blocks that a change brings, once it is certain that all of it fits. Throws `storage-failed`. */
export function planOf(
  change: Change,
  chain: readonly Recorded[],
  places: ReadonlyMap<Hash, { readonly blockIndex: number }>,
  final: number,
): readonly Recorded[] {
  const left = chain.length - 1 - change.undone.length
  for (const [depth, hash] of change.undone.entries()) {
    const expected = chain.at(-1 - depth)?.block
    if (expected === undefined || expected.index === 0 || expected.current_hash !== hash) {
      throw unfit(`undone: expected the head, ${expected?.current_hash}, got ${hash}`)
    }
    if (expected.index <= final) {
      throw unfit(`undone: block ${expected.index}, ${hash}: nothing up to block ${final} is ever undone`)
    }
  }
  for (const { transaction } of change.returned) canonicalJson(transaction)
  for (const { owner, changes } of change.records ?? []) mustBeUnicode(changes, `a record of ${owner}`)
  const arrived = new Set<Hash>()
  let head = chain[left]!.header
  return change.applied.map(({ block, hashes, receivedAt, totalWork, state }) => {
    if (block.prev_hash !== head.current_hash || block.index !== head.index + 1) {
      throw unfit(`applied: block ${block.index} does not follow block ${head.index}, ${head.current_hash}`)
    }
    const count = block.transactions.length
    if (hashes.length !== count || receivedAt.length !== count) {
      throw unfit(`applied: block ${block.index} has ${count} transactions, ${hashes.length} hashes`)
    }
    for (const hash of hashes) {
      const place = places.get(hash)
      if (arrived.has(hash) || (place !== undefined && place.blockIndex <= left)) {
        throw unfit(`applied: block ${block.index}: transaction ${hash} is recorded already`)
      }
      arrived.add(hash)
    }
    canonicalJson(block)
    head = sealedHeaderOf(block)
    const changes = orderedState(state, `applied: block ${block.index}`)
    return { block, header: head, hashes, receivedAt, totalWork, state: changes }
  })
}

const unfit = (what: string) => new AurexError('storage-failed', `memory: ${what}`)
