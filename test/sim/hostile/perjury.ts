import canonicalize from 'canonicalize'
import type { JsonObject } from '../../../core/chain/json.ts'
import type { KeyPair } from '../../../core/chain/keys.ts'
import type { Checkpoint } from '../../../core/index.ts'
import type { HonestNode } from '../honest.ts'
import { Puppet, type Link } from './puppet.ts'
import { highest, meetAll, silent, type Stage, type Villain } from './troupe.ts'

const purpose = 'aurex/finality/1'

/** A vote as the wire has it, but for its signature. */
interface Statement {
  readonly kind: 'justify' | 'commit'
  readonly source?: Checkpoint
  readonly target: Checkpoint
}

/**
 * An authority that says what is final and lies: it votes for every branch, around its own votes, for blocks that nobody has,
 * tells some and not others, says nothing for a while, and hangs signatures of others on what they never signed.
 */
export class Perjury implements Villain {
  readonly #stage: Stage
  readonly #puppet: Puppet
  /** Without a right to vote, so that nothing is lost when it is sent away. */
  readonly #stranger: Puppet
  readonly #key: KeyPair
  readonly #overheard: JsonObject[] = []
  /** Some never vote at all. */
  #silentUntil: number

  constructor(stage: Stage, key: KeyPair) {
    this.#stage = stage
    this.#silentUntil = stage.dice.chance(0.2) ? Number.POSITIVE_INFINITY : 0
    this.#key = key
    this.#puppet = new Puppet({ ...silent(stage), key, heard: (_link, message) => this.#hear(message) })
    this.#stranger = new Puppet({ ...silent(stage), joined: (link) => this.#forge(link) })
  }

  act(second: number): void {
    const { dice, nodes } = this.#stage
    meetAll(this.#puppet, nodes)
    if (second % 10 === 7) {
      this.#stranger.moveOn()
      const up = nodes.filter(({ isUp }) => isUp)
      if (up.length > 0) this.#stranger.connect(dice.pick(up).address)
    }
    if (second < this.#silentUntil) return
    if (dice.chance(0.05)) this.#silentUntil = second + dice.between(5, 15)
    this.#voteForAll()
    if (second % 3 === 0) this.#contradictItself()
    if (second % 4 === 0) this.#voteAround()
  }

  #hear(message: JsonObject): void {
    if (message['type'] !== 'finality_vote') return
    this.#overheard.push(message)
    if (this.#overheard.length > 50) this.#overheard.shift()
  }

  /** For the newest checkpoint of every chain that anybody has: some hear of the one, some of the other, few of all. */
  #voteForAll(): void {
    for (const node of this.#stage.nodes) {
      const outlook = outlookOf(node, this.#every())
      if (outlook === undefined) continue
      const { justified, newest, final } = outlook
      if (newest.index > justified.index) this.#say({ kind: 'justify', source: justified, target: newest }, 0.6)
      if (justified.index > final.index) this.#say({ kind: 'commit', target: justified }, 0.6)
    }
  }

  /** Two targets at one height, to everybody: the second is a block that nobody has. */
  #contradictItself(): void {
    const node = this.#someNode()
    const outlook = node && outlookOf(node, this.#every())
    if (outlook === undefined) return
    const { justified } = outlook
    const index = justified.index + this.#every() * this.#stage.dice.between(1, 3)
    for (let lie = 0; lie < 2; lie++) {
      const hash = Buffer.from(this.#stage.dice.bytes(32)).toString('hex')
      this.#say({ kind: 'justify', source: justified, target: { index, hash } }, 1)
    }
    if (this.#joined().length === 0) return
    this.#stage.expose(this.#key.address, 'finality')
    this.#stage.tally.add('perjury')
  }

  /** From below what it committed to above it. */
  #voteAround(): void {
    const node = this.#someNode()
    const outlook = node && outlookOf(node, this.#every())
    if (outlook === undefined) return
    const { final, justified, newest } = outlook
    const start = { index: 0, hash: this.#stage.chainId }
    if (justified.index > 0) this.#say({ kind: 'commit', target: justified }, 1)
    const source = final.index > 0 ? final : start
    if (newest.index > source.index) this.#say({ kind: 'justify', source: start, target: newest }, 1)
  }

  /** Its own signature of what others signed something else of. */
  #forge(link: Link): void {
    const { dice } = this.#stage
    if (this.#overheard.length === 0) return
    const { signatures } = dice.pick(this.#overheard)
    const hash = Buffer.from(dice.bytes(32)).toString('hex')
    const index = (highest(this.#stage.nodes) + 1) * this.#every()
    link.send({ type: 'finality_vote', kind: 'commit', target: { index, hash }, signatures: signatures ?? {} })
  }

  /** `share`: of those who hear it. */
  #say(statement: Statement, share: number): void {
    const { kind, source, target } = statement
    const said = { kind, ...(source && { source: { ...source } }), target: { ...target } }
    const text = canonicalize({ chain_id: this.#stage.chainId, ...said })!
    const signatures = { [this.#key.address]: this.#key.sign(purpose, text) }
    for (const link of this.#joined()) {
      if (this.#stage.dice.chance(share)) link.send({ type: 'finality_vote', ...said, signatures })
    }
  }

  #joined = (): Link[] => [...this.#puppet.links].filter(({ joined }) => joined)

  #every = (): number => this.#stage.plan.authorities?.finality?.every ?? 1

  #someNode(): HonestNode | undefined {
    const up = this.#stage.nodes.filter(({ isUp }) => isUp)
    return up.length === 0 ? undefined : this.#stage.dice.pick(up)
  }
}

/** It looks into heads: whoever lies is taken to know all. */
function outlookOf({ inside }: HonestNode, every: number) {
  if (inside?.finality === undefined) return undefined
  const { finality, storage } = inside
  const head = storage.head().header.index
  const newest = storage.headerAt(head - (head % every))!.header
  return {
    final: finality.final(),
    justified: finality.justified(),
    newest: { index: newest.index, hash: newest.current_hash },
  }
}
