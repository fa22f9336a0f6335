import type { Hash } from '../../chain/canonical.ts'
import { shortIdOf } from './shortids.ts'

/** Transactions that were recorded lately, of which the ids are remembered: so many at least, twice as many at most. */
const recentTransactionsMin = 10_000

/** Ids of transactions that were recorded lately: news of them is old news, and another block may hold them as well. */
export class Recent {
  // Two generations, of which the older one goes as a whole: taking the oldest out of one large Map, one by one, costs
  // 17 us each in JavaScriptCore, which steps over all that was deleted before.
  #young = new Map<string, Hash>()
  #old = new Map<string, Hash>()

  add(hash: Hash): void {
    this.#young.set(shortIdOf(hash), hash)
    if (this.#young.size < recentTransactionsMin) return
    this.#old = this.#young
    this.#young = new Map()
  }

  has(hash: Hash): boolean {
    return this.byShortId(shortIdOf(hash)) === hash
  }

  byShortId(shortId: string): Hash | undefined {
    return this.#young.get(shortId) ?? this.#old.get(shortId)
  }
}
