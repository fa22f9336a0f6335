import { canonicalJson, sidesToDrop, type Block, type Hash } from '../../core/index.ts'

interface Kept {
  readonly block: Block
  readonly totalWork: bigint
  /** Canonical JSON of the whole block. */
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

  keep(block: Block, totalWork: bigint): void {
    if (this.#blocks.has(block.current_hash)) return
    const bytes = Buffer.byteLength(canonicalJson(block))
    this.#blocks.set(block.current_hash, { block, totalWork, bytes })
  }

  drop(hash: Hash): void {
    this.#blocks.delete(hash)
  }

  prune(belowIndex: number, blocksMax: number, bytesMax: number): void {
    const sides = [...this.#blocks.values()].map(({ block, totalWork, bytes }) => ({
      hash: block.current_hash,
      prevHash: block.prev_hash,
      index: block.index,
      totalWork,
      bytes,
    }))
    for (const hash of sidesToDrop(sides, belowIndex, blocksMax, bytesMax)) this.drop(hash)
  }
}
