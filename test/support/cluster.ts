// Several nodes as real processes that are told of each other, each with a folder of its own.
import { Database } from 'bun:sqlite'
import { randomInt } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { signTransaction, transactionHash } from '../../core/chain/transaction.ts'
import { testKey } from './headers.ts'
import { LineClient, type Answer } from './lines.ts'
import { removeFolder, startNode, temporaryFolder, type NodeProcess } from './process.ts'
import { Wires } from './proxy.ts'

export interface ClusterOptions {
  readonly count: number
  /** Flags of every node. */
  readonly args: readonly string[]
  /** Flags of one node, in every start of it. */
  readonly argsOf?: (place: number) => readonly string[]
  /** Nodes reach each other through proxies only. */
  readonly wired?: boolean
  /** Places of those that a node is told of; by default the one before it. */
  readonly peersOf?: (place: number) => readonly number[]
}

/** A recorded transaction, as a user's query finds it. */
export interface Row {
  readonly tx_hash: string
  readonly block_hash: string
}

/** What the view of blocks shows of a header. */
export interface HeaderRow {
  readonly index: number
  readonly current_hash: string
  readonly miner_id: string
  /** A certificate as JSON. */
  readonly finality: string | null
}

const logLinesShown = 25
const pollMilliseconds = 50

export class Cluster {
  readonly nodes: ClusterNode[] = []
  /** Undefined unless `wired`. */
  readonly wires: Wires | undefined
  /** Ids of the transactions that some node has said to have. */
  readonly acknowledged = new Set<string>()
  readonly #folder = temporaryFolder()
  readonly #options: ClusterOptions
  #submitted = 0

  private constructor(options: ClusterOptions) {
    this.#options = options
    this.wires = options.wired === true ? new Wires() : undefined
  }

  static async start(options: ClusterOptions): Promise<Cluster> {
    const cluster = new Cluster(options)
    try {
      for (let place = 0; place < options.count; place++) await cluster.add()
    } catch (error) {
      await cluster.dispose()
      throw error
    }
    return cluster
  }

  /** Starts one more, with an empty folder. `args`: flags of this start alone. */
  async add(args: readonly string[] = []): Promise<ClusterNode> {
    const place = this.nodes.length
    const name = `n${place}`
    const port = await freePort()
    const front = (await this.wires?.front(name, port)) ?? port
    const told = this.#options.peersOf?.(place) ?? (place === 0 ? [] : [place - 1])
    const peers = told.flatMap((other) => this.nodes[other]?.address ?? [])
    const flags = [...this.#options.args, ...(this.#options.argsOf?.(place) ?? [])]
    if (peers.length > 0) flags.push('--peers', peers.join(','))
    if (front !== port) flags.push('--advertise', `127.0.0.1:${front}`)
    const node = new ClusterNode({ name, port, address: `127.0.0.1:${front}`, folder: join(this.#folder, name), flags })
    this.nodes.push(node)
    await node.start(args)
    this.wires?.know(node.ready.node_id, name)
    return node
  }

  /** Transactions, one after the other, each at the next of these nodes; their ids, once all are acknowledged. */
  async submit(count: number, nodes: readonly ClusterNode[] = this.nodes): Promise<string[]> {
    const hashes: string[] = []
    for (let n = 0; n < count; n++) {
      const hash = await nodes[n % nodes.length]!.submit(this.#submitted++)
      this.acknowledged.add(hash)
      hashes.push(hash)
    }
    return hashes
  }

  /** Waits for a fact. When it does not come, the error shows what every node logged last. */
  async until(what: string, fact: () => boolean | Promise<boolean>, millisecondsMax = 30_000): Promise<void> {
    const deadline = performance.now() + millisecondsMax
    for (;;) {
      const held = await Promise.resolve(fact()).catch(() => false)
      if (held) return
      if (performance.now() > deadline) throw new Error(`not within ${millisecondsMax} ms: ${what}\n${this.report()}`)
      await Bun.sleep(pollMilliseconds)
    }
  }

  /** Waits until these nodes have nothing pending and the same head; then their rows are compared by who calls. */
  async agreed(nodes: readonly ClusterNode[] = this.nodes, millisecondsMax = 30_000): Promise<void> {
    await this.until(
      `the same head on ${nodes.map(({ name }) => name).join(', ')}, and nothing pending`,
      async () => {
        const infos = await Promise.all(nodes.map((node) => node.info()))
        return infos.every(({ head, pending }) => head === infos[0]!['head'] && pending === 0)
      },
      millisecondsMax,
    )
  }

  /** Waits until each of these nodes is connected with so many others. */
  async connected(others: number, nodes: readonly ClusterNode[] = this.nodes): Promise<void> {
    await this.until(`${others} peers each`, () => nodes.every((node) => node.peers() >= others))
  }

  report(): string {
    return this.nodes.map((node) => `--- ${node.name} (${node.address})\n${node.lastLines(logLinesShown)}`).join('\n')
  }

  async dispose(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()))
    this.wires?.close()
    removeFolder(this.#folder)
  }
}

export interface ClusterNodeOptions {
  readonly name: string
  readonly port: number
  /** Where others reach it. */
  readonly address: string
  readonly folder: string
  readonly flags: readonly string[]
}

export class ClusterNode {
  readonly name: string
  readonly port: number
  readonly address: string
  readonly #options: ClusterNodeOptions
  #process: NodeProcess | undefined
  #client: Promise<LineClient> | undefined
  #logBefore = ''

  constructor(options: ClusterNodeOptions) {
    this.#options = options
    this.name = options.name
    this.port = options.port
    this.address = options.address
  }

  get ready(): NodeProcess['ready'] {
    return this.#running.ready
  }

  get #running(): NodeProcess {
    if (this.#process === undefined) throw new Error(`${this.name} was not started`)
    return this.#process
  }

  /** `args`: flags of this start alone. */
  async start(args: readonly string[] = []): Promise<void> {
    const { folder, port, flags } = this.#options
    this.#logBefore = this.log()
    mkdirSync(folder, { recursive: true })
    this.#process = await startNode(folder, '--port', String(port), ...flags, ...args)
  }

  /** TERM. Returns the exit code. */
  async stop(): Promise<number> {
    await this.#hangUp()
    return await this.#running.stop()
  }

  /** KILL, as by a power cut as far as the process is concerned. */
  async kill(): Promise<void> {
    await this.#hangUp()
    await this.#process?.kill()
  }

  /** STOP and CONT: it is still there, and does nothing. */
  pause(): void {
    this.#running.process.kill('SIGSTOP')
  }

  resume(): void {
    this.#running.process.kill('SIGCONT')
  }

  async ask(message: object): Promise<Answer> {
    this.#client ??= LineClient.open(this.port)
    try {
      const client = await this.#client
      if (client.closed) throw new Error(`${this.name} closed the connection`)
      return await client.ask(message)
    } catch (error) {
      this.#client = undefined
      throw error
    }
  }

  info(): Promise<Answer> {
    return this.ask({ type: 'chain_info' })
  }

  /** The n-th transaction of a test; its id, once it is acknowledged. */
  async submit(n: number): Promise<string> {
    // Of many senders: one alone may not fill a mempool.
    const transaction = signTransaction(testKey(1 + (n % 50)), this.ready.chain_id, { n }, n)
    const answer = await this.ask({ type: 'NEW_TRANSACTION', ...transaction })
    if (answer['type'] !== 'MINING_STARTED') throw new Error(`${this.name} refused: ${JSON.stringify(answer)}`)
    return transactionHash(transaction, this.ready.chain_id)
  }

  /** Recorded transactions, by id. */
  rows(): Row[] {
    return this.#query<Row>(
      `SELECT tx_hash, block_hash FROM transactions WHERE status <> 'pending' ORDER BY tx_hash, block_hash`,
    )
  }

  /** Hashes of the recorded blocks, from block 0 up. */
  blocks(): string[] {
    return this.#query<{ current_hash: string }>('SELECT current_hash FROM blocks ORDER BY "index"').map(
      ({ current_hash }) => current_hash,
    )
  }

  /** Of the recorded blocks above block 0. */
  headers(): HeaderRow[] {
    return this.#query<HeaderRow>(
      'SELECT "index", current_hash, miner_id, finality FROM blocks WHERE "index" > 0 ORDER BY "index"',
    )
  }

  /** Node ids of those who made the recorded blocks. */
  miners(): string[] {
    return this.#query<{ miner_id: string }>('SELECT DISTINCT miner_id FROM blocks WHERE "index" > 0').map(
      ({ miner_id }) => miner_id,
    )
  }

  /** How many nodes it is connected with, as its log tells. */
  peers(): number {
    const lines = this.#process?.log() ?? ''
    return count(lines, peerJoined) - count(lines, peerLeft)
  }

  log(): string {
    return this.#logBefore + (this.#process?.log() ?? '')
  }

  lastLines(lines: number): string {
    return this.log().trimEnd().split('\n').slice(-lines).join('\n')
  }

  #query<R>(sql: string): R[] {
    const database = new Database(this.ready.ledger, { readonly: true })
    try {
      return database.query(sql).all() as R[]
    } finally {
      database.close()
    }
  }

  async #hangUp(): Promise<void> {
    const client = await this.#client?.catch(() => undefined)
    client?.close()
    this.#client = undefined
  }
}

const peerJoined = '"a peer joined"'
const peerLeft = '"a peer left"'

const count = (text: string, part: string): number => text.split(part).length - 1

/** Below those that systems give to outgoing connections (32,768 and up), which would take the port of a node that is down. */
const portsFrom = 20_000
const portsTo = 32_000

/** A port that is free. It must be known before the node starts, since its neighbours keep it over restarts. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const port = randomInt(portsFrom, portsTo)
    const server = createServer()
    server.once('error', () => resolve(freePort()))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(port)))
  })
}
