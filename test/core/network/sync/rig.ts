// Whole nodes in a simulated world whose ledgers are begun with histories made beforehand, and peers that misbehave.
import * as v from 'valibot'
import { purposes, type KeyPair } from '../../../../core/chain/keys.ts'
import type { Block, SealedHeader } from '../../../../core/chain/block.ts'
import { sealedHeaderOf } from '../../../../core/chain/block.ts'
import type { JsonObject } from '../../../../core/chain/json.ts'
import type { CoreEvents } from '../../../../core/events.ts'
import type { Limits } from '../../../../core/limits.ts'
import type { Runtime, Socket } from '../../../../core/runtime.ts'
import instant from '../../../../plugins/instant/index.ts'
import { MemoryLedger } from '../../../../plugins/memory/index.ts'
import { simPort, startSimNode, pluginEntry } from '../../../sim/simnode.ts'
import type { World } from '../../../sim/runtime.ts'
import { makeApplied, makeBlock, makeGenesis, makeKey, makeTransaction } from '../../../support/blocks.ts'

export const genesis = makeGenesis('instant', {})

/** So many blocks on `parent`, told apart from other branches by who made them. */
export function history(count: number, miner = 1, parent: Block = genesis.block, transactions = 0): Block[] {
  const blocks: Block[] = []
  for (let n = 0; n < count; n++) {
    const index = parent.index + 1
    const paid = Array.from({ length: transactions }, (_, i) => makeTransaction(genesis, miner, { index, i }, i))
    parent = makeBlock(parent, { work: 1, miner, transactions: paid })
    blocks.push(parent)
  }
  return blocks
}

export interface Heard {
  readonly event: keyof CoreEvents
  readonly fact: unknown
  readonly at: number
}

export class RigNode {
  readonly address: string
  readonly ledger: MemoryLedger
  readonly heard: Heard[] = []
  readonly logged: string[] = []
  readonly #world: World
  #node: Awaited<ReturnType<typeof startSimNode>>['node'] | undefined

  constructor(world: World, address: string, ledger: MemoryLedger) {
    this.#world = world
    this.address = address
    this.ledger = ledger
  }

  async start(limits: Partial<Limits> = {}, produce = false): Promise<this> {
    const storage = {
      name: 'kept',
      summary: 'a ledger that outlives its node',
      provides: 'storage' as const,
      needs: [],
      config: v.strictObject({}),
      setup: (context: { on: (event: keyof CoreEvents, hear: (fact: unknown) => void) => void }) => {
        for (const event of eventsHeard)
          context.on(event, (fact) => void this.heard.push({ event, fact, at: this.#world.elapsed }))
        return this.ledger
      },
    }
    const { node } = await startSimNode(this.#world, this.address, {
      genesis,
      engine: pluginEntry(instant, { produce }),
      storage: { plugin: storage, config: {}, parameters: {} },
      limits,
      log: (level, message) => void this.logged.push(`${level} ${message}`),
    })
    this.#node = node
    return this
  }

  get node() {
    return this.#node!
  }

  get height(): number {
    return this.ledger.head().header.index
  }

  get head(): string {
    return this.ledger.head().header.current_hash
  }

  get peers(): number {
    return this.node.network.peers.size
  }

  async dial(other: { readonly address: string }): Promise<void> {
    const result = await this.#world.settled(this.node.network.dial({ host: other.address, port: simPort }))
    // Nodes tell each other of others: one of them may have been quicker.
    if (!result.ok && result.code !== 'duplicate')
      throw new Error(`${this.address} to ${other.address}: ${result.code}: ${result.detail}`)
  }

  facts<E extends keyof CoreEvents>(event: E): CoreEvents[E][] {
    return this.heard.filter((one) => one.event === event).map(({ fact }) => fact as CoreEvents[E])
  }

  stop(): Promise<void> {
    return this.#world.settled(this.node.stop('the test is over'))
  }
}

const eventsHeard = [
  'sync:started',
  'sync:progressed',
  'sync:ended',
  'peer:left',
  'peer:banned',
  'reorganisation:refused',
] as const

/** A ledger that holds these blocks. */
export function ledgerOf(blocks: readonly Block[]): MemoryLedger {
  const ledger = new MemoryLedger()
  ledger.begin(genesis, genesis.block, 0)
  const applied = blocks.map((block) => makeApplied(block, BigInt(block.index)))
  if (applied.length > 0) ledger.commit({ undone: [], applied, returned: [], writtenAt: 0 })
  return ledger
}

export const rigNode = (world: World, n: number, blocks: readonly Block[] = [], limits: Partial<Limits> = {}) =>
  new RigNode(world, `10.0.0.${n}`, ledgerOf(blocks)).start(limits)

/** What a peer that is not a node says to a message; undefined: nothing. */
export type Reply = (message: JsonObject) => JsonObject | undefined

/** A peer with a proper handshake that answers everything else as the test wants. */
export class OddPeer {
  readonly address: string
  readonly key: KeyPair
  readonly heard: JsonObject[] = []
  code: string | undefined
  closedAt: number | undefined
  joinedAt: number | undefined
  #socket: Socket | undefined
  #text = ''
  #unsent = Buffer.alloc(0)
  readonly #reply: Reply

  constructor(n: number, reply: Reply) {
    this.address = `10.0.0.${n}`
    this.key = makeKey(n)
    this.#reply = reply
  }

  async join(world: World, to: { readonly address: string }, height: number): Promise<this> {
    const host: Runtime = world.host(this.address)
    this.#socket = await world.settled(
      host.connect(to.address, simPort, {
        data: (_socket, bytes) => this.#take(bytes, world),
        drain: () => this.#push(),
        end: (socket) => socket.end(),
        close: () => void (this.closedAt ??= world.elapsed),
      }),
    )
    this.send({
      type: 'handshake',
      version: 1,
      chain_id: genesis.rules.chainId,
      height,
      node_type: 'full',
      listen_addr: '',
      node_id: this.key.nodeId,
      public_key_pem: this.key.pem,
      challenge: 'a'.repeat(64),
    })
    await world.runUntil(() => this.joinedAt !== undefined || this.closedAt !== undefined)
    return this
  }

  send(message: JsonObject): void {
    this.#unsent = Buffer.concat([this.#unsent, Buffer.from(`${JSON.stringify(message)}\n`)])
    this.#push()
  }

  asked(type: string): JsonObject[] {
    return this.heard.filter((message) => message['type'] === type)
  }

  #push(): void {
    if (this.#socket === undefined || this.#unsent.length === 0) return
    this.#unsent = this.#unsent.subarray(this.#socket.write(this.#unsent))
  }

  #take(bytes: Uint8Array, world: World): void {
    const lines = (this.#text + Buffer.from(bytes).toString()).split('\n')
    this.#text = lines.pop()!
    for (const line of lines) this.#hear(JSON.parse(line) as JsonObject, world)
  }

  #hear(message: JsonObject, world: World): void {
    this.heard.push(message)
    const { type, challenge, code, request_id } = message
    if (type === 'ERROR' && typeof code === 'string') this.code = code
    if (type === 'handshake' && typeof challenge === 'string') {
      this.send({
        type: 'handshake_ack',
        signature: this.key.sign(purposes.handshake, 'a'.repeat(64) + challenge),
      })
    } else if (type === 'handshake_ack') {
      this.joinedAt = world.elapsed
    } else {
      const reply = this.#reply(message)
      if (reply !== undefined) this.send(request_id === undefined ? reply : { ...reply, request_id })
    }
  }
}

/** Answers as an honest node with this chain would, claiming a height. */
export function honestReply(blocks: readonly Block[], claims: () => number = () => blocks.length): Reply {
  const places = new Map(blocks.map((block, i) => [block.current_hash, i]))
  return (message) => {
    const { type, locator, from, to, hash } = message
    if (type === 'ping') return { type: 'pong', node_id: 'x', height: claims() }
    if (type === 'header_request') {
      const known = (locator as string[]).map((one) => places.get(one)).find((place) => place !== undefined)
      const headers = blocks.slice((known ?? -1) + 1, (known ?? -1) + 2_001).map(sealedHeaderOf)
      return { type: 'header_response', headers: headers as (SealedHeader & JsonObject)[] }
    }
    if (type !== 'block_request') return undefined
    const found =
      typeof hash === 'string'
        ? blocks.filter(({ current_hash }) => current_hash === hash)
        : blocks.slice(Number(from) - 1, Number(to))
    return { type: 'block_response', blocks: found as unknown as JsonObject[] }
  }
}
