import * as v from 'valibot'
import type { SealedHeader } from '../../chain/block.ts'
import type { Hash } from '../../chain/canonical.ts'
import type { Refusal } from '../../errors.ts'
import type { Timer } from '../../runtime.ts'
import { BoundedSet } from '../boundedset.ts'
import type { Catchup, ModuleParts, NetworkChain, NetworkModule } from '../module.ts'
import type { Peer } from '../peer.ts'
import { CheckpointFetch } from './checkpoints.ts'
import { fetchParents, nearBlocksMax } from './parents.ts'
import { SyncRun } from './run.ts'
import { HeaderWalk, isPeersFault, type Step } from './walk.ts'

/** Every so often, and up to twice as long, a few peers are asked, so that a lost message leaves no node behind. */
const quietMilliseconds = 8_000
const askedPerLook = 2
/** After a question that brought nothing, news of the same peer wait for so long. */
const restMilliseconds = 2_000
/** A branch that would undo too much, or what is final, is not fetched again for so long. */
const tooDeepMilliseconds = 60_000
/** Blocks of which it is remembered that their branch is not taken: so many at least. */
const refusedBlocksMin = 1_000

/**
 * Fetches what this node lacks: the headers of a better chain and then its blocks, the few parents of a new block, or the
 * branch of a checkpoint.
 */
export function sync(parts: ModuleParts): NetworkModule & Catchup {
  const { chain } = parts
  return chain === undefined ? nothingToFetch : new Sync({ ...parts, chain })
}

/** Answers that come too late for their questions; they are no fault. */
const late = { schema: v.object({}), handle: () => undefined }
const lateAnswers = { header_response: late, block_response: late }

const nothingToFetch: NetworkModule & Catchup = {
  messages: lateAnswers,
  active: false,
  running: false,
  progress: undefined,
  heardOf: () => undefined,
  orphaned: () => undefined,
}

type SyncParts = ModuleParts & { readonly chain: NetworkChain }

class Sync implements NetworkModule, Catchup {
  readonly messages = lateAnswers
  readonly #parts: SyncParts
  /** Peers that are being asked for their headers. */
  readonly #asking = new Set<Peer>()
  /** Peers whose missing parents are being fetched. */
  readonly #fetching = new Set<Peer>()
  /** Peers that had something else while a run was under way. */
  readonly #later = new Set<Peer>()
  /** Peers with news that are asked again in a while. */
  readonly #waiting = new Map<Peer, Timer>()
  /** Monotonic milliseconds: when a peer was last asked, and when it may be asked for its news again. */
  readonly #askedAt = new WeakMap<Peer, number>()
  readonly #restsUntil = new WeakMap<Peer, number>()
  /** Of branches that leave the recorded chain below what is final: they are not taken whoever sends them. */
  readonly #refusedBlocks = new BoundedSet<Hash>(refusedBlocksMin)
  readonly #checkpoints: CheckpointFetch
  #run: SyncRun | undefined
  #running: Promise<unknown> = Promise.resolve()
  #timer: Timer | undefined
  #stopped = false

  constructor(parts: SyncParts) {
    this.#parts = parts
    this.#checkpoints = new CheckpointFetch({ ...parts, clock: parts.runtime.clock })
    parts.chain.wanted((checkpoint, from) => this.#checkpoints.want(checkpoint, from))
  }

  get active(): boolean {
    return this.#run?.isLong === true
  }

  get running(): boolean {
    return this.#run !== undefined
  }

  get progress(): { readonly height: number; readonly target: number } | undefined {
    return this.#run && { height: this.#height(), target: this.#run.target }
  }

  start(): void {
    this.#lookLater()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    for (const timer of this.#waiting.values()) timer.cancel()
    this.#run?.stop()
    await Promise.all([this.#running, this.#checkpoints.stop()])
  }

  /** Each is asked once, whatever it claims: of two branches of one height the heavier one is to be found, too. */
  joined(peer: Peer): void {
    this.#ask(peer)
  }

  left(peer: Peer): void {
    this.#later.delete(peer)
    this.#waiting.get(peer)?.cancel()
    this.#waiting.delete(peer)
  }

  heardOf(peer: Peer, height: number): void {
    peer.height = Math.max(peer.height, height)
    if (height > this.#height() + nearBlocksMax) this.#askForNews(peer)
  }

  orphaned(peer: Peer, block: SealedHeader): void {
    const { chain, limits } = this.#parts
    if (Math.abs(block.index - this.#height()) > nearBlocksMax) return this.#askForNews(peer)
    if (this.#fetching.has(peer) || this.#stopped || peer.isLight) return
    this.#fetching.add(peer)
    const isRefused = (hash: Hash): boolean => this.#refusedBlocks.has(hash)
    const fetching = fetchParents({ chain, peer, block, isRefused, millisecondsMax: limits.request_milliseconds_max })
    void this.#guarded(async () => {
      const { verdict, hashes } = await fetching
      if (verdict.ok) return
      if (verdict.code === 'below-final') for (const hash of hashes) this.#refusedBlocks.add(hash)
      else this.#askForNews(peer)
    }).finally(() => this.#fetching.delete(peer))
  }

  #height(): number {
    return this.#parts.chain.head().header.index
  }

  // ---- asking ----

  /** A peer has something new. It waits where the peer is being asked, or was just now. */
  #askForNews(peer: Peer): void {
    if (peer.isLight) return
    if (this.#run !== undefined) {
      this.#later.add(peer)
      return
    }
    const { clock } = this.#parts.runtime
    const rest = (this.#restsUntil.get(peer) ?? 0) - clock.monotonic()
    if (rest <= 0 && !this.#asking.has(peer)) return this.#ask(peer)
    if (this.#waiting.has(peer)) return
    const again = (): void => {
      this.#waiting.delete(peer)
      this.#askForNews(peer)
    }
    this.#waiting.set(peer, clock.after(Math.max(rest, restMilliseconds), again))
  }

  #ask(peer: Peer): void {
    const isHere = this.#parts.peers.of(peer.connection) === peer && !peer.isLight
    if (this.#stopped || this.#asking.has(peer) || !isHere) return
    this.#asking.add(peer)
    this.#askedAt.set(peer, this.#parts.runtime.clock.monotonic())
    void this.#guarded(() => this.#explore(peer)).finally(() => this.#asking.delete(peer))
  }

  /** What this peer has that we do not have. */
  async #explore(peer: Peer): Promise<void> {
    const { chain, runtime, limits } = this.#parts
    const walk = new HeaderWalk({ chain, clock: runtime.clock, limits, beside: () => this.#run?.trail }, peer)
    let step: Step = 'more'
    while (step === 'more' && walk.trail === undefined && !this.#stopped) step = await walk.step()
    if (this.#stopped) return
    this.#rest(peer, restMilliseconds)
    if (step === 'elsewhere') this.#later.add(peer)
    if (typeof step === 'object') this.#refused(peer, step)
    if (walk.trail === undefined || walk.trail.tip === walk.trail.base.header) return
    if (typeof step === 'object' && isPeersFault(step)) return
    if (this.#run === undefined) this.#begin(walk, step)
    else this.#later.add(peer)
  }

  #refused(peer: Peer, refusal: Exclude<Step, string>): void {
    if (isPeersFault(refusal)) peer.drop(refusal)
    if (undoesTooMuch(refusal)) this.#rest(peer, tooDeepMilliseconds)
  }

  #rest(peer: Peer, milliseconds: number): void {
    this.#restsUntil.set(peer, this.#parts.runtime.clock.monotonic() + milliseconds)
  }

  // ---- running ----

  #begin(walk: HeaderWalk, step: Step): void {
    const { chain, runtime, limits, log, emit, peers, behind } = this.#parts
    const run = new SyncRun({ chain, clock: runtime.clock, limits, log, emit, peers, behind }, walk, step)
    this.#run = run
    this.#running = this.#guarded(async () => {
      const verdict = await run.go()
      if (!verdict.ok && undoesTooMuch(verdict)) this.#rest(walk.peer, tooDeepMilliseconds)
      if (!verdict.ok) log.debug('a synchronisation ended early', { code: verdict.code, detail: verdict.detail })
    }).finally(() => {
      this.#run = undefined
      this.#askTheOthers()
    })
  }

  #askTheOthers(): void {
    const later = [...this.#later]
    this.#later.clear()
    for (const peer of later) this.#askForNews(peer)
  }

  #lookLater(): void {
    const { clock } = this.#parts.runtime
    const [dice = 0] = this.#parts.runtime.random(1)
    this.#timer = clock.after(quietMilliseconds * (1 + dice / 256), () => {
      if (this.#run === undefined) this.#look()
      this.#lookLater()
    })
  }

  /** First one that is said to have more, then whoever was not asked for longest. */
  #look(): void {
    const now = this.#parts.runtime.clock.monotonic()
    const waiting = this.#parts.peers
      .full()
      .filter((peer) => (this.#restsUntil.get(peer) ?? 0) <= now)
      .toSorted((a, b) => (this.#askedAt.get(a) ?? 0) - (this.#askedAt.get(b) ?? 0))
    const ahead = waiting.find(({ height }) => height > this.#height())
    const chosen = new Set(ahead === undefined ? waiting : [ahead, ...waiting])
    for (const peer of [...chosen].slice(0, askedPerLook)) this.#ask(peer)
  }

  /** Nobody waits for the answer of what runs here. */
  async #guarded(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (this.#stopped) return // The ledger may be closed already.
      this.#parts.log.error('synchronising failed: a fault of this node', { error })
    }
  }
}

const undoesTooMuch = ({ code }: Refusal): boolean => code === 'reorganisation-too-deep' || code === 'below-final'
