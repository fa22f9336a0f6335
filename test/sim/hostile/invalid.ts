import { isObject, type JsonObject } from '../../../core/chain/json.ts'
import { blockJson, blockOn, spoilers, withRepeated, withRivals } from './forge.ts'
import { Puppet, type Link } from './puppet.ts'
import { highest, someNode, type Stage, type Villain } from './troupe.ts'

const kinds = Object.keys(spoilers)
/** Transactions that no block may hold: at most once, or together. */
const bodies = [withRepeated, withRivals]

/** Sends blocks and transactions that are wrong, each in another way, and comes back under another name. */
export class Invalid implements Villain {
  readonly #stage: Stage
  readonly #puppet: Puppet
  readonly #forwarder: Puppet
  #next = 0

  constructor(stage: Stage) {
    this.#stage = stage
    this.#next = stage.dice.between(0, kinds.length - 1)
    this.#puppet = new Puppet({
      stage,
      chainId: stage.chainId,
      height: () => highest(stage.nodes),
      joined: (link) => void this.#perform(link),
      heard: () => {},
    })
    this.#forwarder = new Puppet({
      stage,
      chainId: stage.chainId,
      height: () => highest(stage.nodes),
      joined: () => {},
      heard: (from, message) => this.#forward(from, message),
    })
  }

  act(second: number): void {
    if (second % 3 === 1) this.#meetAll()
    if (second % 12 === 3) void this.#makeOwn()
    if (second % 3 !== 0) return
    const victim = someNode(this.#stage)
    if (victim === undefined) return
    if (second % 6 === 0) this.#puppet.moveOn()
    this.#puppet.connect(victim.address)
  }

  async #perform(link: Link): Promise<void> {
    const { dice, tally } = this.#stage
    const node = someNode(this.#stage)
    if (node === undefined) return
    const { key } = this.#puppet
    const turn = this.#next++ % (kinds.length + bodies.length)
    const what = kinds[turn]
    const reads = bodies[turn - kinds.length]?.(node, key) ?? []
    const block = await blockOn(node, this.#puppet, 'spoilt', reads)
    if (block === undefined) return
    const spoilt = what === undefined ? block : spoilers[what]!(block, key, dice)
    const transaction = { sender: key.address, data: { a: 'lie' }, signature: key.sign('aurex/tx/1', 'something else') }
    link.send({ type: 'NEW_TRANSACTION', ...transaction })
    link.send({ type: 'new_block', node_id: key.nodeId, data: blockJson(spoilt) })
    tally.add('invalid')
  }

  #meetAll(): void {
    const known = new Set([...this.#forwarder.links].map(({ line }) => line.remoteHost))
    this.#forwarder.moveOn()
    for (const { address, isUp } of this.#stage.nodes) if (isUp && !known.has(address)) this.#forwarder.connect(address)
  }

  /** A good block of its own: all but one node get a spoilt copy first, and the good one from each other. */
  async #makeOwn(): Promise<void> {
    const { world, chainId, nodes, dice, tally } = this.#stage
    const node = someNode(this.#stage)
    const [chosen, ...others] = dice.shuffled([...this.#forwarder.links].filter(({ joined }) => joined))
    if (node === undefined || chosen === undefined) return
    const { key } = this.#puppet
    const good = await blockOn(node, this.#puppet, 'good')
    if (good === undefined) return
    const spoilt = blockJson({ ...good, signature: key.sign('aurex/block/1', 'another') })
    for (const link of others) link.send({ type: 'new_block', node_id: key.nodeId, data: spoilt })
    const author: Puppet = new Puppet({
      stage: this.#stage,
      chainId,
      height: () => highest(nodes),
      joined: (link) => link.send({ type: 'new_block', node_id: key.nodeId, data: blockJson(good) }),
      heard: () => {},
    })
    const to = chosen.line.remoteHost
    world.at(500, () => void author.connect(to))
    tally.add('invalid')
  }

  /** Hurries to be the first who brings a good block to the others, with a body or a signature that is not its own. */
  #forward(from: Link, { type, data }: JsonObject): void {
    if (type !== 'new_block' || !isObject(data)) return
    const { key, links } = this.#forwarder
    const spoilt = this.#stage.dice.pick<JsonObject>([
      { ...data, signature: key.sign('aurex/block/1', 'another') },
      { ...data, transactions: [] },
    ])
    for (const link of links) if (link !== from && link.joined) link.send({ type, node_id: key.nodeId, data: spoilt })
    this.#stage.tally.add('invalid')
  }
}
