import { LRUCache } from 'lru-cache'
import type { Block } from '../../chain/block.ts'
import type { HeadMove } from '../../chain/chain.ts'
import type { Hash } from '../../chain/canonical.ts'
import type { JsonObject } from '../../chain/json.ts'
import type { AppliedBlock } from '../../plugin.ts'
import type { Timer } from '../../runtime.ts'
import type { Catchup, ModuleParts } from '../module.ts'
import type { Peer } from '../peer.ts'
import { Allowance } from './allowance.ts'
import { compactMessage, wholeMessage } from './shortids.ts'

/** Of more blocks than these that came at once, peers are sent the last: who lacks the others fetches them. */
const passedOnMax = 10
/** Blocks beside the recorded chain that came at once; beyond that the oldest are not passed on. */
const besideMax = 20
/**
 * Of one key and height: who signs a third is known to lie, and whoever builds on that one sends it on with its own. And
 * a pace, since one key may sign at a thousand heights: a fifth of what a peer takes of all messages.
 */
const besidePerTurnMax = 2
const besideTurnsMax = 4_096
const besideBurstMax = 50
const besidePerSecondMax = 20
/** A block is sent in short where a peer is believed to lack at most this share of its transactions. */
const lackedShareMax = 0.25
/** While this node fetches many blocks, it looks so often whether it is done. */
const lookMilliseconds = 250
/** Blocks that were passed on lately: peers may ask for transactions of them. */
const latestBlocksMax = 4

/** A block beside the recorded chain, and the connection that it came by. */
interface Beside {
  readonly block: Block
  readonly from: string
}

export interface BlockRelayParts extends ModuleParts {
  readonly catchup: Catchup
  /** Whether a peer most likely holds a transaction. */
  readonly arrived: (peer: Peer, hash: Hash) => boolean
}

/**
 * Passes on the blocks that became the recorded chain: at once, to each peer that does not have them, never back to whom
 * they came from. Who has the transactions is sent a header and short ids, after BIP 152. Where an engine has turns, so
 * are those that were kept beside the chain: one of them may be the only block that anybody can go on from.
 */
export class BlockRelay {
  readonly #parts: BlockRelayParts
  #fresh: { readonly applied: AppliedBlock; readonly from: string }[] = []
  #beside: Beside[] = []
  /** By key and height, how many were to be passed on. */
  readonly #besideOf = new LRUCache<string, number>({ max: besideTurnsMax })
  readonly #besidePace: Allowance
  #besideTimer: Timer | undefined
  #waking = false
  readonly #latest = new Map<Hash, Block>()
  #timer: Timer | undefined
  #stopped = false

  constructor(parts: BlockRelayParts) {
    this.#parts = parts
    this.#besidePace = new Allowance(besideBurstMax, besidePerSecondMax, parts.runtime.clock)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#besideTimer?.cancel()
  }

  /** One of those that were passed on lately. */
  latest(hash: Hash): Block | undefined {
    return this.#latest.get(hash)
  }

  /** From the writer: takes note, and works in a turn of its own. */
  moved({ undone, applied, from }: HeadMove): void {
    const gone = new Set(undone)
    const left = this.#fresh.filter((one) => !gone.has(one.applied.block.current_hash))
    const come = applied.length > passedOnMax ? applied.slice(-1) : applied
    // All of them are of the branch that holds the head: those that are too many are the lowest.
    this.#fresh = [...left, ...come.map((one) => ({ applied: one, from }))].slice(-passedOnMax)
    this.#wake()
  }

  /** From the writer: a block that is not of the recorded chain, and that others may have to build on. */
  beside(block: Block, from: string): void {
    const turn = `${block.miner_id}/${block.index}`
    const before = this.#besideOf.get(turn) ?? 0
    if (before >= besidePerTurnMax) return
    this.#besideOf.set(turn, before + 1)
    this.#beside = [...this.#beside, { block, from }].slice(-besideMax)
    this.#wake()
  }

  /** To all, whatever they are believed to have: one that lost it cannot go on. */
  sayAgain(block: Block): void {
    const message = wholeMessage(this.#parts.identity.nodeId, block)
    this.#parts.runtime.clock.soon(() => {
      if (!this.#stopped) for (const peer of this.#parts.peers.full()) this.#send(peer, block.current_hash, message)
    })
  }

  #wake(): void {
    if (this.#waking || this.#timer !== undefined) return
    this.#waking = true
    this.#parts.runtime.clock.soon(() => {
      this.#waking = false
      this.#pass()
    })
  }

  #pass(): void {
    if (this.#stopped) return
    if (this.#parts.catchup.active) {
      this.#timer = this.#parts.runtime.clock.after(lookMilliseconds, () => {
        this.#timer = undefined
        // Nobody needs the blocks of years ago: the last of them is sent, when this node is there.
        this.#fresh = this.#fresh.slice(-1)
        this.#pass()
      })
      return
    }
    const fresh = this.#fresh
    this.#fresh = []
    const head = fresh.at(-1)?.applied.block.current_hash
    // Who has the head has what stands below it.
    const behind = this.#parts.peers.full().filter((peer) => head !== undefined && !peer.has(head))
    for (const { applied, from } of fresh) this.#passOne(applied, from, behind)
    this.#passAllBeside()
  }

  #passAllBeside(): void {
    if (this.#stopped || this.#besideTimer !== undefined) return
    while (this.#beside.length > 0 && this.#besidePace.take()) this.#passBeside(this.#beside.shift()!)
    if (this.#beside.length === 0) return
    this.#besideTimer = this.#parts.runtime.clock.after(this.#besidePace.wait(), () => {
      this.#besideTimer = undefined
      this.#passAllBeside()
    })
  }

  /** Whole: it is rare, and what its transactions are called would have to be computed. */
  #passBeside({ block, from }: Beside): void {
    const { current_hash: hash } = block
    const message = wholeMessage(this.#parts.identity.nodeId, block)
    const lacking = this.#parts.peers.full().filter((peer) => peer.id !== from && !peer.has(hash))
    for (const peer of lacking) this.#send(peer, hash, message)
  }

  #send(peer: Peer, hash: Hash, message: JsonObject): void {
    peer.nowHas(hash)
    peer.send(message)
  }

  #passOne({ block, hashes }: AppliedBlock, from: string, peers: readonly Peer[]): void {
    const { current_hash: hash } = block
    const { nodeId } = this.#parts.identity
    this.#remember(block)
    const whole = wholeMessage(nodeId, block)
    const short = compactMessage(nodeId, block, hashes)
    for (const peer of peers) {
      const lacksIt = peer.id !== from && !peer.has(hash)
      peer.nowHas(hash)
      if (lacksIt) peer.send(this.#isShort(peer, hashes) ? short : whole)
    }
  }

  #isShort(peer: Peer, hashes: readonly Hash[]): boolean {
    if (hashes.length === 0 || !peer.facts.features.has('compact_block')) return false
    let lackedMax = Math.floor(hashes.length * lackedShareMax)
    return hashes.every((hash) => this.#parts.arrived(peer, hash) || lackedMax-- > 0)
  }

  #remember(block: Block): void {
    this.#latest.set(block.current_hash, block)
    if (this.#latest.size > latestBlocksMax) this.#latest.delete(this.#latest.keys().next().value!)
  }
}
