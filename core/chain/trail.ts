import { accepted, decline, type Result, type Verdict } from '../errors.ts'
import type { Limits } from '../limits.ts'
import type { Ancestry, Consensus, Finality, Storage, StoredHeader } from '../plugin.ts'
import type { Clock } from '../runtime.ts'
import type { Ancestors } from './ancestry.ts'
import { badBlockSignature, readSealedHeader, type ReadHeader, type SealedHeader } from './block.ts'
import type { Branches } from './branch.ts'
import type { DepthLimit } from './depth.ts'
import type { Candidate, ForkChoice } from './forkchoice.ts'
import type { ChainRules } from './rules.ts'
import { checkNotAhead, checkSuccession } from './succession.ts'
import type { Verifier } from './verifier.ts'

/**
 * Headers on top of a block of the ledger that are checked (hash, rules, work, who signed the last) and held in memory
 * while nothing of them is stored: what a peer says its chain is, before anybody fetches the blocks.
 */
export interface HeaderTrail {
  /** The block of the ledger on which it was begun. */
  readonly base: StoredHeader
  /** The last header; the base's where there is none yet. */
  readonly tip: SealedHeader
  /** Up to and including the tip. */
  readonly totalWork: bigint
  /** Whether the chain that ends in the tip is better than the recorded one, by fork choice. */
  readonly isBetter: boolean
  /** A header above the base. undefined where there is none, or it was released. */
  at(index: number): SealedHeader | undefined
  /**
   * Checks headers that continue the trail, oldest first, and adds them. At the first that does not hold it stops and
   * says why; those before it were added. Refusals: those of `readSealedHeader`, `bad-signature` (of the last one, and
   * then none is added), `bad-parent`, those of `checkSuccession`, `timestamp-ahead`, `reorganisation-too-deep` and
   * `below-final` (none is added; said once the branch outweighs the recorded chain: a lighter one undoes nothing), and
   * `too-many` beyond `sync_headers_max`.
   */
  extend(values: readonly unknown[]): Promise<Verdict>
  /** Forgets the headers up to and including this index once they are in the ledger, where rules then look back. */
  release(index: number): void
}

export interface TrailParts {
  readonly rules: ChainRules
  readonly consensus: Consensus
  readonly finality?: Finality | undefined
  readonly storage: Pick<Storage, 'header'>
  readonly ancestors: Ancestors
  readonly branches: Branches
  readonly choice: ForkChoice
  readonly depth: DepthLimit
  readonly verifier: Verifier
  readonly limits: Pick<Limits, 'sync_headers_max'>
  readonly clock: Clock
}

/** A few milliseconds' worth, after which others get their turn. */
const headersPerTurn = 200

export class Trail implements HeaderTrail {
  readonly base: StoredHeader
  readonly #parts: TrailParts
  /** The block of the ledger below the first header that is held. */
  #ground: SealedHeader
  #held: SealedHeader[] = []
  #totalWork: bigint
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: TrailParts, base: StoredHeader) {
    this.#parts = parts
    this.base = base
    this.#ground = base.header
    this.#totalWork = base.totalWork
  }

  get tip(): SealedHeader {
    return this.#held.at(-1) ?? this.#ground
  }

  get totalWork(): bigint {
    return this.#totalWork
  }

  get isBetter(): boolean {
    return this.#parts.choice.beatsHead(this.candidate)
  }

  /** The chain that ends in the tip. */
  get candidate(): Candidate {
    return this.upTo(this.tip, this.#totalWork)
  }

  /** The chain that ends in a header of this trail, with its total work. */
  upTo(parent: SealedHeader, totalWork: bigint): Candidate {
    return { line: { ...this.#ancestry(), parent }, totalWork }
  }

  at(index: number): SealedHeader | undefined {
    return this.#held[index - this.#ground.index - 1]
  }

  /** Adds one that was read, if it keeps the rules on top of the tip. */
  add(header: SealedHeader): Verdict {
    const { consensus, clock } = this.#parts
    const rules = checkSuccession(header, this.#ancestry(), this.#parts)
    if (!rules.ok) return rules
    const time = checkNotAhead(header, consensus, clock.now())
    if (!time.ok) return time
    this.#held.push(header)
    this.#totalWork += consensus.weight(header)
    return accepted
  }

  extend(values: readonly unknown[]): Promise<Verdict> {
    const verdict = this.#turn.then(() => this.#extend(values))
    this.#turn = verdict.catch(() => undefined)
    return verdict
  }

  release(index: number): void {
    const last = this.at(Math.min(index, this.tip.index))
    if (last === undefined || this.#parts.storage.header(last.current_hash) === undefined) return
    this.#held = this.#held.slice(last.index - this.#ground.index)
    this.#ground = last
  }

  async #extend(values: readonly unknown[]): Promise<Verdict> {
    const { verifier, clock } = this.#parts
    const before = this.tip
    let last: ReadHeader | undefined
    let verdict: Verdict = accepted
    for (const [i, value] of values.entries()) {
      if (i > 0 && i % headersPerTurn === 0) await new Promise<void>((resume) => clock.soon(resume))
      const read = this.#readNext(value, i === 0)
      verdict = read
      if (!read.ok) break
      last = read.value
    }
    // A header's hash covers the one below and so all of them, but not the signature. Who signs the last vouches for the
    // rest: where only some may sign, nobody else makes a trail. The other signatures are checked with their blocks.
    if (last === undefined) return verdict
    const ground = (await verifier.verify(last)) ? this.#checkDepth() : badBlockSignature
    if (ground.ok) return verdict.ok ? accepted : verdict
    this.#cutBack(before)
    return ground
  }

  #readNext(value: unknown, isFirst: boolean): Result<ReadHeader> {
    const { sync_headers_max } = this.#parts.limits
    if (this.#held.length >= sync_headers_max) {
      return decline('too-many', `${sync_headers_max} headers are held ahead of their blocks`)
    }
    const read = readSealedHeader(value, this.#parts.rules)
    if (!read.ok) return read
    const { block } = read.value
    // Whoever answers may have reorganised since the answer before.
    if (isFirst && block.prev_hash !== this.tip.current_hash) {
      return decline('bad-parent', `prev_hash: expected ${this.tip.current_hash}, the end of what was sent before`)
    }
    const added = this.add(block)
    return added.ok ? read : added
  }

  #checkDepth(): Verdict {
    const { branches, depth } = this.#parts
    const { candidate } = this
    if (!depth.wouldWin(candidate)) return accepted
    // Blocks of the trail may be recorded already although nobody released them: it leaves the chain above them.
    let recorded = 0
    for (let above = this.#held.length; recorded < above;) {
      const middle = (recorded + above + 1) >> 1
      if (this.#isRecorded(this.#held[middle - 1]!)) recorded = middle
      else above = middle - 1
    }
    const branch = branches.on((this.#held[recorded - 1] ?? this.#ground).current_hash)
    if (branch === undefined) return decline('orphan', `the block ${this.#ground.current_hash} is not here any more`)
    const first = branch.side[0]?.header ?? this.#held[recorded]
    return first === undefined ? accepted : depth.check({ first, fork: branch.fork, candidate })
  }

  #isRecorded({ current_hash }: SealedHeader): boolean {
    return this.#parts.storage.header(current_hash)?.recorded === true
  }

  #cutBack(tip: SealedHeader): void {
    while (this.#held.length > 0 && this.tip !== tip) {
      this.#totalWork -= this.#parts.consensus.weight(this.#held.pop()!)
    }
  }

  #ancestry(): Ancestry {
    const below = this.#parts.ancestors.of(this.#ground)
    const parent = this.tip
    return {
      parent,
      at: (index) => (index > this.#ground.index ? this.at(index) : below.at(index)),
    }
  }
}
