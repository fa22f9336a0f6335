import type { Block } from '../../chain/block.ts'
import type { HeadMove } from '../../chain/chain.ts'
import type { Hash } from '../../chain/canonical.ts'
import type { AppliedBlock } from '../../plugin.ts'
import type { Timer } from '../../runtime.ts'
import type { Catchup, ModuleParts } from '../module.ts'
import type { Peer } from '../peer.ts'
import { compactMessage, wholeMessage } from './shortids.ts'

/** Of more blocks than these that came at once, peers are sent the last: who lacks the others fetches them. */
const passedOnMax = 10
/** A block is sent in short where a peer is believed to lack at most this share of its transactions. */
const lackedShareMax = 0.25
/** While this node fetches many blocks, it looks so often whether it is done. */
const lookMilliseconds = 250
/** Blocks that were passed on lately: peers may ask for transactions of them. */
const latestBlocksMax = 4

export interface BlockRelayParts extends ModuleParts {
  readonly catchup: Catchup
  /** Whether a peer most likely holds a transaction. */
  readonly arrived: (peer: Peer, hash: Hash) => boolean
}

/**
 * Passes on the blocks that became the recorded chain: at once, to each peer that does not have them, never back to whom
 * they came from. Who has the transactions is sent a header and short ids, after BIP 152.
 */
export class BlockRelay {
  readonly #parts: BlockRelayParts
  #fresh: { readonly applied: AppliedBlock; readonly from: string }[] = []
  readonly #latest = new Map<Hash, Block>()
  #timer: Timer | undefined
  #stopped = false

  constructor(parts: BlockRelayParts) {
    this.#parts = parts
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** One of those that were passed on lately. */
  latest(hash: Hash): Block | undefined {
    return this.#latest.get(hash)
  }

  /** From the writer: takes note, and works in a turn of its own. */
  moved({ undone, applied, from }: HeadMove): void {
    const isFirst = this.#fresh.length === 0
    const gone = new Set(undone)
    const left = this.#fresh.filter((one) => !gone.has(one.applied.block.current_hash))
    const come = applied.length > passedOnMax ? applied.slice(-1) : applied
    // All of them are of the branch that holds the head: those that are too many are the lowest.
    this.#fresh = [...left, ...come.map((one) => ({ applied: one, from }))].slice(-passedOnMax)
    if (isFirst && this.#timer === undefined) this.#parts.runtime.clock.soon(() => this.#pass())
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
