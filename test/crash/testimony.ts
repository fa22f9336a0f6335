export interface Checkpoint {
  readonly index: number
  readonly hash: string
}

/** What an authority signs for finality, as it goes over the wire. */
export interface Vote {
  readonly kind: 'justify' | 'commit'
  readonly source?: Checkpoint
  readonly target: Checkpoint
}

/** All that one key was ever seen to sign, by whoever saw it, and what of it contradicts itself. */
export class Testimony {
  readonly #blocks = new Map<number, string>()
  readonly #votes = new Map<string, Vote>()
  readonly #contradictions = new Set<string>()

  block(index: number, hash: string): void {
    const before = this.#blocks.get(index)
    if (before === undefined) this.#blocks.set(index, hash)
    else if (before !== hash) this.#contradictions.add(`two blocks ${index}: ${before} and ${hash}`)
  }

  /** Two votes of a kind for one height, or one that goes around another (Casper FFG, Buterin and Griffith 2017). */
  vote(vote: Vote): void {
    const place = `${vote.kind} ${vote.target.index}`
    const before = this.#votes.get(place)
    if (before !== undefined && textOf(before) === textOf(vote)) return
    if (before !== undefined) this.#contradictions.add(`${textOf(before)} and ${textOf(vote)}`)
    for (const other of this.#votes.values()) {
      if (goesAround(vote, other) || goesAround(other, vote)) {
        this.#contradictions.add(`${textOf(vote)} and ${textOf(other)}: one goes around the other`)
      }
    }
    this.#votes.set(place, before ?? vote)
  }

  sawBlock(index: number): boolean {
    return this.#blocks.has(index)
  }

  sawVote({ kind, target }: Vote): boolean {
    return this.#votes.has(`${kind} ${target.index}`)
  }

  get counts(): { readonly blocks: number; readonly votes: number } {
    return { blocks: this.#blocks.size, votes: this.#votes.size }
  }

  get contradictions(): readonly string[] {
    return [...this.#contradictions]
  }
}

/** A commit counts as a link from its target to itself. */
const sourceOf = ({ source, target }: Vote): number => (source ?? target).index

const goesAround = (outer: Vote, inner: Vote): boolean =>
  sourceOf(outer) < sourceOf(inner) && inner.target.index < outer.target.index

const textOf = ({ kind, source, target }: Vote): string =>
  `${kind} ${source === undefined ? '' : `${source.index}:${source.hash} `}${target.index}:${target.hash}`
