import type { CoreEvents } from '../events.ts'
import type { Change, Checkpoint, Consensus, Storage } from '../plugin.ts'
import { sealedHeaderOf, type ReadBlock } from './block.ts'
import type { Hash } from './canonical.ts'
import type { NodeId } from './keys.ts'
import type { Mempool, PoolEntry } from './mempool.ts'
import type { PendingRules } from './pendingrules.ts'
import type { ChainRules } from './rules.ts'
import { readTransaction } from './transaction.ts'
import type { ChainWatcher, Fetch } from './watcher.ts'

interface Parts {
  readonly rules: ChainRules
  readonly consensus: Pick<Consensus, 'turn'>
  readonly storage: Pick<Storage, 'head' | 'header' | 'block'>
  readonly mempool: Mempool
  /** Where there is an application. */
  readonly pendingRules: () => PendingRules | undefined
  readonly emit: <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]) => void
  readonly changed: (what: 'head' | 'transactions' | 'due') => void
}

/** Tells what was written: first to what is pending, then to the watchers, then to everybody. */
export class News {
  readonly #parts: Parts
  readonly #watchers: ChainWatcher[] = []
  readonly #fetchers: Fetch[] = []

  constructor(parts: Parts) {
    this.#parts = parts
  }

  watch(watcher: ChainWatcher): void {
    this.#watchers.push(watcher)
  }

  wanted(fetch: Fetch): void {
    this.#fetchers.push(fetch)
  }

  admitted(entries: readonly PoolEntry[]): void {
    const { emit, mempool, changed } = this.#parts
    for (const { read } of entries) {
      const { hash, transaction } = read
      emit('tx:admitted', { hash, transaction, pending: mempool.size })
    }
    if (entries.length === 0) return
    for (const watcher of this.#watchers) watcher.admitted?.(entries)
    changed('transactions')
  }

  /** These blocks are here now, and `change` is what that changed of the recorded chain; undefined: they are beside it. */
  taken(blocks: readonly ReadBlock[], change: Change | undefined, from: string): void {
    for (const { block } of blocks) {
      const header = sealedHeaderOf(block)
      for (const watcher of this.#watchers) watcher.taken?.(header)
    }
    if (change !== undefined) this.#headMoved(change, from)
    else if (this.#parts.consensus.turn !== undefined) this.#beside(blocks, from)
  }

  /** Says a block of this node's own again, if it is beside the recorded chain. */
  sayAgain(hash: Hash): void {
    const { storage } = this.#parts
    if (storage.header(hash)?.recorded !== false) return
    const block = storage.block(hash)!
    for (const watcher of this.#watchers) watcher.sayAgain?.(block)
  }

  fetch(checkpoint: Checkpoint, from: NodeId): void {
    for (const fetch of this.#fetchers) fetch(checkpoint, from)
  }

  #beside(blocks: readonly ReadBlock[], from: string): void {
    for (const { block } of blocks) for (const watcher of this.#watchers) watcher.beside?.(block, from)
    // It may be where a producer has to build.
    this.#parts.changed('due')
  }

  #headMoved(change: Change, from: string): void {
    const { storage, emit, changed } = this.#parts
    const returned = this.#updatePending(change)
    const { header: head } = storage.head()
    const { undone, applied } = change
    emit('head:moved', { head, undone, applied: applied.map(({ block }) => block.current_hash) })
    for (const watcher of this.#watchers) watcher.moved?.({ head, undone, applied, returned, from })
    changed('head')
  }

  /** What is pending again. */
  #updatePending(change: Change): readonly PoolEntry[] {
    const { mempool, rules, pendingRules } = this.#parts
    for (const { hashes } of change.applied) for (const hash of hashes) mempool.remove(hash)
    const entries = change.returned.flatMap(({ transaction, receivedAt, returned }) => {
      const read = readTransaction(transaction, rules)
      return read.ok ? { read: read.value, receivedAt, returned } : []
    })
    for (const entry of entries) mempool.add(entry)
    pendingRules()?.moved(change)
    return entries
  }
}
