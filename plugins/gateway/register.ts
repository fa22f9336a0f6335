import { LRUCache } from 'lru-cache'
import type { Hash, RecordChange, Records } from '../../core/index.ts'

/**
 * Which transaction a purchase's `tx_id` stands for. Its hash covers every field of the purchase, so it tells another body
 * under the same `tx_id` too. Durable with records; otherwise the latest are remembered.
 */
export class Register {
  readonly #records: Records | undefined
  readonly #remembered: LRUCache<string, Hash>

  constructor(records: Records | undefined, rememberedMax: number) {
    this.#records = records
    this.#remembered = new LRUCache({ max: rememberedMax })
  }

  find(txId: string): Hash | undefined {
    return this.#records === undefined ? this.#remembered.get(txId) : this.#records.get(keyOf(txId))
  }

  /** What is to be written with the purchase's first record. Without records it is remembered at once. */
  bind(txId: string, hash: Hash): readonly RecordChange[] {
    if (this.#records !== undefined) return [[keyOf(txId), hash]]
    this.#remembered.set(txId, hash)
    return []
  }

  /** What is to be written when nobody can have it. */
  free(txId: string): readonly RecordChange[] {
    if (this.#records !== undefined) return [[keyOf(txId), undefined]]
    this.#remembered.delete(txId)
    return []
  }
}

const keyOf = (txId: string): string => `tx/${txId}`
