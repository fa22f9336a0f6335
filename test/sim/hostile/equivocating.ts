import { blockJson, blockOn } from './forge.ts'
import { Puppet } from './puppet.ts'
import { silent, someNode, type Stage, type Villain } from './troupe.ts'

/** Makes two valid blocks at one height and sends each to one half of its peers. */
export class Equivocating implements Villain {
  readonly #stage: Stage
  readonly #puppet: Puppet
  #pair = 0

  constructor(stage: Stage) {
    this.#stage = stage
    this.#puppet = new Puppet(silent(stage))
  }

  act(second: number): void {
    const { nodes } = this.#stage
    if (second % 5 === 0) {
      const known = new Set([...this.#puppet.links].map(({ line }) => line.remoteHost))
      for (const { address, isUp } of nodes) if (isUp && !known.has(address)) this.#puppet.connect(address)
    }
    if (second % 25 === 20) void this.#equivocate()
  }

  async #equivocate(): Promise<void> {
    const node = someNode(this.#stage)
    if (node === undefined) return
    const { key } = this.#puppet
    const pair = ++this.#pair
    const blocks = [
      await blockOn(node, this.#puppet, `${pair} for some`),
      await blockOn(node, this.#puppet, `${pair} for others`),
    ]
    const links = [...this.#puppet.links].filter(({ joined }) => joined)
    for (const [i, link] of links.entries()) {
      const block = blocks[i % 2]
      if (block !== undefined) link.send({ type: 'new_block', node_id: key.nodeId, data: blockJson(block) })
    }
    if (links.length > 1) this.#stage.tally.add('equivocating')
  }
}
