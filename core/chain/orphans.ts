import { decline, type Refusal } from '../errors.ts'
import type { Limits } from '../limits.ts'
import type { Block } from './block.ts'
import type { Hash } from './canonical.ts'

interface Orphan {
  readonly block: Block
  readonly bytes: number
  readonly source: string
}

type OrphanLimits = Pick<Limits, 'orphan_blocks_max' | 'orphan_bytes_max' | 'orphan_blocks_per_source_max'>

/**
 * Blocks whose parent is not known yet. Nothing about them is proven, so there is room for few, and for few of each
 * source. Each source has its own copy of a block, since a spoilt copy (its hash does not cover its signatures) must not
 * keep a good one out.
 */
export class Orphans {
  readonly #limits: OrphanLimits
  /** By source and hash, oldest first. */
  readonly #kept = new Map<string, Orphan>()
  #bytes = 0

  constructor(limits: OrphanLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#kept.size
  }

  /** Keeps a block until its parent comes; the oldest make room. Answers what the sender is told. */
  keep(block: Block, bytes: number, source: string): Refusal {
    const { orphan_blocks_max, orphan_bytes_max, orphan_blocks_per_source_max } = this.#limits
    const answer = decline('orphan', `the parent ${block.prev_hash} is not known here`)
    if (bytes > orphan_bytes_max) return answer
    const place = `${source} ${block.current_hash}`
    this.#drop(place)
    // A source that sends many pushes out its own first.
    const ofSource = [...this.#kept].filter(([, orphan]) => orphan.source === source)
    if (ofSource.length >= orphan_blocks_per_source_max) this.#drop(ofSource[0]![0])
    while (this.#kept.size >= orphan_blocks_max || this.#bytes + bytes > orphan_bytes_max) {
      this.#drop(this.#kept.keys().next().value!)
    }
    this.#kept.set(place, { block, bytes, source })
    this.#bytes += bytes
    return answer
  }

  /** Takes out the blocks that waited for this parent, with who sent them. */
  takeChildren(parent: Hash): { readonly block: Block; readonly source: string }[] {
    // A hundred at the most: looking at each is cheaper than an index is to keep right.
    const children = [...this.#kept].filter(([, { block }]) => block.prev_hash === parent)
    for (const [place] of children) this.#drop(place)
    return children.map(([, orphan]) => orphan)
  }

  /** Drops what a source sent: nobody is left to ask for the parents. */
  forget(source: string): void {
    for (const [place, orphan] of this.#kept) if (orphan.source === source) this.#drop(place)
  }

  #drop(place: string): void {
    this.#bytes -= this.#kept.get(place)?.bytes ?? 0
    this.#kept.delete(place)
  }
}
