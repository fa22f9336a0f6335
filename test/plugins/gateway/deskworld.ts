// A desk among fake nodes on real sockets, with its records in a real ledger file that can be opened again.
import { copyFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { bunRuntime } from '../../../core/bun.ts'
import { developmentGenesis, type Genesis } from '../../../core/chain/genesis.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { signTransaction } from '../../../core/chain/transaction.ts'
import type { Context, PeerView, Storage } from '../../../core/plugin.ts'
import type { Submission } from '../../../plugins/gateway/desk.ts'
import { openDesk, type DeskOptions, type OpenDesk } from '../../../plugins/gateway/opendesk.ts'
import { openLedger } from '../../../plugins/sqlite/ledger.ts'
import { FakeNode } from '../../core/commands/fakenode.ts'
import { makeKey } from '../../support/blocks.ts'
import { makeContext } from '../../support/context.ts'
import { eventually } from '../../support/eventually.ts'
import { removeFolder, temporaryFolder } from '../../support/process.ts'

export const runtime = bunRuntime()

/** A world whose time goes ten times as fast, so that back-offs are not waited for. What is slow is still a second. */
export const hurried: DeskWorldOptions = {
  runtime: {
    ...runtime,
    clock: {
      ...runtime.clock,
      monotonic: () => runtime.clock.monotonic() * 10,
      after: (milliseconds, run) => runtime.clock.after(milliseconds / 10, run),
    },
  },
  slowMilliseconds: 10_000,
}

export const gatewayKey = makeKey(77)
export const genesis = developmentGenesis('instant', {})

export interface DeskWorldOptions extends Partial<DeskOptions> {
  readonly nodes?: number
  /** Default: a ledger file. */
  readonly storage?: 'file' | 'none'
  /** null: nobody has told of a chain. */
  readonly genesis?: Genesis | null
  /** Where its ledger file is, or will be. */
  readonly folder?: string
  /** Between the desk and its ledger. */
  readonly wrap?: (storage: Pick<Storage, 'records'>) => Pick<Storage, 'records'>
  /** Takes the runtime's place. */
  readonly runtime?: typeof runtime
}

export class DeskWorld {
  readonly nodes: FakeNode[] = []
  /** Peers beside the nodes. */
  readonly others: PeerView[] = []
  /** Warnings and errors. */
  readonly log: { readonly message: string; readonly fields: unknown }[] = []
  /** What the gateway is told of: undefined until somebody says. */
  genesis: Genesis | undefined
  desk!: OpenDesk
  figures!: ReturnType<typeof makeContext>['contributed']
  readonly #folder: string
  readonly #options: DeskWorldOptions
  readonly #hearers = new Map<string, (() => void)[]>()
  /** Places of nodes that are no peers at the moment. */
  readonly #away = new Set<number>()
  #ledger: ReturnType<typeof openLedger> | undefined
  #abandon: () => Promise<void> = () => Promise.resolve()

  private constructor(options: DeskWorldOptions) {
    this.#options = options
    this.#folder = options.folder ?? temporaryFolder()
    this.genesis = options.genesis === null ? undefined : (options.genesis ?? genesis)
  }

  static async start(options: DeskWorldOptions = {}): Promise<DeskWorld> {
    const world = new DeskWorld(options)
    for (let n = 0; n < (options.nodes ?? 1); n++) world.nodes.push(await FakeNode.start(runtime))
    await world.open()
    await world.reached(world.nodes.length)
    return world
  }

  async open(): Promise<void> {
    const { storage = 'file', wrap = (it: Pick<Storage, 'records'>) => it } = this.#options
    this.#ledger = storage === 'file' ? openLedger(join(this.#folder, 'gateway.sqlite3')) : undefined
    this.#hearers.clear()
    const note = (message: string, fields?: unknown) => void this.log.push({ message, fields })
    const nothing = (): void => {}
    const on: Context['on'] = (event, hear) => {
      this.#hearers.set(event, [...(this.#hearers.get(event) ?? []), hear as unknown as () => void])
    }
    const { context, contributed, release } = makeContext({
      use: {},
      identity: gatewayKey,
      runtime: this.#options.runtime ?? runtime,
      log: { debug: nothing, info: nothing, warn: note, error: note },
      network: { genesis: () => this.genesis, peers: () => this.#peers() },
      on,
    })
    this.figures = contributed
    this.desk = openDesk({
      context,
      storage: this.#ledger && wrap(this.#ledger),
      chain: undefined,
      options: { attest: false, slowMilliseconds: 300, ...this.#options },
    })
    this.#abandon = release
    await this.desk.start()
  }

  /** The desk is stopped in good order and opened again on the same file. */
  async restart(): Promise<void> {
    await this.stop()
    await this.open()
  }

  async stop(): Promise<void> {
    await this.desk.stop()
    await this.#abandon()
    this.#ledger?.close()
    this.#ledger = undefined
  }

  /** The files of the ledger as they are at this moment, in a folder of their own: what a kill would leave. */
  snapshot(): string {
    const folder = temporaryFolder()
    for (const file of readdirSync(this.#folder)) {
      if (file.startsWith('gateway.sqlite3')) copyFileSync(join(this.#folder, file), join(folder, file))
    }
    return folder
  }

  /** What the file holds, read beside the desk. */
  records(prefix: string): readonly (readonly [string, string])[] {
    return this.#ledger!.records('gateway').list(prefix, undefined, 1_000_000)
  }

  async reached(count: number): Promise<void> {
    await eventually(() => this.desk.counts().nodes === count, `${count} nodes reached`)
  }

  /** The node at this place leaves, or comes back. */
  away(place: number, away: boolean): void {
    if (away) this.#away.add(place)
    else this.#away.delete(place)
    this.tell(away ? 'peer:left' : 'peer:joined')
  }

  tell(event: string): void {
    for (const hear of this.#hearers.get(event) ?? []) hear()
  }

  async dispose(): Promise<void> {
    if (this.#ledger !== undefined || this.#options.storage === 'none') await this.stop()
    for (const node of this.nodes) node.stop()
    removeFolder(this.#folder)
  }

  #peers(): PeerView[] {
    const nodes = this.nodes.flatMap((node, place) => {
      if (this.#away.has(place)) return []
      const { nodeId, address } = makeKey(100 + place)
      return [{ nodeId, address, nodeType: 'full', listens: { host: '127.0.0.1', port: node.port } }]
    })
    return [...nodes, ...this.others]
  }
}

export const purchase = (fields: JsonObject = {}): JsonObject => ({
  tx_id: 'order-1',
  buyer: 'alice',
  seller: 'shop@example.com',
  asset_id: 'sku-7',
  asset_name: 'Blue lamp',
  price: '12.34',
  timestamp: '2026-11-21T10:00:00+01:00',
  ...fields,
})

/** What a node was given: the hashes of its NEW_TRANSACTIONs are not on the wire, so their `data` tells them. */
export const given = (node: FakeNode): JsonObject[] =>
  node.received.filter(({ type }) => type === 'NEW_TRANSACTION').map(({ data }) => data as JsonObject)

export const signed = (data: JsonObject = { action: 'data' }, nonce?: number) =>
  signTransaction(makeKey(5), genesis.rules.chainId, data, nonce)

export async function taken(answer: ReturnType<OpenDesk['submitPurchase']>): Promise<Submission> {
  const result = await answer
  if (!result.ok) throw new Error(`declined ${result.code}: ${result.detail}`)
  return result.value
}

export async function declined(answer: ReturnType<OpenDesk['submitPurchase']>): Promise<string> {
  const result = await answer
  if (result.ok) throw new Error(`taken: ${JSON.stringify(result.value)}`)
  return `${result.code}: ${result.detail}`
}

export const included = (confirmations: number, status = 'included'): JsonObject => ({
  status,
  block_index: 3,
  block_hash: 'b'.repeat(64),
  confirmations,
})

/** All that is kept, whether a node has it or none. */
export function keptBy(desk: OpenDesk): number {
  const { queued, unsettled } = desk.counts()
  return queued + unsettled
}
