// Purchases through a gateway to three nodes, and beside it the same number of transactions given to one of the nodes
// directly: how many a second are answered, how long an answer takes, and how long until a block of every node holds it.
import { mkdirSync } from 'node:fs'
import { FrameClient } from '../support/frames.ts'
import { LineClient } from '../support/lines.ts'
import { removeFolder, startNode, temporaryFolder, type NodeProcess } from '../support/process.ts'
import { signMany } from './load.ts'
import { percentile, type Row } from './row.ts'

const nodesCount = 3
const pollMilliseconds = 4
/** How far back a node's chain is looked at again when it was reorganised. */
const reorganisationMax = 8

/** Of one purchase or transaction, milliseconds from its sending. */
interface Times {
  readonly answered: number
  readonly everywhere: number
}

interface Outcome {
  readonly times: readonly Times[]
  readonly answeredPerSecond: number
  readonly everywherePerSecond: number
}

export async function gateway(): Promise<Row[]> {
  const rows: Row[] = []
  for (const [connections, count] of [
    [1, 400],
    [50, 4_000],
  ] as const) {
    const through = await measured(async (town, watch) => {
      const clients = await Promise.all(Array.from({ length: connections }, () => FrameClient.open(town.gatewayPort)))
      const bodies = Array.from({ length: count }, (_, n) => purchase(n))
      const answeredAt = await flood(clients, bodies, watch, async (client, body) => {
        const { status, code, message } = await client.ask({ action: 'submit_purchase', body })
        if (status !== 'submitted') throw new Error(`${String(status)}: ${String(code)}: ${String(message)}`)
      })
      for (const client of clients) client.close()
      return answeredAt
    })
    const direct = await measured(async (town, watch) => {
      const { ready } = town.nodes[0]!
      const clients = await Promise.all(Array.from({ length: connections }, () => LineClient.open(ready.port)))
      const all = signMany(ready.chain_id, count).map((one, n) => ({ ...one, tx_id: `p${n}` }))
      const answeredAt = await flood(clients, all, watch, async (client, { tx_id: _id, ...transaction }) => {
        const { type, code } = await client.ask({ type: 'NEW_TRANSACTION', ...transaction })
        if (type !== 'MINING_STARTED') throw new Error(String(code))
      })
      for (const client of clients) client.close()
      return answeredAt
    })
    rows.push(...rowsOf(connections, through, direct))
  }
  return rows
}

function rowsOf(connections: number, through: Outcome, direct: Outcome): Row[] {
  const name = `${connections} connection${connections === 1 ? '' : 's'}`
  const row = (what: string, unit: string, of: (outcome: Outcome) => number): Row => ({
    name: `${what}, ${name}`,
    figure: of(through),
    unit,
    reference: 'straight to a node',
    referenceFigure: of(direct),
  })
  const time = (percent: number, of: (times: Times) => number) => (outcome: Outcome) =>
    percentile(outcome.times.map(of), percent)
  return [
    row('purchases submitted', 'purchases/s', ({ answeredPerSecond }) => answeredPerSecond),
    row('purchases in a block on every node', 'purchases/s', ({ everywherePerSecond }) => everywherePerSecond),
    row(
      'to submitted, median',
      'ms',
      time(50, ({ answered }) => answered),
    ),
    row(
      'to submitted, 99 %',
      'ms',
      time(99, ({ answered }) => answered),
    ),
    row(
      'to a block on every node, median',
      'ms',
      time(50, ({ everywhere }) => everywhere),
    ),
    row(
      'to a block on every node, 99 %',
      'ms',
      time(99, ({ everywhere }) => everywhere),
    ),
  ]
}

function purchase(n: number) {
  const timestamp = '2026-11-21T12:00:00.000Z'
  const names = { buyer: `buyer${n % 200}`, seller: 'shop', asset_name: 'a thing with a name' }
  return { tx_id: `p${n}`, ...names, asset_id: `asset${n}`, price: '12.34', timestamp }
}

// ---- the town ----

interface Town {
  readonly nodes: readonly NodeProcess[]
  readonly gatewayPort: number
}

function folder(path: string): string {
  mkdirSync(path)
  return path
}

async function measured(submit: (town: Town, watch: Watch) => Promise<Map<string, number>>): Promise<Outcome> {
  const home = temporaryFolder()
  const running: NodeProcess[] = []
  try {
    for (let n = 0; n < nodesCount; n++) {
      const peers = running.map(({ ready }) => `127.0.0.1:${ready.port}`).join()
      const flags = [
        '--plugins',
        'pow,tcp,sqlite',
        '--port',
        '0',
        '--difficulty',
        '2',
        // One mines: miners that race on one machine are measured against each other.
        ...(n > 0 ? ['--peers', peers, '--pow.mine=false'] : []),
      ]
      running.push(await startNode(folder(`${home}/n${n}`), ...flags))
    }
    const peers = running.map(({ ready }) => `127.0.0.1:${ready.port}`).join()
    const flags = ['--plugins', 'gateway,tcp,sqlite', '--port', '0', '--gateway.port', '0', '--peers', peers]
    const gate = await startNode(folder(`${home}/gate`), ...flags, '--gateway.requests-per-second-max', '100000')
    running.push(gate)
    const listeners = (gate.ready as unknown as { listeners: { plugin: string; port: number }[] }).listeners
    const gatewayPort = listeners.find(({ plugin }) => plugin === 'gateway')!.port
    await nodesReached(gatewayPort)
    const nodes = running.slice(0, nodesCount)
    const watch = await Watch.open(nodes.map(({ ready }) => ready.port))
    const startedAt = performance.now()
    const answeredAt = await submit({ nodes, gatewayPort }, watch)
    const answeredEnd = performance.now()
    await watch.complete(answeredAt.size)
    const everywhereEnd = performance.now()
    watch.close()
    return {
      times: [...answeredAt].map(([id, answered]) => ({
        answered: answered - watch.sentAt.get(id)!,
        everywhere: watch.everywhereAt.get(id)! - watch.sentAt.get(id)!,
      })),
      answeredPerSecond: (answeredAt.size / (answeredEnd - startedAt)) * 1_000,
      everywherePerSecond: (answeredAt.size / (everywhereEnd - startedAt)) * 1_000,
    }
  } finally {
    for (const node of running.toReversed()) await node.stop()
    removeFolder(home)
  }
}

async function nodesReached(port: number): Promise<void> {
  const client = await FrameClient.open(port)
  while (Number((await client.ask({ action: 'health' }))['nodes']) < nodesCount) await Bun.sleep(50)
  client.close()
}

/** Each connection has one request in flight. */
async function flood<C, T extends { readonly tx_id: string }>(
  clients: readonly C[],
  all: readonly T[],
  watch: Watch,
  submit: (client: C, one: T) => Promise<void>,
): Promise<Map<string, number>> {
  const answeredAt = new Map<string, number>()
  let next = 0
  await Promise.all(
    clients.map(async (client) => {
      for (let one = all[next++]; one !== undefined; one = all[next++]) {
        watch.sentAt.set(one.tx_id, performance.now())
        await submit(client, one)
        answeredAt.set(one.tx_id, performance.now())
      }
    }),
  )
  return answeredAt
}

interface Recorded {
  readonly index: number
  readonly prev_hash: string
  readonly current_hash: string
  readonly transactions: readonly { readonly nonce?: number; readonly data: { readonly tx_id?: string } }[]
}

/** Looks which transactions stand in a block of every node. */
class Watch {
  readonly sentAt = new Map<string, number>()
  readonly everywhereAt = new Map<string, number>()
  readonly #clients: readonly LineClient[]
  readonly #seenBy = new Map<string, Set<LineClient>>()
  #following = true

  private constructor(clients: readonly LineClient[]) {
    this.#clients = clients
  }

  static async open(ports: readonly number[]): Promise<Watch> {
    const watch = new Watch(await Promise.all(ports.map((port) => LineClient.open(port))))
    for (const client of watch.#clients) void watch.#follow(client)
    return watch
  }

  async complete(count: number): Promise<void> {
    while (this.everywhereAt.size < count) await Bun.sleep(pollMilliseconds)
  }

  close(): void {
    this.#following = false
    for (const client of this.#clients) client.close()
  }

  /** Follows one node's chain, back again where it was reorganised: miners that race do that often. */
  async #follow(client: LineClient): Promise<void> {
    const hashes: string[] = []
    let from = 1
    while (this.#following) {
      const answer = await client.ask({ type: 'block_request', from, to: from + 20 }).catch(() => undefined)
      const blocks = (answer?.['blocks'] ?? []) as readonly Recorded[]
      if (blocks.length === 0) await Bun.sleep(pollMilliseconds)
      for (const { index, prev_hash, current_hash, transactions } of blocks) {
        if (index > 1 && hashes[index - 1] !== prev_hash) {
          from = Math.max(1, from - reorganisationMax)
          break
        }
        hashes[index] = current_hash
        from = index + 1
        // What goes straight to a node is known by its nonce.
        for (const { data, nonce } of transactions) this.#note(data.tx_id ?? `p${nonce}`, client)
      }
      // A head that was replaced shows in the block above it, or here.
      if (blocks.length === 0 && from > 1) from = Math.max(1, from - 1)
    }
  }

  #note(id: string, client: LineClient): void {
    const seen = this.#seenBy.get(id) ?? new Set()
    this.#seenBy.set(id, seen.add(client))
    if (seen.size === this.#clients.length && !this.everywhereAt.has(id)) this.everywhereAt.set(id, performance.now())
  }
}
