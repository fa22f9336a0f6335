// Four nodes as processes, each connected with all others, and how long until a transaction can no longer be undone: one
// at a time on a chain that is idle, so that no block time is waited for; then as many at once as they take.
import { addressesOf, makeGenesis, makeKeys, type Authority } from '../support/authorities.ts'
import { Cluster } from '../support/cluster.ts'
import { LineClient } from '../support/lines.ts'
import { removeFolder, temporaryFolder } from '../support/process.ts'
import { signMany, submitAll } from './load.ts'
import { percentile, type Row } from './row.ts'

const nodesCount = 4
const singleCount = 150
const floodCount = 4_000
const blockSeconds = 0.1
/** Longer than the block time. */
const idleMilliseconds = 130
/** Of miners, whose genesis has no block time here: the pause that every producer makes. */
const pauseSeconds = 0.02

interface Setup {
  readonly name: string
  readonly plugins: string
  /** Whether blocks become final: otherwise being recorded is all there is. */
  readonly final: boolean
  /** What is measured: blocks of an engine whose nodes agree are final when they are recorded. */
  readonly stages: readonly ('recorded' | 'final')[]
  readonly genesis: (authorities: readonly Authority[]) => readonly string[]
  readonly flags?: (place: number) => readonly string[]
}

/** Miners that race on one machine would be measured against each other. */
const oneMines = (place: number): string[] => (place === 0 ? [] : ['--pow.mine=false'])

const setups: readonly Setup[] = [
  {
    name: 'poa',
    plugins: 'poa,tcp,sqlite',
    final: false,
    stages: ['recorded'],
    genesis: (all) => ['--consensus', 'poa', '--authorities', addressesOf(all), '--block-time', String(blockSeconds)],
  },
  {
    name: 'poa + finality',
    plugins: 'poa,finality,tcp,sqlite',
    final: true,
    stages: ['recorded', 'final'],
    genesis: (all) => [
      '--consensus',
      'poa',
      '--finality',
      '--authorities',
      addressesOf(all),
      '--block-time',
      String(blockSeconds),
    ],
  },
  {
    name: 'pow + finality',
    plugins: 'pow,finality,tcp,sqlite',
    final: true,
    stages: ['recorded', 'final'],
    genesis: (all) => ['--consensus', 'pow', '--difficulty', '2', '--finality', '--authorities', addressesOf(all)],
    flags: oneMines,
  },
  {
    name: 'bft',
    plugins: 'bft,tcp,sqlite',
    final: true,
    stages: ['final'],
    genesis: (all) => ['--consensus', 'bft', '--authorities', addressesOf(all), '--block-time', String(blockSeconds)],
  },
]

export async function finality(): Promise<Row[]> {
  const rows: Row[] = []
  for (const setup of setups) rows.push(...(await measured(setup)))
  return rows
}

async function measured(setup: Setup): Promise<Row[]> {
  const folder = temporaryFolder()
  const authorities = await makeKeys(folder, nodesCount)
  const genesis = await makeGenesis(folder, ...setup.genesis(authorities))
  const cluster = await Cluster.start({
    count: nodesCount,
    args: ['--plugins', setup.plugins, '--genesis', genesis],
    argsOf: (place) => ['--key', authorities[place]!.path, ...(setup.flags?.(place) ?? [])],
    peersOf: (place) => [...Array(place).keys()],
  })
  try {
    await cluster.connected(nodesCount - 1)
    return [...rowsOfSingles(setup, await singles(setup, cluster)), ...rowsOfFlood(setup, await flood(setup, cluster))]
  } catch (error) {
    throw new Error(`${setup.name}: ${String(error)}\n${cluster.report()}`, { cause: error })
  } finally {
    await cluster.dispose()
    removeFolder(folder)
  }
}

/** Of one transaction, milliseconds from its sending, at the node that it was sent to. */
interface Times {
  /** Durable there. */
  readonly accepted: number
  readonly recorded: number
  readonly final: number
}

async function singles({ final }: Setup, { nodes }: Cluster): Promise<Times[]> {
  const clients = await Promise.all(nodes.map(({ port }) => LineClient.open(port)))
  const times: Times[] = []
  for (const [n, transaction] of signMany(nodes[0]!.ready.chain_id, singleCount).entries()) {
    await Bun.sleep(idleMilliseconds)
    const client = clients[n % clients.length]!
    const sentAt = performance.now()
    const { tx_hash } = await client.ask({ type: 'NEW_TRANSACTION', ...transaction })
    const accepted = performance.now() - sentAt
    let recorded: number | undefined
    for (;;) {
      const { status } = await client.ask({ type: 'transaction_status', tx_hash })
      if (status === 'included' || status === 'final') recorded ??= performance.now() - sentAt
      if (status === 'final' || (!final && recorded !== undefined)) break
      await Bun.sleep(1)
    }
    const doneAt = performance.now() - sentAt
    times.push({ accepted, recorded: recorded ?? doneAt, final: doneAt })
  }
  for (const client of clients) client.close()
  return times
}

function rowsOfSingles({ name, stages }: Setup, times: readonly Times[]): Row[] {
  return stages.flatMap((stage) =>
    [50, 99].map((percent) => ({
      name: `${name}: one from idle to ${stage}, ${percent === 50 ? 'median' : `${percent} %`}`,
      figure: percentile(
        times.map((one) => one[stage]),
        percent,
      ),
      unit: 'ms',
      reference: 'to accepted',
      referenceFigure: percentile(
        times.map(({ accepted }) => accepted),
        percent,
      ),
    })),
  )
}

interface Flood {
  readonly acceptedPerSecond: number
  readonly transactionsPerSecond: number
  readonly blocksPerSecond: number
}

async function flood({ final }: Setup, { nodes }: Cluster): Promise<Flood> {
  const client = await LineClient.open(nodes[0]!.port)
  const { height: before } = await client.ask({ type: 'chain_info' })
  const all = signMany(nodes[0]!.ready.chain_id, floodCount, singleCount)
  const startedAt = performance.now()
  const share = Math.ceil(floodCount / nodes.length)
  const accepted = await Promise.all(
    nodes.map(({ port }, place) => submitAll(port, all.slice(place * share, (place + 1) * share), 1, 16)),
  )
  const settled = final ? 'final' : 'included'
  const height = await lastOf(client, all.length + singleCount, settled)
  const seconds = (performance.now() - startedAt) / 1_000
  client.close()
  return {
    acceptedPerSecond: accepted.reduce((sum, one) => sum + one, 0),
    transactionsPerSecond: floodCount / seconds,
    blocksPerSecond: (height - Number(before)) / seconds,
  }
}

/** Waits until the chain holds so many transactions, and the last of them is settled; returns its height then. */
async function lastOf(client: LineClient, count: number, settled: string): Promise<number> {
  let seen = 0
  let from = 1
  let last: string | undefined
  while (seen < count) {
    const answer = await client.ask({ type: 'block_request', from, to: from + 20 })
    const blocks = answer['blocks'] as readonly { readonly index: number; readonly transactions: readonly object[] }[]
    if (blocks.length === 0) await Bun.sleep(5)
    for (const { index, transactions } of blocks) {
      seen += transactions.length
      from = index + 1
      if (transactions.length > 0) last = JSON.stringify(index)
    }
  }
  for (;;) {
    const info = await client.ask({ type: 'chain_info' })
    const { index } = (info['final'] ?? { index: 0 }) as { readonly index: number }
    if (settled === 'included' || index >= Number(last)) return Number(info['height'])
    await Bun.sleep(2)
  }
}

function rowsOfFlood({ name, final, flags }: Setup, one: Flood): Row[] {
  const seconds = flags === undefined ? blockSeconds : pauseSeconds
  const row = (what: string, figure: number, reference: string, referenceFigure: number): Row => ({
    name: `${name}: ${what}`,
    figure,
    unit: `${what.split(' ')[0]}/s`,
    reference,
    referenceFigure,
  })
  return [
    row(
      `transactions ${final ? 'final' : 'recorded'}`,
      one.transactionsPerSecond,
      'accepted by the four',
      one.acceptedPerSecond,
    ),
    row('blocks', one.blocksPerSecond, `one each ${seconds * 1_000} ms`, 1 / seconds),
  ]
}
