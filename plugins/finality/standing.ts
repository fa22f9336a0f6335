import type { Checkpoint, Hash } from '../../core/index.ts'
import { genesisCheckpoint, isSame, type Rules } from './rules.ts'
import { keyOf, trimmed, type Ballot, type Statement } from './votes.ts'

/** Quorums of one kind above the final block that are kept: the highest. */
const quorumsMax = 64

/** The blocks that are here. */
export interface Blocks {
  has(hash: Hash): boolean
  /** The block of this height at or below one that is here. */
  at(hash: Hash, index: number): Hash | undefined
}

/** What is to be adopted, with the votes for it. */
export interface Progress {
  readonly final: Ballot | undefined
  readonly justified: Ballot | undefined
}

/**
 * What quorums have made justified and final. A quorum counts when its block is here, on top of what was final before, so
 * that the answers are always blocks which fork choice can look at.
 *
 * A quorum of links is believed of its source too, even where that one's own quorum was never seen here: an honest voter
 * signs only what follows a source that it knows to be justified, and there is one in every quorum.
 */
export class Standing {
  readonly #rules: Rules
  readonly #quorums = new Map<string, Ballot>()
  /** As they were adopted; undefined: block 0. */
  #final: Ballot | undefined
  #justified: Ballot | undefined

  constructor(rules: Rules, { final, justified }: Progress) {
    this.#rules = rules
    this.adopt({ final, justified })
    if (justified !== undefined) this.reached(justified)
  }

  get final(): Checkpoint {
    return this.#final?.statement.target ?? genesisCheckpoint(this.#rules)
  }

  /** The highest; never below the final one. */
  get justified(): Checkpoint {
    const { final } = this
    const justified = this.#justified?.statement.target ?? final
    return justified.index > final.index ? justified : final
  }

  /** The commits of the final block; undefined for block 0. */
  get certificate(): Ballot | undefined {
    return this.#final
  }

  /** The links that made the highest block justified that is not final. */
  get justification(): Ballot | undefined {
    return isSame(this.justified, this.final) ? undefined : this.#justified
  }

  /** Notes that a statement has its quorum. False where it has not, or that is known. */
  reached(ballot: Ballot): boolean {
    const { statement, signatures } = ballot
    if (signatures.size < this.#rules.quorum || statement.target.index <= this.final.index) return false
    const key = keyOf(statement)
    if (this.#quorums.has(key)) return false
    this.#quorums.set(key, trimmed(ballot, this.#rules.quorum))
    const ofKind = this.#of(statement.kind)
    if (ofKind.length > quorumsMax) this.#quorums.delete(keyOf(ofKind.at(-1)!.statement))
    return true
  }

  /** Whether a statement is known to have its quorum. */
  isDecided(statement: Statement): boolean {
    return this.#quorums.has(keyOf(statement))
  }

  /** What may be adopted now, of what was not before. */
  next(blocks: Blocks): Progress {
    const final = this.#of('commit').find(({ statement }) => stands(statement.target, this.final, blocks))
    const ground = final?.statement.target ?? this.final
    const best = this.#of('justify').find(({ statement }) => stands(statement.target, ground, blocks))
    const isHigher = best !== undefined && best.statement.target.index > Math.max(this.justified.index, ground.index)
    return { final, justified: isHigher ? best : undefined }
  }

  adopt({ final, justified }: Progress): void {
    if (justified !== undefined) this.#justified = justified
    if (final === undefined) return
    this.#final = final
    const { index } = final.statement.target
    for (const [key, { statement }] of this.#quorums) if (statement.target.index <= index) this.#quorums.delete(key)
  }

  /** The highest that is justified or final and meets a condition. */
  justifiedWhere(holds: (checkpoint: Checkpoint) => boolean): Checkpoint | undefined {
    const candidates = [...this.#of('justify').map(({ statement }) => statement.target), this.final]
    return candidates.find(holds)
  }

  /** Decided, and not here: the final block itself, and the highest of each kind. */
  missing(blocks: Blocks): readonly Ballot[] {
    const decided = [this.#final, this.#of('commit')[0], this.#of('justify')[0]]
    return decided.filter((one) => one !== undefined).filter(({ statement }) => !blocks.has(statement.target.hash))
  }

  /** A block that a quorum made final beside what was final before: more than a third of the authorities lie. */
  contradicting(blocks: Blocks): Checkpoint | undefined {
    const targets = this.#of('commit').map(({ statement }) => statement.target)
    return targets.find((target) => blocks.has(target.hash) && !stands(target, this.final, blocks))
  }

  /** Highest first. */
  #of(kind: 'justify' | 'commit'): Ballot[] {
    const quorums = [...this.#quorums.values()].filter(({ statement }) => statement.kind === kind)
    return quorums.toSorted((a, b) => b.statement.target.index - a.statement.target.index)
  }
}

/** Whether a block is here and has another below it. */
const stands = (upper: Checkpoint, lower: Checkpoint, blocks: Blocks): boolean =>
  blocks.has(upper.hash) &&
  blocks.at(upper.hash, upper.index) === upper.hash &&
  blocks.at(upper.hash, lower.index) === lower.hash
