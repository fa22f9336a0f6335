import type { Hash, TransactionStatus } from '../../core/index.ts'
import type { Couriers } from './couriers.ts'
import type { Fate } from './desk.ts'
import type { Queue } from './queue.ts'

interface FateParts {
  readonly couriers: Couriers
  readonly queue: Queue | undefined
}

/**
 * What became of a transaction, as the nodes have it: one is asked, and the others where it does not know; the strongest
 * answer counts. What is kept here is at least pending; why something was given up is told where no node has it.
 */
export async function fateOf({ couriers, queue }: FateParts, hash: Hash): Promise<Fate> {
  await couriers.anybody()
  const [first, ...others] = couriers.inTurn()
  let best = first === undefined ? undefined : await couriers.status(first, hash)
  if (best === undefined || best.status === 'unknown') {
    for (const status of await Promise.all(others.map((node) => couriers.status(node, hash)))) {
      best = strongest(best, status)
    }
  }
  if ((best === undefined || best.status === 'unknown') && queue?.has(hash) === true) {
    return { status: 'pending', txHash: hash, blockIndex: undefined, confirmations: 0 }
  }
  const note =
    best === undefined || best.status === 'unknown' || best.status === 'orphaned' ? queue?.refusal(hash) : undefined
  if (best === undefined && note === undefined) return nobodySays(hash)
  const fate = fateAs(hash, best ?? { status: 'unknown' })
  return note === undefined ? fate : { ...fate, code: note.code, message: note.detail }
}

/** To say anything else would be to guess: it may well be recorded. */
const nobodySays = (hash: Hash): Fate => ({
  status: 'unreachable',
  txHash: hash,
  blockIndex: undefined,
  confirmations: 0,
  message: 'no node answers at the moment; ask again later',
})

const strength = { unknown: 0, pending: 1, orphaned: 2, included: 3, final: 4 } as const

export function strongest(
  one: TransactionStatus | undefined,
  other: TransactionStatus | undefined,
): TransactionStatus | undefined {
  if (one === undefined || other === undefined) return one ?? other
  const [a, b] = [strength[one.status], strength[other.status]]
  if (a !== b) return a > b ? one : other
  // The same for both: the deeper one, the one that says why.
  if ('confirmations' in one && 'confirmations' in other) return other.confirmations > one.confirmations ? other : one
  return 'refusal' in other && !('refusal' in one) ? other : one
}

function fateAs(hash: Hash, status: TransactionStatus): Fate {
  const refusal = 'refusal' in status ? status.refusal : undefined
  return {
    status: status.status,
    txHash: hash,
    blockIndex: 'blockIndex' in status ? status.blockIndex : undefined,
    confirmations: 'confirmations' in status ? status.confirmations : 0,
    ...(refusal === undefined ? {} : { code: refusal.code, message: refusal.detail }),
  }
}
