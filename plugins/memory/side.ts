import {
  canonicalJson,
  sealedHeaderOf,
  sidesToDrop,
  type Block,
  type Hash,
  type StateEntry,
  type StoredHeader,
} from '../../core/index.ts'

interface Kept {
  readonly block: Block
  readonly totalWork: bigint
  /** What it would change of the state, in the order of keys. */
  readonly state: readonly StateEntry[]
  /** Canonical JSON of the whole block, and of its changes where there are any. */
  readonly bytes: number
}

/** Blocks beside the recorded chain. They stay until they are pruned. */
export class SideBlocks {
  readonly #blocks = new Map<Hash, Kept>()

  get size(): number {
    return this.#blocks.size
  }

  get(hash: Hash): Kept | undefined {
    return this.#blocks.get(hash)
  }

  keep(block: Block, totalWork: bigint, state: readonly StateEntry[]): void {
    if (this.#blocks.has(block.current_hash)) return
    const changes = state.length === 0 ? '' : canonicalJson(state.map(({ key, value }) => [key, value ?? null]))
    const bytes = Buffer.byteLength(canonicalJson(block)) + Buffer.byteLength(changes)
    this.#blocks.set(block.current_hash, { block, totalWork, state, bytes })
  }

  tips(): StoredHeader[] {
    const parents = new Set([...this.#blocks.values()].map(({ block }) => block.prev_hash))
    return [...this.#blocks.values()]
      .filter(({ block }) => !parents.has(block.current_hash))
      .map(({ block, totalWork }) => ({ header: sealedHeaderOf(block), totalWork, recorded: false }))
  }

  drop(hash: Hash): void {
    this.#blocks.delete(hash)
  }

  prune(belowIndex: number, blocksMax: number, bytesMax: number, keep: readonly Hash[]): void {
    const sides = [...this.#blocks.values()].map(({ block, totalWork, bytes }) => ({
      hash: block.current_hash,
      prevHash: block.prev_hash,
      index: block.index,
      totalWork,
      bytes,
    }))
    for (const hash of sidesToDrop(sides, belowIndex, blocksMax, bytesMax, keep)) this.drop(hash)
  }
}
