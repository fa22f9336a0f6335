import { transactionsRoot, type Block, type SealedHeader } from '../../../core/chain/block.ts'
import { medianTimePast } from '../../../core/chain/ancestry.ts'
import { formatTimestamp } from '../../../core/chain/timestamp.ts'
import type { Ancestry } from '../../../core/index.ts'
import { nonceFor } from '../engines.ts'
import type { HonestNode } from '../honest.ts'
import { blockJson, signed } from './forge.ts'
import { Puppet } from './puppet.ts'
import { meetAll, silent, someNode, type Stage, type Villain } from './troupe.ts'

/** Its branch must fit beside the chain of those who are to be convinced. */
const blocksMax = 20
/** It is told again: lines are lost. */
const tellings = 3

/**
 * A miner with much hash power, perhaps most of it, who works on a branch of its own in secret, and shows it when it weighs
 * more than what all others made.
 */
export class Hiding implements Villain {
  readonly #stage: Stage
  readonly #puppet: Puppet
  #fork: SealedHeader | undefined
  #branch: Block[] = []
  #nextAt = 0
  #showsAt = 0
  #told = 0

  constructor(stage: Stage) {
    this.#stage = stage
    this.#puppet = new Puppet(silent(stage))
  }

  act(second: number): void {
    const { nodes, dice } = this.#stage
    if (second % 20 === 0) this.#puppet.moveOn()
    meetAll(this.#puppet, nodes)
    const node = someNode(this.#stage)
    if (node === undefined) return
    if (this.#fork === undefined) {
      this.#fork = node.inside!.storage.head().header
      this.#showsAt = second + dice.between(8, 25)
      this.#nextAt = this.#stage.world.elapsed
    }
    this.#mine(node)
    if (second >= this.#showsAt) this.#show(node)
  }

  /** As many blocks as its hash power finds until now. */
  #mine(node: HonestNode): void {
    const { world, plan, dice } = this.#stage
    const { difficulty, blockSeconds, secretShare } = plan
    const honest = 16 ** difficulty / (blockSeconds * 1_000)
    const own = (honest * secretShare) / (1 - secretShare)
    while (this.#nextAt <= world.elapsed && this.#branch.length < blocksMax && this.#told === 0) {
      const block = this.#next(node)
      if (block === undefined) return this.#giveUp()
      this.#branch.push(block)
      this.#nextAt += dice.exponential(block.work / own)
    }
  }

  #next(node: HonestNode): Block | undefined {
    const { inside } = node
    const ancestry = inside && this.#ancestry(node)
    if (inside === undefined || ancestry === undefined) return undefined
    const { parent } = ancestry
    const { key, host } = this.#puppet
    const header = inside.consensus.prepare(
      {
        version: 1,
        chain_id: this.#stage.chainId,
        consensus: inside.consensus.id,
        index: parent.index + 1,
        timestamp: formatTimestamp(Math.max(medianTimePast(ancestry) + 1, host.clock.now())),
        prev_hash: parent.current_hash,
        miner_id: key.nodeId,
        public_key_pem: key.pem,
        work: 1,
        tx_root: transactionsRoot([]),
        state_root: parent.state_root,
        extra: 'in secret',
      },
      ancestry,
    )
    const block = { ...header, nonce: nonceFor(header), current_hash: '', signature: '', transactions: [] }
    return signed(block, key)
  }

  /** undefined where this node does not have what it began on. */
  #ancestry({ inside }: HonestNode): Ancestry | undefined {
    const fork = this.#fork && inside!.storage.header(this.#fork.current_hash)?.header
    if (fork === undefined) return undefined
    const below = inside!.chain.ancestors.of(fork)
    const branch = this.#branch
    return {
      parent: branch.at(-1) ?? fork,
      at: (index) => (index <= fork.index ? below.at(index) : branch[index - fork.index - 1]),
    }
  }

  #show(node: HonestNode): void {
    const { storage, finality } = node.inside!
    const base = this.#fork && storage.header(this.#fork.current_hash)
    if (base === undefined || this.#branch.length === 0) return this.#giveUp()
    const work = this.#branch.reduce((sum, block) => sum + BigInt(block.work), base.totalWork)
    const wins = work > storage.head().totalWork
    // It has time, as long as there is room.
    if (!wins && this.#branch.length < blocksMax && this.#told === 0 && this.#stage.dice.chance(0.8)) return
    for (const link of this.#puppet.links) {
      if (!link.joined) continue
      for (const block of this.#branch) {
        link.send({ type: 'new_block', node_id: this.#puppet.key.nodeId, data: blockJson(block) })
      }
    }
    if (wins && (finality?.final().index ?? 0) > base.header.index) this.#stage.tally.add('hiding')
    if (++this.#told >= tellings) this.#giveUp()
  }

  #giveUp(): void {
    this.#fork = undefined
    this.#branch = []
    this.#told = 0
  }
}
