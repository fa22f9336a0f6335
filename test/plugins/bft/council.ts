// Engines of bft alone, without nodes: each with a door to a chain of its own, a channel of messages that get lost, and a
// clock in a simulated world. A liar is one key with two engines that know nothing of each other.
import * as v from 'valibot'
import { sealedHeaderOf, type Block, type SealedHeader } from '../../../core/chain/block.ts'
import type { Hash } from '../../../core/chain/canonical.ts'
import { developmentGenesis, type Genesis } from '../../../core/chain/genesis.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import type { KeyPair } from '../../../core/chain/keys.ts'
import { accepted, decline, found } from '../../../core/errors.ts'
import type { ChainDoor, Channel, Consensus, Context, PeerView, Signer } from '../../../core/index.ts'
import { testServices } from '../../support/services.ts'
import { makeContext } from '../../support/context.ts'
import { ancestryOf, draftAfter, genesisHeader, signedHeader, testKey } from '../../support/headers.ts'
import bft from '../../../plugins/bft/index.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { Dice } from '../../sim/dice.ts'
import { World } from '../../sim/runtime.ts'

export interface CouncilOptions {
  readonly seed: number
  readonly authorities: number
  /** The last so many of them lie. */
  readonly liars?: number
  /** A liar says both things to everybody, and not each to one half. */
  readonly openly?: boolean
  /** Share of messages. */
  readonly loss?: number
  readonly latency?: readonly [number, number]
  /** Blocks until nothing more is to be recorded. */
  readonly height: number
  /** Whether a message gets there. */
  readonly passes?: (from: Mind, to: Mind, message: RoundMessage) => boolean
}

export interface RoundMessage {
  readonly votes: readonly {
    readonly step: string
    readonly height: number
    readonly round: number
    readonly hash: Hash | null
  }[]
  readonly block?: Block
}

const bare: Signer['last'] = () => undefined

/** One engine with what it sees. */
export class Mind {
  readonly key: KeyPair
  /** `2`, or `3a` and `3b` of a liar. */
  readonly name: string
  readonly ledger = new MemoryLedger()
  readonly chain: Block[] = []
  readonly accused: JsonObject[] = []
  readonly view: PeerView
  readonly #council: Council
  engine!: Consensus
  context!: Context<'storage'>
  hear: (message: RoundMessage) => unknown = () => undefined
  #sealing = false
  #hearers: ((head: SealedHeader) => void)[] = []

  constructor(council: Council, key: KeyPair, name: string) {
    this.#council = council
    this.key = key
    this.name = name
    this.view = { nodeId: key.nodeId, address: key.address, nodeType: 'full', listens: undefined }
  }

  get isLiar(): boolean {
    return /[ab]$/.test(this.name)
  }

  get height(): number {
    return this.chain.length
  }

  get branch(): SealedHeader[] {
    return [genesisHeader(this.#council.genesis), ...this.chain.map(sealedHeaderOf)]
  }

  get isUp(): boolean {
    return this.#host.alive
  }

  get #host() {
    return this.#council.world.host(`10.0.0.${this.name}`)
  }

  /** Starts, or starts again with what its ledger holds. */
  start(): void {
    const { genesis, world, parameters } = this.#council
    const runtime = world.boot(`10.0.0.${this.name}`)
    const services = testServices(this.key)
    services.signing.attach(this.ledger)
    const honest = services.signing.signerOf('bft')
    const sign: Signer['sign'] = (_track, _place, text) => found(this.key.sign('aurex/bft/1', text))
    this.#sealing = false
    this.#hearers = []
    const { context } = makeContext<'storage'>({
      use: { storage: this.ledger },
      identity: this.key,
      genesis,
      runtime,
      signer: this.isLiar ? { ...honest, sign, last: bare, met: () => undefined } : honest,
      network: { genesis: () => genesis, peers: () => this.#council.others(this).map(({ view }) => view) },
      accuse: (_kind, proof) => {
        this.accused.push(proof)
        return accepted
      },
      channel: (_name, schema, hear) => this.#channel(schema, hear as Mind['hear']),
    })
    this.context = context
    this.engine = bft.setup(context, {}, parameters) as Consensus
    this.engine.open!(this.#door())
    this.look()
  }

  crash(): void {
    this.#council.world.crash(`10.0.0.${this.name}`, 'power')
  }

  /** What core's producer does. */
  look(): void {
    if (this.#sealing || !this.isUp) return
    const { clock } = this.#host
    const ancestry = ancestryOf(this.branch)
    const due = this.engine.due(ancestry, this.#pending(), clock.now(), clock.now())
    if (!('when' in due)) return
    this.#sealing = true
    clock.after(Math.max(0, due.when - clock.now()), () => void this.#produce())
  }

  async #produce(): Promise<void> {
    const branch = this.branch
    const host = this.#host
    // A liar's two engines make two blocks.
    const draft = { ...draftAfter(branch, this.key, host.clock.now()), extra: this.name }
    const header = this.engine.prepare(draft, ancestryOf(branch))
    const propose = (): Block => ({ ...signedHeader(header, 0, this.key), transactions: [] })
    const attempt = new AbortController()
    this.#hearers.push(() => attempt.abort())
    const seal = await this.engine.seal(header, attempt.signal, propose)
    if (!host.alive) return
    this.#sealing = false
    if (seal !== undefined) this.take({ ...propose(), ...seal })
    this.look()
  }

  take(block: Block): void {
    const branch = this.branch
    if (block.prev_hash !== branch.at(-1)!.current_hash) return
    const verdict = this.engine.verify(sealedHeaderOf(block), ancestryOf(branch))
    if (!verdict.ok) throw new Error(`${this.name} decided what it refuses: ${verdict.detail}`)
    this.chain.push(block)
    for (const hear of this.#hearers.splice(0)) hear(sealedHeaderOf(block))
    this.#council.world.at(1, () => this.look())
  }

  #pending = (): number => (this.height < this.#council.options.height ? 1 : 0)

  #door(): ChainDoor {
    const head = () => this.branch.at(-1)!
    return {
      head: () => ({ header: head(), totalWork: BigInt(this.height), recorded: true }),
      ancestry: () => ancestryOf(this.branch),
      pendingCount: this.#pending,
      examine: async (block) => {
        const given = block as Block
        return given.prev_hash === head().current_hash ? found(given) : decline('stale-proposal', 'another head')
      },
      submit: async (block) => {
        this.take(block as Block)
        return accepted
      },
      changed: () => this.#council.world.at(0, () => this.look()),
      onHead: (hear) => {
        const again = (header: SealedHeader): void => {
          this.#hearers.push(again)
          hear(header)
        }
        this.#hearers.push(again)
      },
    }
  }

  #channel(schema: v.GenericSchema, hear: Mind['hear']): Channel<object> {
    this.hear = (message) => hear(v.parse(schema, message) as RoundMessage)
    const to = (mind: Mind, message: object) => this.#council.carry(this, mind, message as RoundMessage)
    const others = () => this.#council.others(this)
    return {
      broadcast: (message) => others().forEach((mind) => to(mind, message)),
      send: (nodeId, message) =>
        others()
          .filter(({ view }) => view.nodeId === nodeId)
          .forEach((mind) => to(mind, message)),
    }
  }
}

export class Council {
  readonly world: World
  readonly genesis: Genesis
  readonly options: CouncilOptions
  readonly parameters: v.InferOutput<NonNullable<typeof bft.parameters>>
  readonly minds: readonly Mind[]
  readonly keys: readonly KeyPair[]
  readonly #dice: Dice

  constructor(options: CouncilOptions) {
    this.options = options
    this.world = new World({ seed: options.seed })
    this.#dice = new Dice(`${options.seed}/messages`)
    this.keys = Array.from({ length: options.authorities }, (_, n) => testKey(30 + n))
    this.parameters = v.parse(bft.parameters!, { authorities: this.keys.map(({ address }) => address) })
    this.genesis = developmentGenesis('bft', this.parameters)
    const liarsFrom = options.authorities - (options.liars ?? 0)
    this.minds = this.keys.flatMap((key, n) =>
      n < liarsFrom ? [new Mind(this, key, `${n}`)] : [new Mind(this, key, `${n}a`), new Mind(this, key, `${n}b`)],
    )
    for (const mind of this.minds) mind.start()
  }

  get honest(): readonly Mind[] {
    return this.minds.filter((mind) => !mind.isLiar)
  }

  others(mind: Mind): readonly Mind[] {
    return this.minds.filter((one) => one.key !== mind.key)
  }

  /** A liar's first engine talks with one half of the others, its second with the other half. */
  carry(from: Mind, to: Mind, message: RoundMessage): void {
    const { loss = 0, latency = [2, 30], passes, openly = false } = this.options
    const side = (liar: Mind, other: Mind) =>
      openly || !liar.isLiar || other.isLiar || (liar.name.endsWith('a') ? 0 : 1) === Number(other.name) % 2
    if (!side(from, to) || !side(to, from) || this.#dice.fraction() < loss || passes?.(from, to, message) === false)
      return
    const text = JSON.stringify(message)
    this.world.at(latency[0] + this.#dice.fraction() * (latency[1] - latency[0]), () => {
      if (to.isUp) void to.hear(JSON.parse(text) as RoundMessage)
    })
  }

  /** Blocks get to who is behind, as core's sync sees to it. */
  sync(): void {
    for (const mind of this.minds) {
      if (!mind.isUp) continue
      const ahead = this.honest.find(
        ({ height, branch }) =>
          height > mind.height && branch[mind.height]?.current_hash === mind.branch.at(-1)!.current_hash,
      )
      if (ahead !== undefined) mind.take(ahead.chain[mind.height]!)
    }
  }

  /** Lets time pass until all honest ones that are up have as many blocks. Throws when that takes too long. */
  async reach(height = this.options.height, millisecondsMax = 300_000): Promise<void> {
    const end = this.world.elapsed + millisecondsMax
    while (!this.honest.every((mind) => !mind.isUp || mind.height >= height)) {
      if (this.world.elapsed > end)
        throw new Error(`seed ${this.options.seed}: ${this.honest.map((mind) => mind.height).join()}`)
      await this.world.advance(500)
      this.sync()
    }
  }

  /** Heights at which two honest ones decided differently. */
  conflicts(): number[] {
    const heights = Array.from({ length: this.options.height }, (_, index) => index)
    const hashes = (index: number) => new Set(this.honest.flatMap(({ chain }) => chain[index]?.current_hash ?? []))
    return heights.filter((index) => hashes(index).size > 1)
  }
}
