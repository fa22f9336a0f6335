import type { Hash } from '../../chain/canonical.ts'
import type { HeaderTrail } from '../../chain/trail.ts'
import { decline, type Refusal, type Result } from '../../errors.ts'
import type { Limits } from '../../limits.ts'
import type { Clock } from '../../runtime.ts'
import type { NetworkChain } from '../module.ts'
import type { Peer } from '../peer.ts'
import type { Peers } from '../peers.ts'
import { Lane } from './lane.ts'
import { askBlock, askBlocks, blocksAskedMax, type Unchecked } from './questions.ts'

/** Ranges that are asked for or wait for their turn at once. */
const rangesMax = 16
/** What a range is thought to weigh before the first one was seen. */
const rangeBytesFirst = 2 * 1024 * 1024
/** A node answers with no more than this, or one block. */
const rangeBytesMax = 8 * 1024 * 1024

export interface BodiesParts {
  readonly chain: NetworkChain
  readonly clock: Clock
  readonly limits: Pick<Limits, 'request_milliseconds_max' | 'sync_bytes_max'>
  readonly peers: Pick<Peers, 'full' | 'of'>
  readonly trail: HeaderTrail
  /** Who showed the headers. */
  readonly source: Peer
  /** Something changed: a range is whole, or nobody has one. */
  readonly changed: () => void
}

/** Blocks that follow each other, from one peer. */
export interface Portion {
  readonly blocks: readonly Unchecked[]
  readonly from: Peer
}

interface Range {
  /** The first block that is missing. */
  next: number
  readonly to: number
  readonly portions: Portion[]
  bytes: number
  asked: boolean
}

/** Fetches the blocks of a trail in ranges, from several peers at once, and hands them out in their order. */
export class Bodies {
  readonly #parts: BodiesParts
  /** Lowest first. */
  #ranges: Range[] = []
  readonly #lanes = new WeakMap<Peer, Lane>()
  /** The block after the last range. */
  #next: number
  #bytes = 0
  #rangeBytes = rangeBytesFirst
  #ended = false
  /** Set when nobody has what comes next. */
  missing: Refusal | undefined

  constructor(parts: BodiesParts) {
    this.#parts = parts
    this.#next = parts.trail.base.header.index + 1
  }

  /** Gives work to whoever can take some. Called when something has changed. */
  pump(): void {
    if (this.#ended) return
    this.#open()
    for (const range of this.#ranges) if (!range.asked && !isWhole(range)) this.#assign(range)
  }

  /** The next blocks, if the range that they belong to is whole. */
  take(): Portion | undefined {
    const range = this.#ranges[0]
    if (range === undefined || !isWhole(range)) return undefined
    const portion = range.portions.shift()!
    if (range.portions.length === 0) {
      this.#ranges.shift()
      this.#bytes -= range.bytes
    }
    return portion
  }

  /** The blocks from this one on were not good, or their sender is not: they are fetched again, from others. */
  redo(index: number): void {
    for (const { bytes } of this.#ranges) this.#bytes -= bytes
    this.#ranges = []
    this.#next = index
  }

  end(): void {
    this.#ended = true
    this.#ranges = []
  }

  #open(): void {
    const { trail, limits, chain } = this.#parts
    for (;;) {
      const header = trail.at(this.#next)
      if (header === undefined) return
      if (this.#ranges.length === 0 && chain.header(header.current_hash) !== undefined) {
        this.#next++ // It came by itself meanwhile.
        continue
      }
      const expected = this.#bytes + this.#ranges.filter((range) => !isWhole(range)).length * this.#rangeBytes
      const hasRoom = this.#ranges.length < rangesMax && expected + this.#rangeBytes <= limits.sync_bytes_max
      if (this.#ranges.length > 0 && !hasRoom) return
      const to = Math.min(this.#next + blocksAskedMax - 1, trail.tip.index)
      this.#ranges.push({ next: this.#next, to, portions: [], bytes: 0, asked: false })
      this.#next = to + 1
    }
  }

  #assign(range: Range): void {
    const now = this.#parts.clock.monotonic()
    const able = this.#parts.peers.full().filter((peer) => this.#reaches(peer, range.next, now))
    const free = able.filter((peer) => !this.#lane(peer).isBusy)
    const best = free.toSorted((a, b) => this.#load(a) - this.#load(b))[0]
    if (best !== undefined) void this.#fetch(range, best)
    else if (able.length === 0) this.#assignByHash(range)
  }

  #reaches(peer: Peer, index: number, now: number): boolean {
    const claims = peer === this.#parts.source || peer.height >= index
    return claims && !this.#lane(peer).lacks(index, now)
  }

  /** By how much asking this peer is worse than asking another. */
  #load(peer: Peer): number {
    const { inFlight, pace } = this.#lane(peer)
    return (inFlight + 1) * (pace + 1)
  }

  /** Nobody has the range on its chain, but whoever showed the headers may still have the blocks beside it. */
  #assignByHash(range: Range): void {
    const { source, peers } = this.#parts
    if (this.#ranges[0] !== range) return
    if (peers.of(source.connection) === source) void this.#fetchByHash(range, source)
    else this.#giveUp('no peer has the blocks of these headers')
  }

  #giveUp(why: string): void {
    this.missing = decline('bodies-missing', why)
    this.#parts.changed()
  }

  async #fetch(range: Range, peer: Peer): Promise<void> {
    const { limits, clock } = this.#parts
    const lane = this.#lane(peer)
    const from = range.next
    const to = Math.min(range.to, from + lane.batch - 1)
    const deadline = lane.deadline(limits.request_milliseconds_max)
    const started = clock.monotonic()
    const answer = await this.#asking(range, lane, () => askBlocks(peer, from, to, deadline))
    if (answer.ok) lane.answered(clock.monotonic() - started)
    else this.#failed(peer, lane, answer)
    if (this.#ended) return
    const wanted = answer.ok ? this.#wanted(answer.value, from, to) : []
    // Whoever did not answer at all may have it; whoever said that there is no such thing, not.
    if (answer.ok && wanted.length === 0) lane.lacked(from, clock.monotonic())
    if (answer.ok && wanted.length < answer.value.length) lane.lacked(from + wanted.length, clock.monotonic())
    this.#keep(range, wanted, peer)
  }

  async #fetchByHash(range: Range, peer: Peer): Promise<void> {
    const lane = this.#lane(peer)
    const wanted = this.#parts.trail.at(range.next)!.current_hash
    const deadline = this.#parts.limits.request_milliseconds_max
    const answer = await this.#asking(range, lane, () => askBlock(peer, wanted, deadline))
    if (!answer.ok) this.#failed(peer, lane, answer)
    if (this.#ended) return
    const block = answer.ok ? answer.value[0] : undefined
    if (block?.current_hash === wanted && block.index === range.next) return this.#keep(range, [block], peer)
    range.asked = false
    this.#giveUp('neither by height nor by hash does any peer have the blocks of these headers')
  }

  async #asking<T>(range: Range, lane: Lane, ask: () => Promise<Result<T>>): Promise<Result<T>> {
    range.asked = true
    lane.inFlight++
    const answer = await ask()
    lane.inFlight--
    return answer
  }

  #failed(peer: Peer, lane: Lane, refusal: Refusal): void {
    if (refusal.provable) return peer.drop(refusal)
    if (refusal.code === 'disconnected') return
    if (refusal.code === 'no-answer') lane.timedOut()
    // It does not serve blocks, for reasons of its own.
    else lane.lacked(0, this.#parts.clock.monotonic())
    if (lane.isStalled) peer.drop(decline('sync-stalled', `asked for blocks, ${refusal.detail}, twice in a row`))
  }

  /** Those, from the first on, that are exactly the blocks of the trail. */
  #wanted(blocks: readonly Unchecked[], from: number, to: number): readonly Unchecked[] {
    const isWanted = ({ index, current_hash: hash }: Unchecked, i: number): boolean =>
      index === from + i && index <= to && hash === this.#hashAt(index)
    const other = blocks.findIndex((block, i) => !isWanted(block, i))
    return other === -1 ? blocks : blocks.slice(0, other)
  }

  #hashAt(index: number): Hash | undefined {
    return this.#parts.trail.at(index)?.current_hash
  }

  /** The range is free again only now: in between somebody else would be asked for what has just come. */
  #keep(range: Range, blocks: readonly Unchecked[], from: Peer): void {
    range.asked = false
    if (blocks.length > 0 && this.#ranges.includes(range)) {
      const bytes = JSON.stringify(blocks).length
      range.portions.push({ blocks, from })
      range.next += blocks.length
      range.bytes += bytes
      this.#bytes += bytes
      this.#rangeBytes = Math.min(rangeBytesMax, Math.ceil((bytes / blocks.length) * blocksAskedMax))
    }
    this.pump()
    if (this.#ranges[0] !== undefined && isWhole(this.#ranges[0])) this.#parts.changed()
  }

  #lane(peer: Peer): Lane {
    const lane = this.#lanes.get(peer) ?? new Lane()
    this.#lanes.set(peer, lane)
    return lane
  }
}

const isWhole = ({ next, to }: Range): boolean => next > to
