import { decline, found, type Hash, type RecordChange, type Result, type Transaction } from '../../core/index.ts'
import type { Couriers, Spread } from './couriers.ts'
import type { Submission } from './desk.ts'
import { passes } from './passing.ts'
import { keyOf, type Kept, type Queue } from './queue.ts'
import type { Register } from './register.ts'

/** A transaction that was read and whose signature holds. */
export interface Signed {
  readonly hash: Hash
  readonly transaction: Transaction
}

interface SubmissionsParts {
  readonly queue: Queue | undefined
  readonly register: Register
  readonly couriers: Couriers
}

/** Makes them durable, gives them to the nodes, and says what became of it, in this order. */
export class Submissions {
  readonly #parts: SubmissionsParts
  /** The same one that comes meanwhile gets the same answer. */
  readonly #underWay = new Map<string, Promise<Result<Submission>>>()
  /** By `tx_id`: whose answer decides what it stands for. */
  readonly #binding = new Map<string, { readonly hash: Hash; readonly answer: Promise<Result<Submission>> }>()

  constructor(parts: SubmissionsParts) {
    this.#parts = parts
  }

  get underWay(): number {
    return this.#underWay.size
  }

  submit(signed: Signed): Promise<Result<Submission>> {
    return this.#once(signed, undefined)
  }

  /** Declines `conflict` too: this `tx_id` stands for another purchase. */
  async submitPurchase(txId: string, signed: Signed): Promise<Result<Submission>> {
    for (;;) {
      const binding = this.#binding.get(txId)
      if (binding === undefined) break
      const answer = await binding.answer
      if (binding.hash === signed.hash) return answer
      // Where the other one was refused, its `tx_id` may be free again.
    }
    const bound = this.#parts.register.find(txId)
    if (bound !== undefined && bound !== signed.hash) {
      return decline(
        'conflict',
        `tx_id: another purchase has it, recorded as transaction ${bound}; give this one its own`,
      )
    }
    const answer = this.#once(signed, bound === undefined ? txId : undefined)
    this.#binding.set(txId, { hash: signed.hash, answer })
    try {
      return await answer
    } finally {
      this.#binding.delete(txId)
    }
  }

  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay.values())
  }

  async #once(signed: Signed, newTxId: string | undefined): Promise<Result<Submission>> {
    const key = keyOf(signed.hash, signed.transaction)
    const same = this.#underWay.get(key)
    // Whoever has a new `tx_id` for it goes on after it, to have that written as well.
    if (same !== undefined && newTxId === undefined) return await same
    if (same !== undefined) await same
    const answer = this.#run(signed, newTxId)
    this.#underWay.set(key, answer)
    try {
      return await answer
    } finally {
      this.#underWay.delete(key)
    }
  }

  async #run(signed: Signed, newTxId: string | undefined): Promise<Result<Submission>> {
    const { queue, register, couriers } = this.#parts
    const { hash, transaction } = signed
    const binds = newTxId === undefined ? [] : register.bind(newTxId, hash)
    const kept = queue === undefined ? undefined : await queue.keep(hash, transaction, binds)
    if (kept !== undefined && !kept.ok) return kept
    const spread = await couriers.spread(hash, transaction)
    // Who was told that it is kept is not told otherwise while it is.
    const refusal = kept === undefined || kept.fresh ? lastingRefusal(spread) : undefined
    const free = newTxId !== undefined && nobodyHasIt(spread) ? register.free(newTxId) : []
    if (kept !== undefined)
      await (refusal === undefined ? this.#follow(kept.kept, spread) : this.#forget(kept.kept, free))
    if (refusal !== undefined) return refusal
    if (spread.taken === 0 && queue === undefined) return unreachable(spread)
    return found({
      hash,
      transaction,
      nodesReached: spread.taken,
      nodesTotal: couriers.total,
      message: messageOf(spread, couriers.total),
    })
  }

  #follow(kept: Kept, spread: Spread): void {
    if (spread.taken > 0) this.#parts.queue!.moveTo(kept, 'had')
    else if (spread.silent > 0 && kept.stage === 'unsent') this.#parts.queue!.moveTo(kept, 'asked')
    this.#parts.queue!.later(kept.key, firstLookMilliseconds)
  }

  /** Where that cannot be written it stays and is tried again, which the nodes will refuse again. */
  async #forget(kept: Kept, changes: readonly RecordChange[]): Promise<void> {
    const dropped = await this.#parts.queue!.drop(kept, changes)
    if (!dropped.ok) this.#parts.queue!.later(kept.key, firstLookMilliseconds)
  }
}

const firstLookMilliseconds = 1_000

/** That of all who answered, where each has a reason that lasts. */
function lastingRefusal({ taken, refusals }: Spread) {
  if (taken > 0 || refusals.some(({ code }) => passes(code))) return undefined
  return refusals[0]
}

/** Where a node that was told said nothing, it may have it. */
const nobodyHasIt = ({ taken, silent, refusals }: Spread): boolean =>
  taken === 0 && silent === 0 && refusals.every(({ code }) => !maybeTaken.has(code))

/** Codes that do not rule out that it was taken. */
const maybeTaken: ReadonlySet<string> = new Set(['internal', 'no-answer'])

function unreachable({ refusals, silent }: Spread) {
  const [refusal] = refusals
  if (refusal !== undefined) return decline(refusal.code, refusal.detail)
  return decline(
    'unreachable',
    `${silent > 0 ? 'no node answered in time' : 'no node can be reached'}, and without storage nothing is kept; send it again later`,
  )
}

function messageOf({ taken, refusals, silent }: Spread, total: number): string {
  if (taken > 0) return `${taken} of ${total} nodes took it`
  const [refusal] = refusals
  const why =
    refusal !== undefined
      ? `a node said ${refusal.code}`
      : silent > 0
        ? 'no node answered in time'
        : 'no node can be reached'
  return `${why}; it is kept and sent again until a node takes it`
}
