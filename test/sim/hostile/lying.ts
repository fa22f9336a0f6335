import type { JsonObject } from '../../../core/chain/json.ts'
import { Puppet, type Link } from './puppet.ts'
import { someNode, type Stage, type Villain } from './troupe.ts'

/** Says that its chain is a thousand million blocks high, and answers who asks for it with rubbish. */
export class Lying implements Villain {
  readonly #stage: Stage
  readonly #puppet: Puppet

  constructor(stage: Stage) {
    this.#stage = stage
    this.#puppet = new Puppet({
      stage,
      chainId: stage.chainId,
      height: () => 1_000_000_000,
      joined: () => {},
      heard: (link, message) => this.#heard(link, message),
    })
  }

  act(second: number): void {
    if (second % 4 !== 0) return
    const victim = someNode(this.#stage)
    if (second % 8 === 0) this.#puppet.moveOn()
    if (victim !== undefined) this.#puppet.connect(victim.address)
  }

  #heard(link: Link, { type, request_id }: JsonObject): void {
    if (type !== 'header_request' && type !== 'block_request') return
    this.#stage.tally.add('lying')
    const answers = [
      { type: 'header_response', request_id: request_id ?? null, headers: [] },
      { type: 'header_response', request_id: request_id ?? null, headers: [{ index: 1e9, work: 1e15 }] },
      { type: 'block_response', request_id: request_id ?? null, blocks: [{ nothing: true }] },
      { type: 'block_response', request_id: request_id ?? null, blocks: 'none' },
    ]
    const matching = answers.filter((answer) => answer.type.startsWith(type.slice(0, 5)))
    link.send(this.#stage.dice.pick(matching))
  }
}
