import { LRUCache } from 'lru-cache'
import type { Ancestry, Storage } from '../plugin.ts'
import type { SealedHeader } from './block.ts'
import type { Hash } from './canonical.ts'

/** Headers that were read lately; those near the head are asked for with every block. */
const headersCachedMax = 4_096
/** Beyond this distance a recorded header is looked up by its index instead of walking back to it. */
const walkBlocksMax = 64

/** Protocol section 4: a block is later than the median of so many before it. */
const medianBlocks = 11

/** Reads headers of any branch out of the ledger, remembering the recent ones. */
export class Ancestors {
  readonly #storage: Storage
  readonly #headers = new LRUCache<Hash, SealedHeader>({ max: headersCachedMax })

  constructor(storage: Storage) {
    this.#storage = storage
  }

  header(hash: Hash): SealedHeader | undefined {
    const cached = this.#headers.get(hash)
    if (cached !== undefined) return cached
    const stored = this.#storage.header(hash)?.header
    if (stored !== undefined) this.#headers.set(hash, stored)
    return stored
  }

  /** What a rule may look back on from the block after `parent`. */
  of(parent: SealedHeader): Ancestry {
    // Rules look back block by block: each look goes on from where the last one ended.
    let from = parent
    return {
      parent,
      at: (index) => {
        const header = this.#at(index > from.index ? parent : from, index)
        if (header !== undefined) from = header
        return header
      },
    }
  }

  #at(parent: SealedHeader, index: number): SealedHeader | undefined {
    if (!Number.isInteger(index) || index < 0 || index > parent.index) return undefined
    let header: SealedHeader | undefined = parent
    for (let steps = 0; header !== undefined && header.index > index; steps++) {
      if (steps >= walkBlocksMax && this.#storage.header(header.current_hash)?.recorded === true) {
        return this.#storage.headerAt(index)?.header
      }
      header = this.header(header.prev_hash)
    }
    return header
  }
}

/** Median of the timestamps of the last 11 blocks, in milliseconds. A later block must be later than this. */
export function medianTimePast(ancestry: Ancestry): number {
  const times: number[] = []
  for (let index = ancestry.parent.index; index >= 0 && times.length < medianBlocks; index--) {
    const header = ancestry.at(index)
    if (header === undefined) break
    // It was read with its header: what is left to do is a tenth of reading it again.
    times.push(Date.parse(header.timestamp))
  }
  times.sort((a, b) => a - b)
  return times[Math.floor(times.length / 2)] ?? 0
}
