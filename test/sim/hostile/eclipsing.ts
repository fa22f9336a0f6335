import { Puppet, type Link } from './puppet.ts'
import { highest, someNode, type Stage, type Villain } from './troupe.ts'

const identities = 12

/** Many names in one network around one victim: they tell it of each other only, and pass nothing on. */
export class Eclipsing implements Villain {
  readonly #stage: Stage
  readonly #puppets: readonly Puppet[]
  #victim: string | undefined

  constructor(stage: Stage) {
    this.#stage = stage
    this.#puppets = Array.from({ length: identities }, (_, n) => {
      const puppet = new Puppet({
        stage,
        address: `92.0.${n}.1`,
        chainId: stage.chainId,
        height: () => highest(stage.nodes),
        joined: (link) => this.#joined(link),
        heard: (link, message) => {
          if (message['type'] === 'peer_list' && message['peers'] === undefined) this.#tellAddresses(link)
          if (message['type'] === 'node_discovery') this.#tellAddresses(link)
        },
      })
      puppet.listen()
      return puppet
    })
  }

  act(second: number): void {
    if (second % 15 !== 0) return
    this.#victim ??= someNode(this.#stage)?.address
    if (this.#victim === undefined) return
    for (const puppet of this.#puppets) if (puppet.links.size === 0) puppet.connect(this.#victim)
    for (const puppet of this.#puppets) for (const link of puppet.links) if (link.joined) this.#tellAddresses(link)
  }

  #joined(link: Link): void {
    this.#tellAddresses(link)
    this.#stage.tally.add('eclipsing')
  }

  /** Half of them its own, the other half nobody's. */
  #tellAddresses(link: Link): void {
    const { dice } = this.#stage
    const own = this.#puppets.map(({ host }) => `${host.address}:13245`)
    const made = Array.from({ length: 20 }, () => `92.0.${dice.between(20, 255)}.${dice.between(1, 254)}:13245`)
    link.send({ type: 'peer_list', peers: [...own, ...made] })
  }
}
