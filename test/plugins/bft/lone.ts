// One engine of bft among four authorities, of whom the test plays the other three.
import * as v from 'valibot'
import { sealedHeaderOf, type Block, type SealedHeader } from '../../../core/chain/block.ts'
import { formatTimestamp } from '../../../core/chain/timestamp.ts'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import { accepted, decline, found } from '../../../core/errors.ts'
import {
  ballotText,
  type Consensus,
  type KeyPair,
  type PeerView,
  type Verdict,
  type Vote,
} from '../../../core/index.ts'
import bft from '../../../plugins/bft/index.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { World } from '../../sim/runtime.ts'
import { makeContext } from '../../support/context.ts'
import { ancestryOf, draftAfter, genesisHeader, signedHeader, testKey } from '../../support/headers.ts'
import { testServices } from '../../support/services.ts'

interface Message {
  readonly votes: readonly Vote[]
  readonly block?: Block
}

const address = '10.0.0.1'

export class Lone {
  readonly world = new World({ seed: 1 })
  /** The engine's is the first. Round 0 of height 1 is the second one's, round 3 its own. */
  readonly keys = [40, 41, 42, 43].map(testKey)
  readonly parameters = v.parse(bft.parameters!, { authorities: this.keys.map((key) => key.address) })
  readonly genesis = developmentGenesis('bft', this.parameters)
  readonly branch: SealedHeader[] = [genesisHeader(this.genesis)]
  /** Blocks that it handed over to be recorded. */
  readonly submitted: Block[] = []
  readonly warned: string[] = []
  /** What it broadcast. */
  said: Message[] = []
  /** What it sent to one peer, again and again. */
  repeated: Message[] = []
  readonly #ledger = new MemoryLedger()
  engine!: Consensus
  stopped!: () => unknown
  #hear!: (message: Message) => Verdict | Promise<Verdict>
  #hearers: ((head: SealedHeader) => void)[] = []

  constructor() {
    this.start()
  }

  /** Starts, or starts again with what it has on record. */
  start(): void {
    this.world.crash(address, 'power')
    const runtime = this.world.boot(address)
    const services = testServices(this.keys[0])
    services.signing.attach(this.#ledger)
    const silent = (): void => {}
    const { context } = makeContext<'storage'>({
      use: { storage: this.#ledger },
      identity: this.keys[0]!,
      genesis: this.genesis,
      runtime,
      signer: services.signing.signerOf('bft'),
      network: { genesis: () => this.genesis, peers: () => this.keys.slice(1).map(viewOf) },
      log: { debug: silent, info: silent, warn: (message) => void this.warned.push(message), error: silent },
      channel: (_name, schema, hear) => {
        this.#hear = (message) =>
          hear(v.parse(schema, JSON.parse(JSON.stringify(message))) as never, viewOf(this.keys[1]!))
        return {
          broadcast: (message) => void this.said.push(message as Message),
          send: (_to, message) => void this.repeated.push(message as Message),
        }
      },
    })
    this.#hearers = []
    this.said = []
    this.stopped = () => context.signer.stopped()
    this.engine = bft.setup(context, {}, this.parameters) as Consensus
    this.engine.open!({
      head: () => ({ header: this.branch.at(-1)!, totalWork: 0n, recorded: true }),
      ancestry: () => ancestryOf(this.branch),
      pendingCount: () => 1,
      examine: async (block) => {
        const given = block as Block
        if (given.prev_hash !== this.branch.at(-1)!.current_hash) return decline('stale-proposal', 'another head')
        return found(given)
      },
      submit: async (block) => {
        this.submitted.push(block as Block)
        return accepted
      },
      changed: silent,
      onHead: (hear) => void this.#hearers.push(hear),
    })
  }

  /** A block of height 1; told apart by `extra`. */
  block(maker: KeyPair, extra: string, at = this.world.startsAt): Block {
    const draft = this.engine.prepare({ ...draftAfter(this.branch, maker, at), extra }, ancestryOf(this.branch))
    return { ...signedHeader(draft, 0, maker), timestamp: formatTimestamp(at), transactions: [] }
  }

  vote(n: number, step: Vote['step'], round: number, block: Block | null): Vote {
    const said = { step, height: this.branch.length, round, hash: block?.current_hash ?? null }
    const signature = this.keys[n]!.sign('aurex/bft/1', ballotText(this.genesis.rules.chainId, said))
    return { ...said, address: this.keys[n]!.address, signature }
  }

  /** What the others say at a step of a round. */
  async tell(others: readonly number[], step: Vote['step'], round: number, block: Block | null): Promise<void> {
    for (const n of others) await this.#hear({ votes: [this.vote(n, step, round, block)] })
  }

  /** `proof`: prevotes that come along. */
  async propose(n: number, round: number, block: Block, proof: readonly Vote[] = []): Promise<Verdict> {
    return await this.#hear({ votes: [this.vote(n, 'proposal', round, block), ...proof], block })
  }

  /** What it said of its own: `prevote 0 x`, with the `extra` of the block. */
  votes(...blocks: readonly Block[]): string[] {
    const nameOf = (hash: Vote['hash']) =>
      hash === null ? 'nil' : blocks.find((one) => one.current_hash === hash)?.extra
    return this.said
      .flatMap(({ votes }) => votes.slice(0, 1))
      .map((one) => `${one.step} ${one.round} ${nameOf(one.hash)}`)
  }

  /** A block is recorded. */
  async record(block: Block): Promise<void> {
    this.branch.push(sealedHeaderOf(block))
    for (const hear of this.#hearers) hear(sealedHeaderOf(block))
    await this.world.advance(1)
  }

  get waitsFor(): string {
    const due = this.engine.due(ancestryOf(this.branch), 1, 0, 0)
    return 'when' in due ? 'nothing' : due.waitsFor
  }
}

const viewOf = ({ nodeId, address: own }: KeyPair): PeerView => ({
  nodeId,
  address: own,
  nodeType: 'full',
  listens: undefined,
})
