// Nodes that vote, without a node around them: each with a chain in memory, its own record, and a channel to the others on
// which messages take time or are lost. Time is virtual.
import * as v from 'valibot'
import { sha256Hex } from '../../../core/chain/canonical.ts'
import { developmentGenesis, type Genesis } from '../../../core/chain/genesis.ts'
import { Contributed } from '../../../core/contributions.ts'
import {
  accepted,
  isSignedBy,
  purposes,
  type Checkpoint,
  type FinalityDoor,
  type JsonObject,
  type KeyPair,
  type PeerView,
  type SealedHeader,
  type StoredHeader,
  type Verdict,
} from '../../../core/index.ts'
import { openServices } from '../../../core/services.ts'
import { contradiction } from '../../../plugins/finality/contradiction.ts'
import { VotedFinality } from '../../../plugins/finality/finality.ts'
import { rulesOf, type Rules } from '../../../plugins/finality/rules.ts'
import { parametersSchema, type FinalityParameters } from '../../../plugins/finality/schema.ts'
import {
  keyOf,
  messageSchema,
  readBallot,
  type IsSigned,
  type Statement,
  type VoteMessage,
} from '../../../plugins/finality/votes.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { makeKey } from '../../support/blocks.ts'
import { ancestryOf, draftAfter, genesisHeader, signedHeader } from '../../support/headers.ts'
import { simRuntime, type World } from '../../sim/runtime.ts'

export const genesis: Genesis = developmentGenesis('instant', {})
export const chainId = genesis.rules.chainId
export const genesisBranch: readonly SealedHeader[] = [genesisHeader(genesis)]

/** As the plugin has it. */
export const isSigned: IsSigned = (address, text, signature) => isSignedBy(address, purposes.finality, text, signature)

/** The keys of so many authorities, in the order of their addresses. */
export const keysOf = (count: number): readonly KeyPair[] =>
  Array.from({ length: count }, (_, n) => makeKey(n + 1)).toSorted((a, b) => (a.address < b.address ? -1 : 1))

export const parametersOf = (count: number, more: object = {}): FinalityParameters =>
  v.parse(parametersSchema, { authorities: keysOf(count).map(({ address }) => address), ...more })

export const testRules = (count: number, more: object = {}): Rules => rulesOf(chainId, parametersOf(count, more))

export interface BlockOptions {
  readonly finality?: JsonObject | undefined
  /** Tells it apart from another on the same parent. */
  readonly extra?: string
  /** Without transactions. */
  readonly empty?: boolean
}

const maker = makeKey(99)

/** The branch with one block more. */
export function grown(branch: readonly SealedHeader[], options: BlockOptions = {}): readonly SealedHeader[] {
  const { finality, extra = '', empty = false } = options
  const draft = { ...draftAfter(branch, maker), extra, ...(finality === undefined ? {} : { finality }) }
  return [...branch, signedHeader(empty ? draft : { ...draft, tx_root: sha256Hex('a transaction') }, 0, maker)]
}

export function branchOf(length: number, extra = '', on: readonly SealedHeader[] = genesisBranch) {
  let branch = on
  for (let i = 0; i < length; i++) branch = grown(branch, { extra })
  return branch
}

export const checkpointOf = ({ index, current_hash: hash }: SealedHeader): Checkpoint => ({ index, hash })

/** A ledger of headers with the fork choice of a chain that has finality. */
export class FakeChain implements FinalityDoor {
  readonly fetched: { readonly checkpoint: Checkpoint; readonly from: string }[] = []
  changes = 0
  readonly #branches = new Map<string, readonly SealedHeader[]>()
  readonly #hearHead: ((head: SealedHeader) => void)[] = []
  readonly #hearBlock: ((header: SealedHeader) => void)[] = []
  #recorded: readonly SealedHeader[] = genesisBranch
  finality: Pick<VotedFinality, 'justified' | 'final'> | undefined

  constructor() {
    this.#branches.set(chainId, genesisBranch)
  }

  /** Takes the blocks of a branch that are not here. */
  take(branch: readonly SealedHeader[]): void {
    for (const [index, header] of branch.entries()) {
      if (this.#branches.has(header.current_hash)) continue
      this.#branches.set(header.current_hash, branch.slice(0, index + 1))
      for (const hear of this.#hearBlock) hear(header)
      this.changed()
    }
  }

  get branch(): readonly SealedHeader[] {
    return this.#recorded
  }

  /** A restart: whoever listened is gone. */
  forgetListeners(): void {
    this.#hearHead.length = 0
    this.#hearBlock.length = 0
  }

  changed(): void {
    this.changes++
    const best = [...this.#branches.values()].reduce((a, b) => (this.#isBetter(b, a) ? b : a), this.#recorded)
    if (best === this.#recorded) return
    this.#recorded = best
    for (const hear of this.#hearHead) hear(best.at(-1)!)
  }

  #isBetter(a: readonly SealedHeader[], b: readonly SealedHeader[]): boolean {
    for (const checkpoint of [this.finality?.final(), this.finality?.justified()]) {
      const has = (one: readonly SealedHeader[]) =>
        checkpoint !== undefined && one[checkpoint.index]?.current_hash === checkpoint.hash
      if (has(a) !== has(b)) return has(a)
    }
    if (a.length !== b.length) return a.length > b.length
    return a.at(-1)!.current_hash < b.at(-1)!.current_hash
  }

  head = (): StoredHeader => this.#stored(this.#recorded.at(-1)!)
  headerAt = (index: number): StoredHeader | undefined => this.#recorded[index] && this.#stored(this.#recorded[index])
  header = (hash: string): StoredHeader | undefined => {
    const header = this.#branches.get(hash)?.at(-1)
    return header && this.#stored(header)
  }
  ancestry = (hash: string) => {
    const branch = this.#branches.get(hash)
    return branch && ancestryOf(branch)
  }
  fetch = (checkpoint: Checkpoint, from: string): void => void this.fetched.push({ checkpoint, from })
  onBlock = (hear: (header: SealedHeader) => void): void => void this.#hearBlock.push(hear)
  onHead = (hear: (head: SealedHeader) => void): void => void this.#hearHead.push(hear)

  #stored = (header: SealedHeader): StoredHeader => ({
    header,
    totalWork: BigInt(header.index),
    recorded: this.#recorded[header.index] === header,
  })
}

export interface NetOptions {
  readonly seed?: number
  readonly parameters?: object
  /** Beside the authorities, nodes whose keys are nobody's. */
  readonly others?: number
  /** Part of the messages that are lost. */
  readonly loss?: number
  readonly roundMilliseconds?: number
}

/** A node that can be restarted: its chain, its ledger's records and its key stay. */
export class TestNode {
  readonly key: KeyPair
  readonly chain = new FakeChain()
  readonly ledger = new MemoryLedger()
  readonly logged: string[] = []
  readonly accused: JsonObject[] = []
  /** Messages that this node said, each once to each peer. */
  said = 0
  finality!: VotedFinality
  up = false
  readonly #net: Net

  constructor(net: Net, key: KeyPair) {
    this.#net = net
    this.key = key
    this.ledger.begin(genesis, genesis.block, 0)
    this.start()
  }

  get view(): PeerView {
    return { nodeId: this.key.nodeId, address: this.key.address, nodeType: 'full', listens: undefined }
  }

  start(votes = true): void {
    const { clock } = this.#net.world.host('10.0.0.1')
    const note = (message: string): void => void this.logged.push(message)
    const log = { debug: () => {}, info: () => {}, warn: note, error: note }
    const parts = { identity: this.key, contributed: new Contributed(), clock, logFor: () => log, emit: () => {} }
    const { signing } = openServices(parts)
    signing.attach(this.ledger)
    this.finality = new VotedFinality({
      rules: this.#net.rules,
      votes,
      roundMilliseconds: this.#net.options.roundMilliseconds ?? 1_000,
      isSigned,
      signer: signing.signerOf('finality'),
      records: this.ledger.records('finality'),
      clock,
      log,
      network: { peers: () => this.#net.peersOf(this).map(({ view }) => view) },
      accuse: (proof) => (this.accused.push(proof), accepted),
    })
    this.finality.openChannel({
      broadcast: (message) => this.#net.peersOf(this).forEach((peer) => this.#net.say(this, peer, message)),
      send: (to, message) => {
        const peer = this.#net.peersOf(this).find(({ key }) => key.nodeId === to)
        if (peer !== undefined) this.#net.say(this, peer, message)
      },
    })
    this.chain.forgetListeners()
    this.chain.finality = this.finality
    this.finality.open(this.chain)
    this.up = true
    for (const peer of this.#net.peersOf(this)) this.#net.join(this, peer)
  }

  /** What is in work is lost, what was written is not. */
  stop(): void {
    this.finality.close()
    this.up = false
  }

  restart(): void {
    this.stop()
    this.start()
  }

  hear(message: VoteMessage, from: PeerView): Verdict {
    return this.finality.hear(v.parse(messageSchema, JSON.parse(JSON.stringify(message))), from)
  }
}

/** Everybody is connected with everybody, unless `cut` says otherwise. */
export class Net {
  readonly world: World
  readonly rules: Rules
  readonly options: NetOptions
  readonly nodes: TestNode[] = []
  cut: (a: TestNode, b: TestNode) => boolean = () => false
  /** Messages that are lost beside those that `options.loss` says. */
  loses: (from: TestNode, to: TestNode) => boolean = () => false
  /** Everything that a key of a node was ever seen to sign. */
  readonly #cast = new Map<string, Map<string, Statement>>()
  /** Provable refusals: no honest node gets one. */
  readonly refusals: string[] = []

  constructor(authorities: number, options: NetOptions = {}) {
    this.options = options
    this.world = simRuntime({ seed: options.seed ?? 1 })
    this.rules = testRules(authorities, options.parameters)
    const keys = [...keysOf(authorities), ...Array.from({ length: options.others ?? 0 }, (_, n) => makeKey(200 + n))]
    for (const key of keys) this.nodes.push(new TestNode(this, key))
  }

  peersOf(node: TestNode): TestNode[] {
    if (!node.up) return []
    return this.nodes.filter((peer) => peer !== node && peer.up && !this.cut(node, peer))
  }

  join(a: TestNode, b: TestNode): void {
    a.finality.joined(b.key.nodeId)
    b.finality.joined(a.key.nodeId)
  }

  /** Pairs of votes of one key that no honest key signs. */
  contradictions(): string[] {
    return [...this.#cast.values()].flatMap((cast) => {
      const statements = [...cast.values()]
      return statements.flatMap((a, at) => statements.slice(at + 1).flatMap((b) => contradiction(a, b) ?? []))
    })
  }

  say(from: TestNode, to: TestNode, message: VoteMessage): void {
    from.said++
    const read = readBallot(message, this.rules)
    if (read.ok && read.value.signatures.has(from.key.address)) {
      const cast = this.#cast.get(from.key.address) ?? new Map<string, Statement>()
      this.#cast.set(from.key.address, cast.set(keyOf(read.value.statement), read.value.statement))
    }
    const { dice } = this.world.host('10.0.0.1').machine
    if (this.loses(from, to) || dice.fraction() < (this.options.loss ?? 0)) return
    this.world.at(1 + dice.fraction() * 20, () => {
      if (!to.up || this.cut(from, to)) return
      const verdict = to.hear(message, from.view)
      if (!verdict.ok && verdict.provable) this.refusals.push(`${verdict.code}: ${verdict.detail}`)
      // As core does it for a gossiped message.
      if (verdict.ok) for (const peer of this.peersOf(to)) if (peer !== from) this.say(to, peer, message)
    })
  }

  /** All nodes that are up take a branch. */
  take(branch: readonly SealedHeader[], nodes: readonly TestNode[] = this.nodes): void {
    for (const node of nodes) if (node.up) node.chain.take(branch)
  }

  finals(nodes: readonly TestNode[] = this.nodes): number[] {
    return nodes.map(({ finality }) => finality.final().index)
  }

  async untilFinal(index: number, nodes: readonly TestNode[] = this.nodes, millisecondsMax = 60_000): Promise<void> {
    await this.world.runUntil(() => this.finals(nodes).every((final) => final >= index), millisecondsMax)
  }
}
