// What attackers cost honest clients: the same load with and without each attack, on one real node (or, see gateway.ts, on
// a gateway and two nodes).
//   bun test/attack/attack.ts [kind ...]
// Demanded: honest transactions keep 95 % of their rate, memory grows by less than 64 MiB, attackers are gone in time.
import { join } from 'node:path'
import { keyPairOfPem, privatePemOf } from '../../core/chain/keys.ts'
import { signTransaction } from '../../core/chain/transaction.ts'
import { LineClient } from '../support/lines.ts'
import { cleanEnvironment, removeFolder, startNode, temporaryFolder, type NodeProcess } from '../support/process.ts'
import { gatewayUnderAttack } from './gateway.ts'
import { memoryGrowthMax, residentBytes } from './memory.ts'

/** Milliseconds after which a connection of an attacker must be gone, beside what a close takes on a busy machine. */
const goneAfter: Readonly<Record<string, number>> = {
  slow: 5_000,
  idle: 5_000,
  junk: 5_000,
  signatures: 5_000,
  headers: 5_000,
  height: 10_000,
  addresses: 5_000,
}
const graceMilliseconds = 1_000
const attackMilliseconds = 13_000
const baselineMilliseconds = 5_000
const honestPerSecond = 400
const honestConnections = 4
const rateShareMin = 0.95
/** What the collector gives back within this time after an attack was rubbish and no growth; its peak is printed beside. */
const settleMilliseconds = 10_000
/** Before the measurement: a program that just started still grows. */
const warmUpTransactions = 4_000

interface Report {
  readonly opened: number
  readonly open: number
  readonly longest: number
  readonly codes: Record<string, number>
}

const key = keyPairOfPem(privatePemOf(new Uint8Array(32).fill(3)), 'test key')
let made = 0
const pause = (time: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, time))

/** Honest clients that submit at a steady rate, whatever becomes of their answers. */
class Load {
  acknowledged = 0
  offered = 0
  readonly #clients: readonly LineClient[]
  readonly #chainId: string

  constructor(clients: readonly LineClient[], chainId: string) {
    this.#clients = clients
    this.#chainId = chainId
  }

  offer(): void {
    this.offered++
    const client = this.#clients[this.offered % this.#clients.length]!
    const question = { type: 'NEW_TRANSACTION', ...signTransaction(key, this.#chainId, { n: made++ }, made) }
    void this.#note(client.ask(question))
  }

  async #note(asked: Promise<Record<string, unknown>>): Promise<void> {
    const answer = await asked.catch(() => undefined)
    if (answer?.['type'] === 'MINING_STARTED') this.acknowledged++
  }

  /** Transactions acknowledged a second, over so many milliseconds of offering. */
  async run(milliseconds: number): Promise<number> {
    const [began, before, offeredBefore] = [performance.now(), this.acknowledged, this.offered]
    for (;;) {
      const passed = performance.now() - began
      if (passed >= milliseconds) break
      const due = Math.floor((passed / 1_000) * honestPerSecond)
      while (this.offered - offeredBefore < due) this.offer()
      await pause(5)
    }
    return ((this.acknowledged - before) / milliseconds) * 1_000
  }
}

async function launch(kind: string, node: NodeProcess, home: string): Promise<Report> {
  const { port, chain_id } = node.ready
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, 'attacker.ts'), kind, `${port}`, chain_id, `${attackMilliseconds}`],
    { env: cleanEnvironment(home), stdin: 'ignore', stdout: 'pipe', stderr: 'inherit' },
  )
  return JSON.parse(await child.stdout.text()) as Report
}

/** How much more memory the node holds than before, while its honest clients go on. */
async function settledGrowth(node: NodeProcess, before: number, load: Load): Promise<number> {
  const end = performance.now() + settleMilliseconds
  let growth = residentBytes(node) - before
  while (growth >= memoryGrowthMax && performance.now() < end) {
    await load.run(250)
    growth = residentBytes(node) - before
  }
  return growth
}

/** What was not as demanded. */
async function underAttack(kind: string): Promise<string[]> {
  const home = temporaryFolder()
  const node = await startNode(
    home,
    '--port',
    '0',
    '--difficulty',
    '1',
    '--limits.mempool_sender_transactions_max',
    '9000',
  )
  try {
    const clients = await Promise.all(Array.from({ length: honestConnections }, () => LineClient.open(node.ready.port)))
    const load = new Load(clients, node.ready.chain_id)
    for (let i = 0; i < warmUpTransactions; i++) {
      load.offer()
      if (i % 100 === 0) await pause(10)
    }
    while (load.acknowledged < warmUpTransactions) await pause(5)
    const before = await load.run(baselineMilliseconds)
    const memoryBefore = residentBytes(node)
    const attack = launch(kind, node, home)
    const during = await load.run(attackMilliseconds)
    const report = await attack
    const peak = residentBytes(node) - memoryBefore
    const growth = await settledGrowth(node, memoryBefore, load)
    const share = during / before
    const figures = `${before.toFixed(0)} -> ${during.toFixed(0)} tx/s (${(100 * share).toFixed(1)} %), ${(growth / 2 ** 20).toFixed(1)} MiB (${(peak / 2 ** 20).toFixed(1)})`
    const codes = Object.entries(report.codes).map(([code, count]) => `${code} ${count}`)
    console.log(
      `${kind.padEnd(11)} ${figures}; connections ${report.opened}, longest ${report.longest} ms, left ${report.open}; ${codes.join(', ')}`,
    )
    const wrong: string[] = []
    if (share < rateShareMin) wrong.push(`honest clients kept ${(100 * share).toFixed(1)} % of their rate`)
    if (growth >= memoryGrowthMax) wrong.push(`memory grew by ${(growth / 2 ** 20).toFixed(1)} MiB`)
    if (report.opened === 0) wrong.push('the attack never began')
    const limit = goneAfter[kind]! + graceMilliseconds
    if (report.longest > limit) wrong.push(`an attacker was connected for ${report.longest} ms, at most ${limit}`)
    if ((await node.stop()) !== 0) wrong.push('the node did not stop in order')
    return wrong
  } finally {
    await node.kill()
    removeFolder(home)
  }
}

const asked = process.argv.slice(2)
const failures: string[] = []
const chosen = [...Object.keys(goneAfter), 'gateway'].filter((kind) => asked.length === 0 || asked.includes(kind))
for (const kind of chosen) {
  const wrong = kind === 'gateway' ? await gatewayUnderAttack() : await underAttack(kind)
  if (wrong.length > 0) failures.push(`${kind}: ${wrong.join('; ')}`)
}
for (const failure of failures) console.log(`FAILED ${failure}`)
console.log(`${chosen.length - failures.length} passed, ${failures.length} failed`)
process.exit(failures.length === 0 ? 0 : 1)
