import canonicalize from 'canonicalize'
import { sealedHeaderOf, transactionsRoot, type Block } from '../../../core/chain/block.ts'
import { isObject, type JsonObject } from '../../../core/chain/json.ts'
import type { KeyPair } from '../../../core/chain/keys.ts'
import { formatTimestamp } from '../../../core/chain/timestamp.ts'
import type { HonestNode } from '../honest.ts'
import { blockJson, signed } from './forge.ts'
import { Puppet, type Link } from './puppet.ts'
import { meetAll, silent, someNode, type Stage, type Villain } from './troupe.ts'

const purpose = 'aurex/bft/1'
type Step = 'proposal' | 'prevote' | 'precommit'

/** An authority of bft that proposes two blocks and votes for both of whatever there are two of, and for none. */
export class TwoTongued implements Villain {
  readonly #stage: Stage
  readonly #puppet: Puppet
  readonly #key: KeyPair
  /** What was heard of the latest round. */
  #place: readonly [height: number, round: number] = [0, -1]
  #proposed = new Set<string>()
  #said = new Set<string>()

  constructor(stage: Stage, key: KeyPair) {
    this.#stage = stage
    this.#key = key
    this.#puppet = new Puppet({ ...silent(stage), key, heard: (_link, message) => this.#hear(message) })
  }

  act(second: number): void {
    meetAll(this.#puppet, this.#stage.nodes)
    const node = someNode(this.#stage)
    if (node === undefined) return
    if (second % 3 === 0) this.#propose(node)
    if (second % 5 === 0) this.#contradictItself(node)
  }

  #hear({ type, votes }: JsonObject): void {
    if (type !== 'bft.round' || !Array.isArray(votes)) return
    for (const vote of votes) {
      if (!isObject(vote)) continue
      const { step, height, round, hash } = vote
      if (typeof height !== 'number' || typeof round !== 'number' || this.#isOld(height, round)) continue
      if (step === 'proposal' && typeof hash === 'string') this.#proposed.add(hash)
      if (step === 'proposal' || step === 'prevote') this.#voteBothWays(step === 'proposal' ? 'prevote' : 'precommit')
    }
  }

  /** Forgets what was of an earlier round. */
  #isOld(height: number, round: number): boolean {
    const [h, r] = this.#place
    if (height < h || (height === h && round < r)) return true
    if (height > h || round > r) {
      this.#place = [height, round]
      this.#proposed = new Set()
      this.#said = new Set()
    }
    return false
  }

  /** Each half hears something else, once a step. */
  #voteBothWays(step: Step): void {
    if (this.#said.has(step) || this.#proposed.size === 0) return
    this.#said.add(step)
    const { dice } = this.#stage
    const hashes = dice.shuffled<string | null>([...this.#proposed, null])
    for (const [i, link] of dice.shuffled(this.#joined()).entries()) {
      this.#send(link, [this.#vote(step, hashes[i % 2]!)])
    }
    this.#stage.tally.add('two-tongued')
  }

  /** Two blocks where one is to be proposed. Where it is another's turn nobody would take them. */
  #propose(node: HonestNode): void {
    const { inside } = node
    const head = inside?.storage.head().header
    if (inside === undefined || head === undefined) return
    const authorities = inside.consensus.authorities?.(inside.chain.ancestors.of(head)) ?? []
    const [height, round] = this.#place
    if (height !== head.index + 1 || authorities[(height + round) % authorities.length] !== this.#key.address) return
    if (this.#said.has('proposal')) return
    this.#said.add('proposal')
    const blocks = ['for some', 'for others'].map((extra) => this.#block(node, extra))
    for (const block of blocks) this.#proposed.add(block.current_hash)
    for (const [i, link] of this.#stage.dice.shuffled(this.#joined()).entries()) {
      const block = blocks[i % 2]!
      this.#send(link, [this.#vote('proposal', block.current_hash)], block)
    }
  }

  #block(node: HonestNode, extra: string): Block {
    const { chain, storage } = node.inside!
    const parent = storage.head().header
    const after = Date.parse(parent.timestamp) + Math.ceil(this.#stage.plan.blockSeconds * 1_000)
    const header = {
      version: 1 as const,
      chain_id: chain.genesis.rules.chainId,
      consensus: 'bft',
      index: parent.index + 1,
      timestamp: formatTimestamp(Math.max(after, this.#puppet.host.clock.now())),
      prev_hash: parent.current_hash,
      miner_id: this.#key.nodeId,
      public_key_pem: this.#key.pem,
      work: 1,
      tx_root: transactionsRoot([]),
      state_root: parent.state_root,
      extra,
    }
    return signed({ ...header, nonce: 0, current_hash: '', signature: '', transactions: [] }, this.#key)
  }

  /** Everybody hears both. */
  #contradictItself(node: HonestNode): void {
    const links = this.#joined()
    const head = node.inside!.storage.head().header.index
    this.#isOld(head + 1, 0)
    const round = this.#place[0] === head + 1 ? this.#place[1] : 0
    const hashes = [1, 2].map(() => Buffer.from(this.#stage.dice.bytes(32)).toString('hex'))
    const votes = hashes.map((hash) => this.#vote('prevote', hash, head + 1, round))
    for (const link of links) this.#send(link, votes)
    if (links.length > 0) this.#stage.expose(this.#key.address, 'bft')
  }

  #vote(step: Step, hash: string | null, height = this.#place[0], round = this.#place[1]): JsonObject {
    const said = { step, height, round, hash }
    const text = canonicalize({ chain_id: this.#stage.chainId, ...said })!
    return { ...said, address: this.#key.address, signature: this.#key.sign(purpose, text) }
  }

  #send(link: Link, votes: readonly JsonObject[], block?: Block): void {
    const body = block && { block: { ...blockJson(sealedHeaderOf(block)), transactions: [] } }
    link.send({ type: 'bft.round', votes, ...body })
  }

  #joined = (): Link[] => [...this.#puppet.links].filter(({ joined }) => joined)
}
