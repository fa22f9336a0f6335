import type { Hash } from '../../core/chain/canonical.ts'
import type { HonestNode } from './honest.ts'
import { Broken } from './invariants.ts'

/** What was ever called final by any honest node of a world, over all restarts. All methods throw `Broken`. */
export class FinalWatch {
  readonly #finals = new Map<number, Hash>()
  /** By address: up to where its chain was compared, and which block stood there. */
  readonly #compared = new Map<string, { readonly height: number; readonly hash: Hash }>()

  /** The highest that anybody called final. */
  get height(): number {
    return Math.max(0, ...this.#finals.keys())
  }

  look(node: HonestNode): void {
    if (node.inside === undefined) return
    const { chain, finality, storage } = node.inside
    const height = chain.finalHeight()
    if (height < node.finalSeen) {
      const what = `block ${height} is its last final one, after ${node.finalSeen} was`
      throw new Broken('what is final stays final', node.address, what)
    }
    node.finalSeen = height
    this.#compare(node, height)
    const voted = finality?.final()
    if (voted === undefined || voted.index <= height) return
    // It need not be on the recorded chain yet.
    this.#isFinal(node, voted.index, voted.hash)
    for (let at = storage.header(voted.hash)?.header; at !== undefined && at.index > height;) {
      this.#isFinal(node, at.index, at.current_hash)
      at = storage.header(at.prev_hash)?.header
    }
  }

  /** It is about to undo so many blocks. */
  undoing(node: HonestNode, blocks: number): void {
    const { chain, finality, storage } = node.inside ?? {}
    if (chain === undefined) return
    const fork = node.height - blocks
    const voted = finality?.final()
    const isOnChain = voted !== undefined && storage!.headerAt(voted.index)?.header.current_hash === voted.hash
    const final = Math.max(node.finalSeen, chain.finalHeight(), isOnChain ? voted.index : 0)
    if (fork >= final) return
    const what = `it undoes ${blocks} blocks down to ${fork}, and block ${final} is final to it`
    throw new Broken('no reorganisation goes below a final block', node.address, what)
  }

  #compare(node: HonestNode, height: number): void {
    const { storage } = node.inside!
    const hashAt = (index: number): Hash => storage.headerAt(index)!.header.current_hash
    const before = this.#compared.get(node.address)
    const isSame = before !== undefined && hashAt(before.height) === before.hash
    for (let index = isSame ? before.height : 1; index <= height; index++) this.#isFinal(node, index, hashAt(index))
    this.#compared.set(node.address, { height, hash: hashAt(height) })
  }

  #isFinal(node: HonestNode, index: number, hash: Hash): void {
    const known = this.#finals.get(index)
    if (index === 0 || known === hash) return
    if (known !== undefined) {
      throw new Broken('no two final blocks conflict', node.address, `block ${index}: ${hash}, and ${known} elsewhere`)
    }
    this.#finals.set(index, hash)
  }
}
