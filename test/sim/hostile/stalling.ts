import { Puppet, type Link } from './puppet.ts'
import { highest, someNode, type Stage, type Villain } from './troupe.ts'

/** Says that it is far ahead, so that it is asked, and then answers nothing. Every second one does not even read. */
export class Stalling implements Villain {
  readonly #stage: Stage
  readonly #puppet: Puppet

  constructor(stage: Stage) {
    this.#stage = stage
    this.#puppet = new Puppet({
      stage,
      chainId: stage.chainId,
      height: () => highest(stage.nodes) + 40,
      joined: (link) => this.#joined(link),
      heard: (_link, { type }) => {
        if (type === 'header_request' || type === 'block_request') stage.tally.add('stalling')
      },
    })
  }

  act(second: number): void {
    if (second % 2 !== 0) return
    const victim = someNode(this.#stage)
    if (victim !== undefined) this.#puppet.connect(victim.address)
  }

  #joined(link: Link): void {
    // To be announced something that it then does not send.
    const hashes = Array.from({ length: 50 }, () => Buffer.from(this.#stage.dice.bytes(32)).toString('hex'))
    link.send({ type: 'tx_announce', hashes })
    if (this.#stage.dice.chance(0.5)) return
    this.#stage.tally.add('stalling')
    link.line.pause()
  }
}
