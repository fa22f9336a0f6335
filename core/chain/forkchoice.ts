import { LRUCache } from 'lru-cache'
import type { Ancestry, Checkpoint, Consensus, Finality, Storage } from '../plugin.ts'
import type { Ancestors } from './ancestry.ts'

/** A chain from block 0 up, recorded here or not. */
export interface Candidate {
  /** `parent` is its last block. */
  readonly line: Ancestry
  readonly totalWork: bigint
}

interface Parts {
  readonly consensus: Pick<Consensus, 'rank'>
  readonly finality?: Pick<Finality, 'final' | 'justified'> | undefined
  readonly storage: Pick<Storage, 'head'>
  readonly ancestors: Ancestors
}

/** Two checkpoints, and as many branches as may be kept beside the recorded chain. */
const containedMax = 8_192

/**
 * Which of two chains is to be preferred: the one with the final block, then the one with the highest justified
 * checkpoint, then most total work, then what the engine ranks higher, then the lower hash. The order in which blocks
 * arrived has no say. Of a chain and its continuation, the longer one is never worse.
 */
export class ForkChoice {
  readonly #parts: Parts
  readonly #contained = new LRUCache<string, boolean>({ max: containedMax })

  constructor(parts: Parts) {
    this.#parts = parts
  }

  isBetter(challenger: Candidate, holder: Candidate): boolean {
    const outweighs = this.#outweighs(challenger, holder)
    const { finality } = this.#parts
    if (finality === undefined) return outweighs
    const checkpoints = [finality.final(), finality.justified()]
    const holds = checkpoints.map((checkpoint) => this.#contains(holder, checkpoint))
    // Nearly all branches beside the recorded chain are such: nobody need walk down them.
    if (!outweighs && !holds.includes(false)) return false
    const first = checkpoints.findIndex((checkpoint, i) => this.#contains(challenger, checkpoint) !== holds[i])
    return first < 0 ? outweighs : !holds[first]
  }

  /** Whether a chain would be the recorded one. */
  beatsHead(challenger: Candidate): boolean {
    return this.isBetter(challenger, this.#head())
  }

  /** Whether a chain would be the recorded one if nothing were final or justified. */
  outweighsHead(challenger: Candidate): boolean {
    return this.#outweighs(challenger, this.#head())
  }

  /** Whether the final block is on this chain, or is its last. */
  holdsFinal(line: Ancestry): boolean {
    const final = this.#parts.finality?.final()
    return final === undefined || this.#contains({ line }, final)
  }

  /** Whether a block is on a chain, or is its last. What is below a block never changes, so it is remembered. */
  #contains({ line }: Pick<Candidate, 'line'>, { index, hash }: Checkpoint): boolean {
    const { parent } = line
    if (index > parent.index) return false
    const key = `${parent.current_hash}/${index}/${hash}`
    const known = this.#contained.get(key)
    if (known !== undefined) return known
    const found = line.at(index)?.current_hash
    // A header below it may have been dropped, and come again.
    if (found !== undefined) this.#contained.set(key, found === hash)
    return found === hash
  }

  #outweighs(challenger: Candidate, holder: Candidate): boolean {
    if (challenger.totalWork !== holder.totalWork) return challenger.totalWork > holder.totalWork
    const [ours, theirs] = [challenger.line.parent, holder.line.parent]
    // Only block 0 weighs nothing, and no engine knows it.
    const { consensus } = this.#parts
    if (consensus.rank !== undefined && ours.current_hash !== theirs.current_hash) {
      const [our, their] = [consensus.rank(ours), consensus.rank(theirs)]
      if (our !== their) return our > their
    }
    return ours.current_hash < theirs.current_hash
  }

  #head(): Candidate {
    const { header, totalWork } = this.#parts.storage.head()
    return { line: this.#parts.ancestors.of(header), totalWork }
  }
}
