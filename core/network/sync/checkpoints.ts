import type { Hash } from '../../chain/canonical.ts'
import type { HeaderTrail } from '../../chain/trail.ts'
import type { NodeId } from '../../chain/keys.ts'
import { accepted, decline, found, type Refusal, type Result, type Verdict } from '../../errors.ts'
import type { Limits } from '../../limits.ts'
import type { Log } from '../../log.ts'
import type { Checkpoint } from '../../plugin.ts'
import type { Clock, Timer } from '../../runtime.ts'
import { BoundedSet } from '../boundedset.ts'
import type { NetworkChain } from '../module.ts'
import type { Peer } from '../peer.ts'
import type { Peers } from '../peers.ts'
import { askBlock, askBlocks, blocksAskedMax, type Unchecked } from './questions.ts'
import { HeaderWalk, type Step } from './walk.ts'

/** Checkpoints that are to be fetched; beyond them the lowest go. */
const wishesMax = 8
/** Peers that are asked before a checkpoint is left alone for a while, and how often that is tried again. */
const sourcesMax = 4
const triesMax = 6
const againMilliseconds = 10_000
/** However much it is, one peer must have shown it after so long. */
const sourceMilliseconds = 60_000
/** Of a branch that its peer does not have on its chain, so many blocks are fetched one by one, downwards. */
const backBlocksMax = 100
const backBytesMax = 16 * 1024 * 1024

const toldMin = 64

export interface CheckpointsParts {
  readonly chain: NetworkChain
  readonly peers: Pick<Peers, 'full' | 'get' | 'of'>
  readonly clock: Clock
  readonly limits: Pick<Limits, 'request_milliseconds_max'>
  readonly log: Log
}

interface Wish {
  readonly checkpoint: Checkpoint
  /** Who spoke of it. */
  readonly from: NodeId
  tries: number
  /** Monotonic milliseconds: it is tried then. */
  due: number
}

/**
 * Fetches the branches on which checkpoints stand that others have justified or made final, although such a branch may be
 * lighter than ours: the chain keeps it beside, and then looks again which is the best. One at a time.
 */
export class CheckpointFetch {
  readonly #parts: CheckpointsParts
  /** In the order in which they came. */
  readonly #wishes = new Map<Hash, Wish>()
  /** Those that are never taken here, as the log says. */
  readonly #told = new BoundedSet<Hash>(toldMin)
  #running: Promise<void> | undefined
  #timer: Timer | undefined
  #stopped = false

  constructor(parts: CheckpointsParts) {
    this.#parts = parts
  }

  /** May be called on the writer's stack: takes note, and works later. */
  want(checkpoint: Checkpoint, from: NodeId): void {
    const { hash } = checkpoint
    if (this.#stopped || this.#wishes.has(hash) || this.#isHere(checkpoint)) return
    this.#wishes.set(hash, { checkpoint, from, tries: 0, due: Number.NEGATIVE_INFINITY })
    if (this.#wishes.size > wishesMax) this.#dropLowest()
    this.#parts.clock.soon(() => this.#next())
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#running
  }

  #dropLowest(): void {
    const [lowest] = [...this.#wishes.values()].toSorted((a, b) => a.checkpoint.index - b.checkpoint.index)
    this.#wishes.delete(lowest!.checkpoint.hash)
  }

  #isHere({ hash }: Checkpoint): boolean {
    return this.#parts.chain.header(hash) !== undefined
  }

  #next(): void {
    if (this.#stopped || this.#running !== undefined) return
    this.#timer?.cancel()
    this.#running = this.#work().finally(() => {
      this.#running = undefined
    })
  }

  /** Each once; what could not be had is tried again in a while. */
  async #work(): Promise<void> {
    const { clock } = this.#parts
    for (const wish of this.#wishes.values()) {
      if (this.#stopped) return
      if (wish.due > clock.monotonic()) continue
      wish.tries++
      const verdict = await this.#fetch(wish).catch((error: unknown) => this.#fault(error))
      const { checkpoint } = wish
      if (!verdict.ok) this.#tell(checkpoint, verdict)
      if (verdict.ok || isHopeless(verdict) || wish.tries >= triesMax) this.#wishes.delete(checkpoint.hash)
      wish.due = clock.monotonic() + againMilliseconds
    }
    if (this.#stopped || this.#wishes.size === 0) return
    this.#timer = clock.after(againMilliseconds, () => this.#next())
  }

  /** It may come, or is of no use: nobody needs to hear. But where this node itself will never take it, somebody must act. */
  #tell(checkpoint: Checkpoint, refusal: Refusal): void {
    const { log } = this.#parts
    if (!isHopeless(refusal) || this.#told.has(checkpoint.hash)) {
      return log.debug('a checkpoint could not be fetched', { ...checkpoint, why: refusal.detail })
    }
    this.#told.add(checkpoint.hash)
    log.error('others have decided on a block whose branch this node refuses: it does not follow them any more', {
      ...checkpoint,
      why: refusal.detail,
      what_to_do: 'find out which chain is right; to follow the others, fetch theirs anew with another --data-dir',
    })
  }

  async #fetch({ checkpoint, from }: Wish): Promise<Verdict> {
    let verdict: Verdict = decline('bodies-missing', 'no peer has it')
    for (const peer of this.#sources(checkpoint, from)) {
      if (this.#stopped || this.#isHere(checkpoint)) break
      verdict = await this.#fetchFrom(peer, checkpoint)
      if (!verdict.ok && verdict.provable) peer.drop(verdict)
      if (!verdict.ok && isHopeless(verdict)) break
    }
    return this.#isHere(checkpoint) ? accepted : verdict
  }

  /** Who spoke of it first, then those that are as high. */
  #sources({ index }: Checkpoint, from: NodeId): readonly Peer[] {
    const { peers } = this.#parts
    const first = peers.get(from)
    const others = peers.full().toSorted((a, b) => Number(b.height >= index) - Number(a.height >= index))
    const all = first === undefined || first.isLight ? others : [first, ...others]
    return [...new Set(all)].slice(0, sourcesMax)
  }

  async #fetchFrom(peer: Peer, checkpoint: Checkpoint): Promise<Verdict> {
    const { clock } = this.#parts
    const until = clock.monotonic() + sourceMilliseconds
    const goesOn = (): boolean =>
      !this.#stopped && clock.monotonic() < until && this.#parts.peers.get(peer.nodeId) === peer
    const trail = await this.#headers(peer, checkpoint, goesOn)
    if (!trail.ok) return trail
    return trail.value === undefined
      ? await this.#fetchBack(peer, checkpoint, goesOn)
      : await this.#fetchBodies(peer, checkpoint, trail.value, goesOn)
  }

  // ---- on the peer's own chain ----

  /** A trail that holds the checkpoint; undefined where the peer's chain does not lead there. */
  async #headers(
    peer: Peer,
    { index, hash }: Checkpoint,
    goesOn: () => boolean,
  ): Promise<Result<HeaderTrail | undefined>> {
    const walk = new HeaderWalk(this.#parts, peer)
    const holds = (): boolean => walk.trail?.at(index)?.current_hash === hash
    let step: Step = 'more'
    while (step === 'more' && !holds() && (walk.trail?.tip.index ?? 0) < index && goesOn()) step = await walk.step()
    if (holds()) return found(walk.trail)
    return typeof step === 'object' && (step.provable || isHopeless(step)) ? step : found(undefined)
  }

  async #fetchBodies(
    peer: Peer,
    { index, hash }: Checkpoint,
    trail: HeaderTrail,
    goesOn: () => boolean,
  ): Promise<Verdict> {
    const { chain, limits } = this.#parts
    let next = trail.base.header.index + 1
    while (next <= index && chain.header(hash) === undefined) {
      if (!goesOn()) return tooSlow
      const to = Math.min(index, next + blocksAskedMax - 1)
      const answer = await askBlocks(peer, next, to, limits.request_milliseconds_max)
      if (!answer.ok) return answer
      const other = answer.value.findIndex((block, i) => block.current_hash !== trail.at(next + i)?.current_hash)
      const blocks = other === -1 ? answer.value : answer.value.slice(0, other)
      // It has reorganised since, or answers with nothing.
      if (blocks.length === 0) return decline('bodies-missing', 'the peer does not show the blocks of its headers')
      const { verdict } = await chain.submitBranch(blocks, peer.id, true)
      if (!verdict.ok) return verdict
      next += blocks.length
    }
    return accepted
  }

  // ---- beside the peer's chain ----

  async #fetchBack(peer: Peer, { hash }: Checkpoint, goesOn: () => boolean): Promise<Verdict> {
    const { chain, limits } = this.#parts
    const blocks: Unchecked[] = []
    let bytes = 0
    for (let wanted = hash; chain.header(wanted) === undefined;) {
      if (!goesOn()) return tooSlow
      if (blocks.length >= backBlocksMax || bytes > backBytesMax) return decline('too-many', 'the branch is too long')
      const answer = await askBlock(peer, wanted, limits.request_milliseconds_max)
      if (!answer.ok) return answer
      const [block] = answer.value
      if (block?.current_hash !== wanted) return decline('bodies-missing', 'the peer does not have the block')
      blocks.unshift(block)
      bytes += JSON.stringify(block).length
      wanted = block.prev_hash
    }
    return blocks.length === 0 ? accepted : (await chain.submitBranch(blocks, peer.id, true)).verdict
  }

  #fault(error: unknown): Verdict {
    if (!this.#stopped) this.#parts.log.error('a checkpoint could not be fetched: a fault of this node', { error })
    return decline('internal', 'a fault of this node')
  }
}

const tooSlow = decline('sync-stalled', 'the peer takes too long, or is gone')

/** Whoever sends it, it is not taken. */
const isHopeless = ({ code }: { readonly code: string }): boolean =>
  code === 'below-final' || code === 'reorganisation-too-deep'
