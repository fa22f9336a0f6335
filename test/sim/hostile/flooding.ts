import type { JsonObject } from '../../../core/chain/json.ts'
import { sealedHeaderOf, type Block } from '../../../core/chain/block.ts'
import { blockJson, blockOn, sealed } from './forge.ts'
import { Puppet, type Link } from './puppet.ts'
import { highest, someNode, type Stage, type Villain } from './troupe.ts'

/** Sends more than anybody should: junk, hashes of nothing, headers of no work, addresses, pings. */
export class Flooding implements Villain {
  readonly #stage: Stage
  readonly #puppet: Puppet
  readonly #floods: readonly ((link: Link) => void | Promise<void>)[]

  constructor(stage: Stage) {
    this.#stage = stage
    this.#puppet = new Puppet({
      stage,
      chainId: stage.chainId,
      height: () => highest(stage.nodes),
      joined: (link) => this.#flood(link),
      heard: () => {},
    })
    this.#floods = [
      (link) => link.line.sendRaw(`${Buffer.from(stage.dice.bytes(4_000)).toString('latin1')}\n`),
      (link) => link.line.sendRaw('{"type":"ping"}\n'.repeat(400)),
      (link) => {
        for (let i = 0; i < 30; i++) link.send({ type: 'tx_announce', hashes: this.#hashes(200) })
      },
      (link) => link.send({ type: 'peer_list', peers: this.#addresses(500) }),
      (link) => this.#cheapHeaders(link),
      (link) => this.#orphans(link),
    ]
  }

  act(second: number): void {
    if (second % 5 !== 0) return
    const victim = someNode(this.#stage)
    this.#puppet.moveOn()
    if (victim !== undefined) this.#puppet.connect(victim.address)
  }

  #flood(link: Link): void {
    void this.#stage.dice.pick(this.#floods)(link)
    this.#stage.tally.add('flooding')
  }

  #hashes(count: number): string[] {
    return Array.from({ length: count }, () => Buffer.from(this.#stage.dice.bytes(32)).toString('hex'))
  }

  #addresses(count: number): string[] {
    return Array.from({ length: count }, () => `${this.#stage.dice.bytes(4).join('.')}:13245`)
  }

  /** Headers that nobody asked for and that cost nothing to make. */
  async #cheapHeaders(link: Link): Promise<void> {
    const headers: JsonObject[] = []
    const block = await this.#block('cheap')
    if (block === undefined) return
    const header = blockJson(sealedHeaderOf(block))
    for (let i = 0; i < 200; i++) headers.push({ ...header, index: 1 + i, work: 1 })
    link.send({ type: 'header_response', request_id: 1, headers })
  }

  /** Blocks on parents that do not exist. */
  async #orphans(link: Link): Promise<void> {
    const block = await this.#block('orphan')
    if (block === undefined) return
    const { key } = this.#puppet
    for (const prev_hash of this.#hashes(15)) {
      link.send({ type: 'new_block', node_id: key.nodeId, data: blockJson(sealed({ ...block, prev_hash }, key)) })
    }
  }

  async #block(extra: string): Promise<Block | undefined> {
    const node = someNode(this.#stage)
    return node && (await blockOn(node, this.#puppet, extra))
  }
}
