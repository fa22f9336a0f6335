// How long a transaction and a block take to reach all: of six processes on loopback, each with its ledger on disk, and
// of twenty whole nodes in this process, where every hop verifies. Beside them, in the same run, what sockets alone take.
import { developmentGenesis } from '../../core/chain/genesis.ts'
import { transactionHash } from '../../core/chain/transaction.ts'
import { Cluster } from '../support/cluster.ts'
import { LineClient } from '../support/lines.ts'
import { StrangerPeer } from '../support/strangerpeer.ts'
import { blockOn } from '../support/chainworld.ts'
import { Dice } from '../sim/dice.ts'
import { Arrivals } from './arrivals.ts'
import { BareFlood } from './bareflood.ts'
import { meanPeers, randomDials } from './graph.ts'
import { signMany } from './load.ts'
import { LoopbackNodes } from './loopback.ts'
import { percentile, type Row } from './row.ts'

const rounds = 300
/** The first ones warm the compiler up. */
const roundsDropped = 100
/** From idle nothing is held back to be gathered with what follows (talk.ts). */
const pauseMilliseconds = 60
const processes = 6
const nodes = 20
const dials = [4, 8] as const
/** About as long as a block of one transaction in short. */
const bareBytes = 1_000
const seed = 1

export async function propagation(): Promise<Row[]> {
  return [...(await betweenProcesses()), ...(await inOneProcess())]
}

/** What was measured in each round, in milliseconds. */
class Series {
  readonly #values: number[] = []

  add(milliseconds: number): void {
    this.#values.push(milliseconds)
  }

  at(percent: number): number {
    return percentile(this.#values.slice(roundsDropped), percent)
  }
}

const rowsOf = (name: string, percents: readonly number[], ours: Series, reference: string, bare: Series): Row[] =>
  percents.map((percent) => ({
    name: `${name}, ${percent === 50 ? 'median' : `p${percent}`}`,
    figure: ours.at(percent),
    unit: 'ms',
    reference,
    referenceFigure: bare.at(percent),
  }))

// ---- processes ----

/**
 * From the first node that has it to the last, as peers of another make hear it, one at each node. Every node knows
 * every other, as nodes that were told of each other soon do.
 */
async function betweenProcesses(): Promise<Row[]> {
  const genesis = developmentGenesis('pow', { difficulty: 1 })
  const { chainId } = genesis.rules
  const cluster = await Cluster.start({
    count: processes,
    args: ['--plugins', 'pow,tcp,sqlite', '--difficulty', '1', '--pow.mine=false'],
    peersOf: (place) => Array.from({ length: place }, (_, other) => other),
  })
  const echo = await BareEcho.start()
  try {
    await cluster.connected(processes - 1)
    const arrivals = new Arrivals(processes, () => performance.now())
    const observers = cluster.nodes.map(({ port }, place) => observerAt(port, chainId, arrivals, place))
    await Promise.all(observers.map(({ shaken }) => shaken))
    const clients = await Promise.all(cluster.nodes.map(({ port }) => LineClient.open(port)))
    const [transactions, blocks, bare] = [new Series(), new Series(), new Series()]
    let parent = genesis.block
    for (const [n, transaction] of signMany(chainId, rounds).entries()) {
      clients[n % processes]!.tell({ type: 'NEW_TRANSACTION', ...transaction })
      transactions.add(spanOf(await arrivals.everywhere(transactionHash(transaction, chainId))))
      await Bun.sleep(pauseMilliseconds)
      parent = blockOn(parent, { transactions: [transaction] })
      const message = { type: 'new_block', node_id: observers[0]!.nodeId, data: parent }
      clients[(n + 1) % processes]!.tell(message)
      blocks.add(spanOf(await arrivals.everywhere(parent.current_hash)))
      await Bun.sleep(pauseMilliseconds)
      bare.add(await echo.roundTrip(JSON.stringify(message).length))
    }
    for (const one of [...observers, ...clients]) one.close()
    const reference = 'a bare line to a process and back'
    return [
      ...rowsOf(`a transaction from one process to ${processes - 1} others`, [50, 99], transactions, reference, bare),
      ...rowsOf(`a block from one process to ${processes - 1} others`, [50, 99], blocks, reference, bare),
    ]
  } finally {
    echo.stop()
    await cluster.dispose()
  }
}

const spanOf = (times: readonly number[]): number => times.at(-1)! - times[0]!

function observerAt(port: number, chainId: string, arrivals: Arrivals, place: number): StrangerPeer {
  return new StrangerPeer(port, {
    chainId,
    hear(message, peer) {
      if (message['type'] === 'ping') peer.send({ type: 'pong', request_id: message['request_id'] })
      if (message['type'] === 'new_block')
        arrivals.note((message['data'] as { current_hash: string }).current_hash, place)
      if (message['type'] === 'tx_announce')
        for (const hash of message['hashes'] as string[]) arrivals.note(hash, place)
    },
  })
}

/** A process that sends back what it is sent. */
class BareEcho {
  readonly #child: Bun.Subprocess
  readonly #client: LineClient

  private constructor(child: Bun.Subprocess, client: LineClient) {
    this.#child = child
    this.#client = client
  }

  static async start(): Promise<BareEcho> {
    const program = `const { port } = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: {
      data: (socket, bytes) => void socket.write(bytes) } }); console.log(port)`
    const child = Bun.spawn([process.execPath, '-e', program], { stdout: 'pipe' })
    const { value } = await child.stdout.getReader().read()
    return new BareEcho(child, await LineClient.open(Number(Buffer.from(value!).toString())))
  }

  async roundTrip(bytes: number): Promise<number> {
    const filling = 'x'.repeat(bytes)
    const began = performance.now()
    await this.#client.ask({ filling })
    return performance.now() - began
  }

  stop(): void {
    this.#client.close()
    this.#child.kill()
  }
}

// ---- one process ----

/** From the moment when one node is given it, not verified yet, to the moment when the last of all has it. */
async function inOneProcess(): Promise<Row[]> {
  const dice = new Dice(`${seed}/propagation`)
  const anyNode = (): number => dice.between(0, nodes - 1)
  const network = await LoopbackNodes.start(randomDials(nodes, dials, dice))
  const neighbours = network.neighbours()
  const peers = meanPeers(neighbours)
  const flood = await BareFlood.start(neighbours, bareBytes)
  const [transactions, blocks, bare] = [new Series(), new Series(), new Series()]
  for (const transaction of signMany(network.chainId, rounds)) {
    transactions.add(await network.passTransaction(transaction, anyNode()))
    await Bun.sleep(pauseMilliseconds)
    blocks.add(await network.passBlock([transaction], anyNode()))
    await Bun.sleep(pauseMilliseconds)
    bare.add(await flood.pass(anyNode()))
  }
  flood.stop()
  await network.stop()
  const where = `to all of ${nodes} nodes in one process, ${peers.toFixed(1)} peers each`
  const reference = 'bare lines over the same graph'
  return [
    ...rowsOf(`a transaction ${where}`, [50, 95, 99], transactions, reference, bare),
    ...rowsOf(`a block ${where}`, [50, 95, 99], blocks, reference, bare),
  ]
}
