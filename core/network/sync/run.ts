import type { PreparedBranch } from '../../chain/preparation.ts'
import type { HeaderTrail } from '../../chain/trail.ts'
import { accepted, decline, type Refusal, type Verdict } from '../../errors.ts'
import type { Limits } from '../../limits.ts'
import type { Clock } from '../../runtime.ts'
import type { NetworkChain } from '../module.ts'
import type { Peers } from '../peers.ts'
import type { Peer } from '../peer.ts'
import { Bodies, type Portion } from './bodies.ts'
import { nearBlocksMax } from './parents.ts'
import { Progress, type ProgressParts } from './progress.ts'
import { headersAskedMax } from './questions.ts'
import { Signal } from './signal.ts'
import { HeaderWalk, isPeersFault, type Step } from './walk.ts'

/** Checked beside each other: while one is written, the next is on its way. */
const preparedMax = 2
/** Peers come and are free again without our hearing of it. */
const lookMilliseconds = 250
/** The disk may be full for a while. */
const storageMilliseconds = 1_000

export interface RunParts extends ProgressParts {
  readonly chain: NetworkChain
  readonly clock: Clock
  readonly limits: Pick<Limits, 'request_milliseconds_max' | 'sync_headers_max' | 'sync_bytes_max'>
  readonly peers: Peers
  readonly behind?: ((behind: boolean) => void) | undefined
}

interface Prepared {
  readonly portion: Portion
  readonly branch: Promise<PreparedBranch>
}

/**
 * One catching up: follows headers, fetches their blocks as soon as they make a better chain than ours, and hands them to the
 * chain in order. Nothing of it is remembered but what the chain records.
 */
export class SyncRun {
  readonly trail: HeaderTrail
  readonly #parts: RunParts
  readonly #bodies: Bodies
  #walk: HeaderWalk
  #step: Step
  readonly #asked: Set<Peer>
  /** For whoever records. */
  readonly #changed = new Signal()
  /** For whoever follows headers: there is room again. */
  readonly #room = new Signal()
  readonly #prepared: Prepared[] = []
  /** Up to this index the blocks of the trail are here. */
  #recorded: number
  #headersDone = false
  #over = false
  #progress: Progress | undefined
  /** What was thrown where nobody waited for it. */
  #fault: { readonly error: unknown } | undefined

  /** `walk`: has a trail; `step`: what its last question brought. */
  constructor(parts: RunParts, walk: HeaderWalk, step: Step) {
    if (walk.trail === undefined) throw new Error('a run begins with headers')
    this.#parts = parts
    this.#walk = walk
    this.#step = step
    this.trail = walk.trail
    this.#recorded = walk.trail.base.header.index
    this.#asked = new Set([walk.peer])
    const { chain, clock, limits, peers } = parts
    const changed = (): void => this.#changed.ring()
    this.#bodies = new Bodies({ chain, clock, limits, peers, trail: this.trail, source: walk.peer, changed })
  }

  /** It is so much that people are told. */
  get isLong(): boolean {
    return this.#progress !== undefined
  }

  /** The height that it leads to, as far as it is known. */
  get target(): number {
    return this.#target()
  }

  /** Resolves to why it did not come to its end, or accepted. */
  async go(): Promise<Verdict> {
    // Whoever records ends the run; a question that is still open then is of no interest any more.
    void this.#follow().catch((error: unknown) => {
      this.#fault = { error }
      this.#changed.ring()
    })
    let verdict: Verdict = decline('internal', 'a fault of this node')
    try {
      return (verdict = await this.#record())
    } finally {
      this.stop()
      if (this.isLong) this.#parts.behind?.(false)
      // However it ended: there are those that wait for it.
      this.#progress?.ended(this.#height(), verdict)
    }
  }

  /** `go` resolves when what is being written is written. */
  stop(): void {
    this.#over = true
    this.#bodies.end()
    this.#changed.ring()
    this.#room.ring()
  }

  // ---- headers ----

  /** One source at a time; whoever stalls or lies is replaced. */
  async #follow(): Promise<void> {
    for (;;) {
      this.#look()
      while (this.#goesOn()) {
        await this.#untilRoom()
        if (this.#over) return
        this.#step = await this.#walk.step()
        this.#look()
      }
      if (typeof this.#step === 'object' && isPeersFault(this.#step)) this.#walk.peer.drop(this.#step)
      if (this.#over) return
      const next = this.#nextSource()
      if (next === undefined) break
      this.#walk = next
      this.#step = 'more'
    }
    this.#headersDone = true
    this.#look()
  }

  #goesOn(): boolean {
    if (this.#over) return false
    // Where there is no room for more headers, blocks make some; if those are not worth it, nothing does.
    const isFull = typeof this.#step === 'object' && this.#step.code === 'too-many'
    return this.#step === 'more' || (isFull && this.#isWorthIt())
  }

  #nextSource(): HeaderWalk | undefined {
    const { peers } = this.#parts
    const next = peers.full().find((peer) => !this.#asked.has(peer) && peer.height > this.trail.tip.index)
    if (next === undefined) return undefined
    this.#asked.add(next)
    return new HeaderWalk(this.#parts, next, this.trail)
  }

  /** Headers wait in memory, so they are not to run ahead of their blocks by more than the limit. */
  async #untilRoom(): Promise<void> {
    const ahead = Math.max(0, this.#parts.limits.sync_headers_max - headersAskedMax)
    while (!this.#over && this.trail.tip.index - this.#recorded > ahead && this.#isWorthIt()) {
      await this.#room.wait()
    }
  }

  /** Something is new: there may be more to fetch, and to tell. */
  #look(): void {
    if (this.#progress === undefined && this.#isWorthIt() && this.#target() - this.#height() > nearBlocksMax) {
      this.#progress = new Progress(this.#parts, this.#height(), this.#target())
      this.#parts.behind?.(true)
    }
    this.#changed.ring()
  }

  // ---- blocks ----

  async #record(): Promise<Verdict> {
    while (!this.#over) {
      if (this.#fault !== undefined) throw this.#fault.error
      if (this.#isWorthIt()) this.#bodies.pump()
      this.#prepare()
      const first = this.#prepared[0]
      if (first !== undefined) {
        const verdict = await this.#submit(first)
        if (!verdict.ok) return verdict
      } else if (this.#bodies.missing !== undefined) {
        return this.#bodies.missing
      } else if (this.#headersDone && !this.#isWorthIt()) {
        return accepted
      } else {
        await this.#untilChanged()
      }
    }
    return decline('stopped', 'this node is about to stop')
  }

  /** Whether these headers make a better chain than ours: nothing is fetched for less. */
  #isWorthIt(): boolean {
    return this.trail.isBetter
  }

  #prepare(): void {
    while (this.#prepared.length < preparedMax) {
      const portion = this.#bodies.take()
      if (portion === undefined) return
      const branch = this.#parts.chain.prepareBranch(portion.blocks)
      branch.catch(() => undefined) // Thrown where it is awaited; it may not be.
      this.#prepared.push({ portion, branch })
    }
  }

  /** Declines where it makes no sense to go on. */
  async #submit({ portion, branch }: Prepared): Promise<Verdict> {
    const { chain } = this.#parts
    const { blocks, from } = portion
    const { verdict, taken } = await chain.submitBranch(await branch, from.id)
    if (this.#over) return accepted
    const next = blocks[0]!.index + taken
    if (taken > 0) this.#taken(next - 1, taken)
    if (verdict.ok) this.#prepared.shift()
    else return await this.#notTaken(verdict, next, from)
    return accepted
  }

  async #notTaken(refusal: Refusal, next: number, from: Peer): Promise<Verdict> {
    if (refusal.code === 'storage-unavailable') {
      await this.#pause(storageMilliseconds)
      return accepted // Once more.
    }
    if (!refusal.provable) return refusal
    from.drop(refusal)
    this.#prepared.length = 0
    this.#bodies.redo(next)
    return accepted
  }

  #taken(index: number, blocks: number): void {
    this.trail.release(index)
    this.#recorded = index
    this.#room.ring()
    this.#progress?.recorded(blocks, this.#height(), this.#target())
  }

  #height(): number {
    return this.#parts.chain.head().header.index
  }

  /** While headers are still to come: what peers claim, of which one alone may lie. */
  #target(): number {
    const tip = this.trail.tip.index
    if (this.#headersDone) return tip
    const claims = this.#parts.peers.full().map(({ height }) => height)
    return Math.max(tip, claims.toSorted((a, b) => a - b)[claims.length >> 1] ?? 0)
  }

  async #untilChanged(): Promise<void> {
    const timer = this.#parts.clock.after(lookMilliseconds, () => this.#changed.ring())
    await this.#changed.wait()
    timer.cancel()
  }

  #pause(milliseconds: number): Promise<void> {
    return new Promise((resume) => void this.#parts.clock.after(milliseconds, resume))
  }
}
