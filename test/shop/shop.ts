// A shop with everything that it needs, as real processes: three nodes, a gateway, the server that is told of recorded
// blocks, and the program that plays a day. What runs beside the nodes is written in Python from the protocol alone.
import { afterAll, beforeAll } from 'bun:test'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Cluster, freePort } from '../support/cluster.ts'
import {
  aurex,
  cleanEnvironment,
  removeFolder,
  startNode,
  temporaryFolder,
  type NodeProcess,
} from '../support/process.ts'

const here = import.meta.dir
export const dayFile = join(here, '../vectors/purchases/uci-online-retail-2011-02-06.csv')

/** What the listener was told, a line each. */
export interface Told {
  readonly type: string
  readonly block_index: number
  readonly block_hash: string
  readonly transactions?: readonly { readonly data: { readonly tx_id?: string } }[]
}

export interface Summary {
  readonly lines: number
  readonly taken: number
  readonly refused: number
  readonly retries: number
}

type Program = Bun.Subprocess<'ignore', 'pipe', 'pipe'>

export class Shop {
  readonly cluster: Cluster
  readonly #folder: string
  readonly #gatewayPort: number
  readonly #listenerPort: number
  #gateway: NodeProcess | undefined
  #gatewayLog = ''
  #listener: Program | undefined

  private constructor(folder: string, cluster: Cluster, gatewayPort: number, listenerPort: number) {
    this.#folder = folder
    this.cluster = cluster
    this.#gatewayPort = gatewayPort
    this.#listenerPort = listenerPort
  }

  static async open(): Promise<Shop> {
    const folder = temporaryFolder()
    const genesis = await shopGenesis(folder)
    const [gatewayPort, listenerPort] = [await freePort(), await freePort()]
    const target = `gateway://127.0.0.1:${gatewayPort}`
    const cluster = await Cluster.start({
      count: 3,
      args: ['--plugins', 'pow,market,notifier,tcp,sqlite', '--genesis', genesis, '--notifier.targets', target],
    })
    const shop = new Shop(folder, cluster, gatewayPort, listenerPort)
    try {
      await shop.startListener()
      await shop.startGateway()
    } catch (error) {
      await shop.close()
      throw error
    }
    return shop
  }

  async startGateway(): Promise<void> {
    const home = join(this.#folder, 'gateway')
    mkdirSync(home, { recursive: true })
    const peers = this.cluster.nodes.map(({ address }) => address).join(',')
    this.#gatewayLog += this.#gateway?.log() ?? ''
    const gateway = ['--gateway.port', String(this.#gatewayPort), '--gateway.attest=true']
    const told = ['--notifier.port', String(this.#listenerPort)]
    const key = ['--key', join(this.#folder, 'gateway.pem')]
    const plugins = ['--plugins', 'gateway,notifier,tcp,sqlite']
    this.#gateway = await startNode(home, ...plugins, ...key, ...gateway, ...told, '--port', '0', '--peers', peers)
  }

  async killGateway(): Promise<void> {
    await this.#gateway?.kill()
  }

  async startListener(): Promise<void> {
    const listener = python('listener.py', this.#toldFile, String(this.#listenerPort))
    this.#listener = listener
    const { done } = await listener.stdout.getReader().read()
    if (done) throw new Error(`the listener did not start: ${await listener.stderr.text()}`)
  }

  async killListener(): Promise<void> {
    this.#listener?.kill('SIGKILL')
    await this.#listener?.exited
  }

  /** Plays a file to its end; the result is known when every line was answered. */
  async play(file: string, secondsBetween = 0): Promise<Summary> {
    const player = python('replay.py', file, '127.0.0.1', String(this.#gatewayPort), String(secondsBetween))
    const [stdout, stderr, code] = await Promise.all([player.stdout.text(), player.stderr.text(), player.exited])
    const said = stdout.trimEnd().split('\n')
    if (code !== 0) throw new Error(`replay.py ended with ${code}:\n${stderr}\n${this.report()}`)
    const summary = JSON.parse(said.at(-1)!) as Summary
    const refused = said.filter((line) => line.includes('"failed"'))
    if (refused.length > 0) throw new Error(`refused:\n${refused.slice(0, 5).join('\n')}\n${this.report()}`)
    return summary
  }

  told(): Told[] {
    if (!existsSync(this.#toldFile)) return []
    const lines = readFileSync(this.#toldFile, 'utf8').trimEnd().split('\n')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Told)
  }

  /** Waits until so many transactions are recorded on every node, on one chain, and the listener was told of its head. */
  async settled(transactions: number, millisecondsMax: number): Promise<void> {
    const { cluster } = this
    const recorded = () => cluster.nodes.every((node) => node.rows().length >= transactions)
    await cluster.until(`${transactions} transactions on each node`, recorded, millisecondsMax).catch(this.#withReport)
    await cluster.agreed(cluster.nodes, millisecondsMax)
    const isTold = () => untold(this.told(), cluster.nodes[0]!.blocks()).length === 0
    await cluster.until('every block told', isTold, millisecondsMax).catch(this.#withReport)
  }

  /** What `sum.py` finds when it compares the ledgers with the file. */
  compare(file: string): { readonly lines: number; readonly differences: readonly string[] } {
    const ledgers = this.cluster.nodes.map(({ ready }) => ready.ledger)
    const compared = Bun.spawnSync(['python3', join(here, 'sum.py'), file, '0', ...ledgers])
    if (compared.exitCode !== 0) throw new Error(compared.stderr.toString())
    return JSON.parse(compared.stdout.toString()) as { lines: number; differences: string[] }
  }

  report(): string {
    const log = (this.#gatewayLog + (this.#gateway?.log() ?? '')).trimEnd().split('\n').slice(-25).join('\n')
    const told = this.told()
      .slice(-10)
      .map(({ type, block_index, block_hash }) => `${type} ${block_index} ${block_hash}`)
    return `--- gateway\n${log}\n--- told last\n${told.join('\n')}`
  }

  async close(): Promise<void> {
    await this.killListener()
    await this.killGateway()
    await this.cluster.dispose()
    removeFolder(this.#folder)
  }

  get #toldFile(): string {
    return join(this.#folder, 'told.ndjson')
  }

  #withReport = (error: unknown): never => {
    throw new Error(`${String(error)}\n${this.report()}`)
  }
}

/** A genesis of a market whose only gateway has the key that is made beside it. Returns its path. */
async function shopGenesis(folder: string): Promise<string> {
  const made = await aurex(folder, 'key', 'new', '--out', 'gateway.pem', '--json')
  const { address } = JSON.parse(made.stdout) as { address: string }
  const what = ['--name', 'shop', '--consensus', 'pow', '--difficulty', '3', '--application', 'market']
  const written = await aurex(folder, 'genesis', ...what, '--gateways', address, '--out', 'genesis.toml')
  if (written.code !== 0) throw new Error(written.stderr)
  return join(folder, 'genesis.toml')
}

function python(program: string, ...args: string[]): Program {
  return Bun.spawn(['python3', join(here, program), ...args], {
    env: cleanEnvironment(here),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
}

/** The file of the day and, behind it, returns: every so-many-th of its lines once more, with a negative quantity. */
function dayWithReturns(folder: string, every: number): string {
  const [head, ...lines] = readFileSync(dayFile, 'utf8').trimEnd().split(/\r?\n/)
  const returns = lines.filter((_line, at) => at % every === 0).map(returned)
  const path = join(folder, 'day.csv')
  writeFileSync(path, `${[head, ...lines, ...returns].join('\n')}\n`)
  return path
}

/** `543272,82494L,NAME,6,...` as `C543272,82494L,NAME,-6,...`, as the shop that the file is of writes it. */
function returned(line: string): string {
  const turned = line.replace(/^(.*?),(\d+),(\d{4}-\d\d-\d\d .*)$/, 'C$1,-$2,$3')
  if (turned === line) throw new Error(`not a line of a purchase: ${line}`)
  return turned
}

/** Hashes of recorded blocks, block 0 aside, of which the last word was not that they are recorded. */
export function untold(told: readonly Told[], blocks: readonly string[]): string[] {
  const last = new Map(told.map(({ block_hash, type }) => [block_hash, type]))
  return blocks.slice(1).filter((hash) => last.get(hash) !== 'block_confirmation')
}

/** Hashes that the listener holds for recorded, and which are not. */
export function overtold(told: readonly Told[], blocks: readonly string[]): string[] {
  const last = new Map(told.map(({ block_hash, type }) => [block_hash, type]))
  return [...last]
    .filter(([hash, type]) => type === 'block_confirmation' && !blocks.includes(hash))
    .map(([hash]) => hash)
}

/** Heights of the recorded blocks in the order in which they were told for the first time. */
export function heightsInOrder(told: readonly Told[], blocks: readonly string[]): number[] {
  const recorded = new Set(blocks)
  const heights = told
    .filter(({ type, block_hash }) => type === 'block_confirmation' && recorded.has(block_hash))
    .map(({ block_index }) => block_index)
  return [...new Set(heights)]
}

/** For a test file: one shop and one day of 279 purchases and 28 returns, which the file of that day has none of. */
export function useShop() {
  const folder = temporaryFolder()
  const file = dayWithReturns(folder, 10)
  let shop: Shop
  beforeAll(async () => {
    shop = await Shop.open()
  }, 60_000)
  afterAll(async () => {
    await shop.close()
    removeFolder(folder)
  }, 60_000)
  return {
    file,
    lines: 279 + 28,
    get shop() {
      return shop
    },
  }
}
