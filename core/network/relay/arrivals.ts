import { isDeepStrictEqual } from 'node:util'
import { sealedHeaderOf, type Block } from '../../chain/block.ts'
import { isHash, type Hash } from '../../chain/canonical.ts'
import type { JsonObject } from '../../chain/json.ts'
import type { ReadTransaction } from '../../chain/transaction.ts'
import { decline, type Verdict } from '../../errors.ts'
import type { Connection } from '../../plugin.ts'
import type { Catchup, NetworkChain } from '../module.ts'
import type { Peer } from '../peer.ts'
import { BlockTurns } from './turns.ts'

export interface ArrivalsParts {
  readonly chain: NetworkChain
  readonly catchup: Catchup
}

/** Blocks that others send. */
export class Arrivals {
  readonly #parts: ArrivalsParts
  readonly #turns = new BlockTurns()
  /** Blocks that are being taken, by their hash. */
  readonly #underWay = new Map<Hash, Promise<Verdict>>()

  constructor(parts: ArrivalsParts) {
    this.#parts = parts
  }

  /** A block of a client, after those that it sent before. */
  takeFromClient(block: JsonObject, connection: Connection): Promise<Verdict> {
    return this.inTurn(connection, () => this.#parts.chain.submitBlock(block, connection.id))
  }

  /** A block of a peer, after those that it sent before. A refusal that is provable is the peer's fault. */
  takeFromPeer(block: JsonObject, peer: Peer): Promise<Verdict> {
    hasBlock(peer, block)
    return this.inTurn(peer.connection, () => this.submit(block, peer))
  }

  inTurn(connection: Connection, take: () => Promise<Verdict>): Promise<Verdict> {
    return this.#turns.take(connection, take)
  }

  /** Takes a whole block of a peer now, and tells who fetches what is missing. `reads`: as of `Chain.submitBlock`. */
  async submit(block: JsonObject, peer: Peer, reads?: readonly ReadTransaction[]): Promise<Verdict> {
    const verdict = await this.#once(block, peer, reads)
    if (!verdict.ok && verdict.provable) return verdict
    // Whatever became of it, its hash covers its header.
    this.heard(peer, block['index'])
    if (!verdict.ok && verdict.code === 'orphan') {
      this.#parts.catchup.orphaned(peer, sealedHeaderOf(block as unknown as Block))
    }
    return verdict
  }

  /** Resolves when a block that is being taken is here, or is not. */
  async settled(hash: unknown): Promise<void> {
    if (isHash(hash)) await this.#underWay.get(hash)?.catch(() => undefined)
  }

  /** A peer says that it has a block of this height. */
  heard(peer: Peer, index: unknown): void {
    if (typeof index !== 'number' || !Number.isSafeInteger(index)) return
    peer.height = Math.max(peer.height, index)
    this.#parts.catchup.heardOf(peer, index)
  }

  /**
   * The same block comes from many sides at once: it is checked once. Where it turns out not to be good, the next copy is
   * looked at by itself, since its hash does not cover its signatures.
   */
  async #once(block: JsonObject, { id }: Peer, reads: readonly ReadTransaction[] | undefined): Promise<Verdict> {
    const { current_hash: hash, prev_hash: parent } = block
    if (!isHash(hash)) return this.#parts.chain.submitBlock(block, id)
    await this.settled(parent)
    for (let other = this.#underWay.get(hash); other !== undefined; other = this.#underWay.get(hash)) {
      const verdict = await other.catch(() => undefined)
      if (verdict?.ok === true) return known
    }
    if (this.#isHere(hash, block)) return known
    const taking = this.#parts.chain.submitBlock(block, id, reads)
    this.#underWay.set(hash, taking)
    try {
      return await taking
    } finally {
      this.#underWay.delete(hash)
    }
  }

  /** Whether just this header was found good before: most copies come then. One that differs is recomputed as any other. */
  #isHere(hash: Hash, block: JsonObject): boolean {
    const here = this.#parts.chain.header(hash)
    return here !== undefined && isDeepStrictEqual(sealedHeaderOf(block as unknown as Block), here.header)
  }
}

const known = decline('known', 'the block came from another peer a moment before')

/** Who has a block has its parent. */
export function hasBlock(peer: Peer, { current_hash, prev_hash }: JsonObject): void {
  for (const hash of [current_hash, prev_hash]) if (isHash(hash)) peer.nowHas(hash)
}
