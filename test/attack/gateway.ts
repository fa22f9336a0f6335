// A client that floods a gateway with purchases, good and bad ones, as fast as it is read: what honest clients of the same
// gateway keep of their pace, what the nodes behind it have to do, and what the gateway holds in memory.
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { frameOf, FrameReader } from '../../core/frames.ts'
import { cleanEnvironment, removeFolder, startNode, temporaryFolder, type NodeProcess } from '../support/process.ts'
import { SubmissionCounter } from './counter.ts'
import { memoryGrowthMax, residentBytes } from './memory.ts'

const baselineMilliseconds = 5_000
const attackMilliseconds = 13_000
const settleMilliseconds = 10_000
const honestPerSecond = 150
const rateShareMin = 0.95
/** Before the measurement: a program that just started still grows. */
const warmUpPurchases = 1_000
const pause = (time: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, time))

/** What the attacker says of itself, beside its connections. */
interface FloodReport {
  /** Good purchases that were answered, or were on the way when it ended. */
  readonly purchases: number
  readonly answered: number
  readonly codes: Record<string, number>
}

/** An honest shop, from another address than the attacker. */
class Shop {
  offered = 0
  submitted = 0
  readonly #socket
  readonly #reader = new FrameReader()
  readonly #asked: number[] = []
  waits: number[] = []

  constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.2', noDelay: true })
    this.#socket.on('data', (bytes: Buffer) => this.#take(bytes))
  }

  offer(): void {
    this.#asked.push(performance.now())
    this.#socket.write(frameOf(purchase(`honest-${this.offered++}`))!)
  }

  /** Purchases submitted a second, over so many milliseconds of offering. */
  async run(milliseconds: number): Promise<number> {
    const [began, before, offeredBefore] = [performance.now(), this.submitted, this.offered]
    this.waits = []
    for (;;) {
      const passed = performance.now() - began
      if (passed >= milliseconds) break
      while (this.offered - offeredBefore < Math.floor((passed / 1_000) * honestPerSecond)) this.offer()
      await pause(5)
    }
    return ((this.submitted - before) / milliseconds) * 1_000
  }

  /** Milliseconds from a purchase to its answer, of 95 in 100. */
  get slowest(): number {
    return Math.round(this.waits.toSorted((a, b) => a - b)[Math.floor(this.waits.length * 0.95)] ?? Infinity)
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(bytes: Buffer): void {
    this.#reader.push(bytes)
    for (let body = this.#reader.next(); body !== undefined; body = this.#reader.next()) {
      this.waits.push(performance.now() - this.#asked.shift()!)
      if (JSON.parse(Buffer.from(body).toString()).status === 'submitted') this.submitted++
    }
  }
}

const purchase = (tx_id: string) => ({
  action: 'submit_purchase',
  body: {
    tx_id,
    buyer: 'alice',
    seller: 'bob',
    asset_id: tx_id,
    asset_name: 'A book',
    price: '12.34',
    timestamp: '2026-11-21T01:02:03.456Z',
  },
})

interface World {
  readonly gateway: NodeProcess
  readonly port: number
  readonly counters: readonly SubmissionCounter[]
  readonly stop: () => Promise<void>
}

/** A gateway and two nodes, of which one mines: what both make at once would be sent again. */
async function world(): Promise<World> {
  const homes = [0, 1, 2].map(() => temporaryFolder())
  const counters = [await SubmissionCounter.open(), await SubmissionCounter.open()]
  const processes: NodeProcess[] = []
  for (const [n, counter] of counters.entries()) {
    const peers = n === 0 ? ['--pow.mine=true'] : ['--pow.mine=false', '--peers', `127.0.0.1:${counters[0]!.port}`]
    const limits = ['--limits.mempool_sender_transactions_max', '9000']
    const network = ['--port', '0', '--advertise', `127.0.0.1:${counter.port}`, '--difficulty', '1']
    const node = await startNode(homes[n]!, '--plugins', 'pow,tcp,sqlite', ...network, ...limits, ...peers)
    counter.target = node.ready.port
    processes.push(node)
  }
  const peers = counters.map(({ port }) => `127.0.0.1:${port}`).join(',')
  const kinds = ['--plugins', 'gateway,tcp,sqlite', '--port', '0', '--gateway.port', '0']
  const gateway = await startNode(homes[2]!, ...kinds, '--peers', peers)
  processes.push(gateway)
  const { listeners } = gateway.ready as unknown as { listeners: { plugin: string; port: number }[] }
  return {
    gateway,
    port: listeners.find(({ plugin }) => plugin === 'gateway')!.port,
    counters,
    stop: async () => {
      const codes = await Promise.all(processes.map((node) => node.stop()))
      for (const counter of counters) counter.close()
      homes.forEach(removeFolder)
      if (codes.some((code) => code !== 0)) throw new Error(`the processes ended with ${codes.join(', ')}`)
    },
  }
}

async function flood(port: number): Promise<FloodReport> {
  const script = join(import.meta.dir, 'attacker.ts')
  const child = Bun.spawn([process.execPath, script, 'gateway', `${port}`, '', `${attackMilliseconds}`], {
    env: cleanEnvironment(tmpdir()),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  return JSON.parse(await child.stdout.text()) as FloodReport
}

/** What was not as demanded (threats row 25). */
export async function gatewayUnderAttack(): Promise<string[]> {
  const all = await world()
  const shop = new Shop(all.port)
  try {
    await warmUp(shop)
    return judged(await measured(all, shop))
  } finally {
    shop.close()
    await all.stop()
  }
}

/** A gateway that just started has not met its nodes yet. */
async function warmUp(shop: Shop): Promise<void> {
  const end = performance.now() + 30_000
  while (shop.submitted === 0) {
    if (performance.now() > end) throw new Error('no purchase was submitted within 30 s')
    shop.offer()
    await pause(100)
  }
  for (let n = 0; n < warmUpPurchases; n++) {
    shop.offer()
    if (n % 20 === 0) await pause(50)
  }
  while (shop.waits.length < shop.offered) await pause(5)
}

interface Figures {
  /** Purchases submitted a second. */
  readonly before: number
  readonly during: number
  /** Milliseconds. */
  readonly waitedBefore: number
  readonly waitedDuring: number
  /** Bytes of the gateway: at once, and when rubbish was collected. */
  readonly peak: number
  readonly growth: number
  /** That were good: what the nodes may be sent. */
  readonly requests: number
  /** What each of them was sent. */
  readonly sent: readonly number[]
  readonly report: FloodReport
}

async function measured({ gateway, port, counters }: World, shop: Shop): Promise<Figures> {
  const before = await shop.run(baselineMilliseconds)
  const waitedBefore = shop.slowest
  const [memory, offered, counts] = [residentBytes(gateway), shop.offered, counters.map(({ count }) => count)]
  const attack = flood(port)
  const during = await shop.run(attackMilliseconds)
  const waitedDuring = shop.slowest
  const report = await attack
  // What was in work is sent soon; what is sent again without a request would show here.
  await pause(2_000)
  const sent = counters.map(({ count }, n) => count - counts[n]!)
  const requests = shop.offered - offered + report.purchases
  const peak = residentBytes(gateway) - memory
  const growth = await settled(gateway, memory, shop)
  return { before, during, waitedBefore, waitedDuring, peak, growth, requests, sent, report }
}

async function settled(gateway: NodeProcess, memory: number, shop: Shop): Promise<number> {
  const end = performance.now() + settleMilliseconds
  let growth = residentBytes(gateway) - memory
  while (growth >= memoryGrowthMax && performance.now() < end) {
    await shop.run(250)
    growth = residentBytes(gateway) - memory
  }
  return growth
}

function judged(figures: Figures): string[] {
  const { before, during, waitedBefore, waitedDuring, peak, growth, requests, sent, report } = figures
  const share = `${((100 * during) / before).toFixed(1)} %`
  const codes = Object.entries(report.codes).map(([code, count]) => `${code} ${count}`)
  console.log(
    `gateway     ${before.toFixed(0)} -> ${during.toFixed(0)} purchases/s (${share}), ${mebibytes(growth)} (${mebibytes(peak)}); ` +
      `95 % answered within ${waitedBefore} -> ${waitedDuring} ms; ${requests} good requests, sent to nodes ${sent.join(' and ')}; ` +
      `the flood had ${report.answered} answers: ${codes.join(', ')}`,
  )
  const wrong: string[] = []
  if (!(during / before >= rateShareMin)) wrong.push(`honest clients kept ${share} of their pace`)
  if (growth >= memoryGrowthMax) wrong.push(`the gateway's memory grew by ${mebibytes(growth)}`)
  if (report.purchases === 0) wrong.push('the attack never began')
  if (sent.includes(0)) wrong.push('a node was sent nothing: what it is sent is not counted')
  for (const count of sent) if (count > requests) wrong.push(`${requests} requests made ${count} sends to one node`)
  return wrong
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`
