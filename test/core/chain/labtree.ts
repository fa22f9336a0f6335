// Random trees of blocks for the chain in memory, and what fork choice makes of them by looking at everything.
import type { Block, SealedHeader } from '../../../core/chain/block.ts'
import { makeBlock } from '../../support/blocks.ts'
import { genesis } from './lab.ts'

export type Roll = () => number
export const pick = <T>(roll: Roll, from: readonly T[]): T => from[Math.floor(roll() * from.length)]!
export const shuffled = <T>(roll: Roll, from: readonly T[]): T[] => {
  const left = [...from]
  return from.map(() => left.splice(Math.floor(roll() * left.length), 1)[0]!)
}

/** The engine of these trees ranks by the last digit of `extra`. */
export const rankOf = ({ extra }: { readonly extra: string }): bigint => BigInt(extra.at(-1) ?? '0')

/** Parents come before their children. */
export class LabTree {
  readonly blocks: Block[] = []
  readonly #byHash = new Map<string, Block>([[genesis.block.current_hash, genesis.block]])

  constructor(roll: Roll, size: number) {
    for (let i = 0; i < size; i++) {
      const parent = pick(roll, [genesis.block, ...this.blocks].slice(-6))
      // Few weights and ranks, so that many chains are worth the same.
      const extra = `${i} ${Math.floor(roll() * 2)}`
      const block = makeBlock(parent, { work: 1 + Math.floor(roll() * 3), extra, miner: 1 + (i % 3) })
      this.blocks.push(block)
      this.#byHash.set(block.current_hash, block)
    }
  }

  /** From block 0 up to and including this one. */
  pathTo(block: SealedHeader): Block[] {
    const path: Block[] = []
    for (let at = this.#byHash.get(block.current_hash); at !== undefined; at = this.#byHash.get(at.prev_hash)) {
      path.push(at)
    }
    return path.toReversed()
  }

  holds(tip: SealedHeader, block: SealedHeader): boolean {
    return this.pathTo(tip).some(({ current_hash }) => current_hash === block.current_hash)
  }

  work(block: SealedHeader): number {
    return this.pathTo(block).reduce((sum, { work }) => sum + work, 0)
  }

  /** Positive where the chain that ends in `a` is the better one. */
  compare(a: SealedHeader, b: SealedHeader, final: SealedHeader, justified: SealedHeader): number {
    const worth = (tip: SealedHeader): readonly number[] => [
      Number(this.holds(tip, final)),
      Number(this.holds(tip, justified)),
      this.work(tip),
      Number(rankOf(tip)),
    ]
    const [ours, theirs] = [worth(a), worth(b)]
    const at = ours.findIndex((value, i) => value !== theirs[i])
    if (at >= 0) return ours[at]! - theirs[at]!
    return a.current_hash === b.current_hash ? 0 : a.current_hash < b.current_hash ? 1 : -1
  }

  best(of: readonly SealedHeader[], final: SealedHeader, justified: SealedHeader): SealedHeader {
    return of.reduce((a, b) => (this.compare(b, a, final, justified) > 0 ? b : a), genesis.block)
  }
}
