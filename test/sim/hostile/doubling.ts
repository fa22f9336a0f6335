import type { Address, KeyPair } from '../../../core/chain/keys.ts'
import type { HonestNode } from '../honest.ts'
import { blockJson, blockOn } from './forge.ts'
import { Puppet } from './puppet.ts'
import { meetAll, silent, type Stage, type Villain } from './troupe.ts'

/** An authority that makes two blocks at one height whenever it may make one, and shows each to other nodes. */
export class Doubling implements Villain {
  readonly #stage: Stage
  readonly #puppet: Puppet
  #pair = 0

  constructor(stage: Stage, key: KeyPair) {
    this.#stage = stage
    this.#puppet = new Puppet({ ...silent(stage), key })
  }

  act(second: number): void {
    const { nodes, dice } = this.#stage
    meetAll(this.#puppet, nodes)
    if (second % 4 !== 0) return
    const up = nodes.filter(({ isUp }) => isUp)
    if (up.length > 0) void this.#double(dice.pick(up))
  }

  async #double(node: HonestNode): Promise<void> {
    const { dice, tally } = this.#stage
    const pair = ++this.#pair
    const made = [await blockOn(node, this.#puppet, `${pair} for some`), await blockOn(node, this.#puppet, `${pair}`)]
    const { inside } = node
    const [one, other] = made
    if (inside === undefined || one === undefined || other === undefined) return
    const parent = inside.storage.header(one.prev_hash)?.header
    // It is not its turn, or too early for it: nobody would take them.
    if (parent === undefined || !inside.consensus.verify(one, inside.chain.ancestors.of(parent)).ok) return
    const links = dice.shuffled([...this.#puppet.links].filter(({ joined }) => joined))
    for (const [i, link] of links.entries()) {
      link.send({ type: 'new_block', node_id: this.#puppet.key.nodeId, data: blockJson(i % 2 === 0 ? one : other) })
    }
    if (links.length > 1) tally.add('doubling')
  }

  get address(): Address {
    return this.#puppet.key.address
  }
}
