import type { Due, StoredHeader } from '../plugin.ts'
import type { Signing } from '../signing/signing.ts'
import type { Hash } from './canonical.ts'
import type { Chain } from './chain.ts'
import type { Drafting } from './drafting.ts'
import { chooseSite, type Site, type Tip } from './site.ts'

interface Parts {
  readonly chain: Chain
  readonly drafting: Drafting
  /** Where the engine has turns: what this node's key signed. */
  readonly signing?: Signing | undefined
}

/** A block on which the next one may be built. */
export interface BuildingSite extends Tip {
  readonly tip: StoredHeader
}

/** Looks for a place to build: asks the engine, and the record of what was signed. */
export class Sites {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** `stalled`: as in `SiteParts`. */
  choose(stalled: boolean): Site<BuildingSite> {
    const { chain } = this.#parts
    return chooseSite({
      head: siteOf(chain.head()),
      sideTips: stalled ? chain.sideTips().map(siteOf) : [],
      stalled,
      holdsFinal: ({ tip }) => chain.holdsFinal(tip),
      prefers: (a, b) => chain.prefers(a.tip, b.tip),
      mayBuild: ({ tip }) => this.#mayBuild(tip),
    })
  }

  /** Whether a branch that holds the final block is higher than the head, which is better all the same. */
  isOvertaken(): boolean {
    const { chain } = this.#parts
    const { index } = chain.head().header
    return chain.sideTips().some((tip) => tip.header.index > index && chain.holdsFinal(tip))
  }

  /** The block that this node's key signed last. */
  signedLast(): Hash | undefined {
    return this.#parts.signing?.signerOf('chain').last('block')?.text
  }

  #mayBuild(tip: StoredHeader): Due {
    const due = this.#parts.chain.dueOn(tip)
    return 'when' in due ? (this.#noRoom(tip) ?? due) : due
  }

  /** Why the record has no room for a block of this node's on top of this one. */
  #noRoom(tip: StoredHeader): Due | undefined {
    const { drafting, signing } = this.#parts
    const turn = signing && drafting.turnOn(tip)
    if (signing === undefined || turn === undefined) return undefined
    const room = signing.roomForBlock(turn)
    if (room.ok) return undefined
    const stopped = signing.stopped()
    if (stopped !== undefined) return stopped
    if (room.code !== 'signed-already') return { waitsFor: `its record of what it signed: ${room.detail}` }
    const height = tip.header.index + 1
    return { waitsFor: `a block ${height} of somebody else: this node's key has signed at that height already` }
  }
}

const siteOf = (tip: StoredHeader): BuildingSite => ({
  index: tip.header.index,
  hash: tip.header.current_hash,
  tip,
})
