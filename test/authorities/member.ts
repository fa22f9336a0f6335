import type { KeyPair } from '../../core/chain/keys.ts'
import type { Hash } from '../../core/chain/canonical.ts'
import type { Consensus } from '../../core/plugin.ts'
import type { Entry } from '../sim/agenda.ts'
import type { Block } from './block.ts'

/** An authority of a small world: what it has on its disk, and whether it is up. */
export class Member {
  readonly place: number
  readonly key: KeyPair
  readonly engine: Consensus
  /** Milliseconds that its wall clock is ahead of the world's. */
  readonly skew: number
  readonly blocks = new Map<Hash, Block>()
  readonly tips = new Set<Block>()
  head: Block
  /** Kept beside the chain since the last write that was durable. */
  #undurable: Block[] = []
  /** The height of the last block that it signed: durable. */
  signedHeight = 0
  lastOwn: Block | undefined
  up = true
  /** Who has the same number can reach each other. */
  group = 0
  /** Milliseconds of the world. */
  headMovedAt = 0
  saidAgainAt = 0
  /** It dies when its next block is written and nobody has heard of it yet. */
  diesSigning = false
  timer: Entry | undefined

  constructor(parts: Pick<Member, 'place' | 'key' | 'engine' | 'skew'>, genesis: Block) {
    this.place = parts.place
    this.key = parts.key
    this.engine = parts.engine
    this.skew = parts.skew
    this.head = genesis
    this.blocks.set(genesis.hash, genesis)
    this.tips.add(genesis)
  }

  keep(block: Block): void {
    this.blocks.set(block.hash, block)
    this.tips.delete(block.parent!)
    this.tips.add(block)
    this.#undurable.push(block)
  }

  /** All that was written before is durable now. */
  sync(): void {
    this.#undurable = []
  }

  /** What was kept beside the chain and is not durable may be gone after a crash. */
  forgetUndurable(): void {
    for (const block of this.#undurable.toReversed()) {
      this.blocks.delete(block.hash)
      this.tips.delete(block)
      const parent = block.parent!
      const hasOthers = [...this.blocks.values()].some((one) => one.parent === parent)
      if (this.blocks.has(parent.hash) && !hasOthers) this.tips.add(parent)
    }
    this.#undurable = []
  }

  sideTips(): Block[] {
    return [...this.tips].filter((tip) => tip !== this.head)
  }
}
