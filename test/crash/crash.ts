// Kills a node with -9 again and again while it is under load, and looks for anything that was acknowledged and lost.
//   bun test/crash/crash.ts [--rounds 100] [--seed N]
// One round in ten kills it while it is still starting. A round that killed nothing in mid-work fails: it proved nothing.
import { statSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { keyPairOfPem, privatePemOf, type KeyPair } from '../../core/chain/keys.ts'
import { signTransaction, transactionHash, type Transaction } from '../../core/chain/transaction.ts'
import { LineClient } from '../support/lines.ts'
import { cleanEnvironment, removeFolder, startNode, temporaryFolder, type NodeProcess } from '../support/process.ts'
import { dice } from '../support/dice.ts'
import { inspectLedger } from './ledger.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string' }, seed: { type: 'string' } } })
const rounds = Number(values.rounds ?? 100)
const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0])
const roll = dice(seed)
const startMillisecondsMax = 3_000
const connections = 4
const inFlightPerConnection = 8

const home = temporaryFolder()
const nodeArguments = ['--plugins', 'pow,tcp,sqlite', '--port', '0', '--difficulty', '3']
const keys = Array.from({ length: 20 }, (_, i) =>
  keyPairOfPem(privatePemOf(new Uint8Array(32).fill(i + 1)), 'test key'),
)
/** Every id that a node acknowledged, in any round. */
const acknowledged = new Set<string>()
let made = 0
/** How long the last start took. */
let startMilliseconds = 100
let passed = 0
const failures: string[] = []

async function killUnderLoad(): Promise<void> {
  const node = await startInTime()
  try {
    await loadAndKill(node)
  } finally {
    await node.kill()
  }
}

async function loadAndKill(node: NodeProcess): Promise<void> {
  const clients = await Promise.all(Array.from({ length: connections }, () => LineClient.open(node.ready.port)))
  await askForSome(clients[0]!)
  const loads = clients.flatMap((client) =>
    Array.from({ length: inFlightPerConnection }, () => load(client, node.ready.chain_id)),
  )
  await acknowledgements(acknowledged.size + 1 + Math.floor(roll() * 400))
  await pause(roll() * 60)
  const unanswered = clients.reduce((sum, client) => sum + client.unanswered, 0)
  await node.kill()
  await Promise.all(loads)
  for (const client of clients) client.close()
  if (unanswered === 0) throw new Error('nothing was in work when it was killed')
}

/** Submits one transaction after the other until the connection dies. */
async function load(client: LineClient, chainId: string): Promise<void> {
  while (!client.closed) {
    const transaction = nextTransaction(chainId)
    try {
      const answer = await client.ask({ type: 'NEW_TRANSACTION', ...transaction })
      if (answer['type'] === 'MINING_STARTED') acknowledge(transactionHash(transaction, chainId))
      else if (answer['code'] !== 'mempool-full' && answer['code'] !== 'sender-quota')
        throw new Error(JSON.stringify(answer))
    } catch (error) {
      if (!client.closed) failures.push(`a client: ${(error as Error).message}`)
      return
    }
  }
}

function nextTransaction(chainId: string): Transaction {
  const key: KeyPair = keys[made % keys.length]!
  return signTransaction(key, chainId, { text: `crash ${seed}` }, made++)
}

let reached: { count: number; resolve: () => void } | undefined

function acknowledge(hash: string): void {
  acknowledged.add(hash)
  if (reached !== undefined && acknowledged.size >= reached.count) reached.resolve()
}

function acknowledgements(count: number): Promise<void> {
  return new Promise((resolve) => (reached = { count, resolve }))
}

const pause = (milliseconds: number): Promise<void> => Bun.sleep(milliseconds)

async function startInTime(): Promise<NodeProcess> {
  const started = performance.now()
  const node = await startNode(home, ...nodeArguments)
  const took = performance.now() - started
  startMilliseconds = took
  if (took > startMillisecondsMax)
    throw new Error(`started after ${Math.round(took)} ms; ${startMillisecondsMax} allowed`)
  return node
}

/** Some of what was acknowledged, asked of the node itself. */
async function askForSome(client: LineClient): Promise<void> {
  const all = [...acknowledged]
  for (const tx_hash of [...all.slice(-50), ...all.filter(() => roll() < 50 / all.length)]) {
    const { status } = await client.ask({ type: 'transaction_status', tx_hash })
    if (status !== 'pending' && status !== 'included')
      throw new Error(`acknowledged, but now ${String(status)}: ${tx_hash}`)
  }
}

/** Kills it at a random moment of its start, while the log of the one that was killed before it waits to be recovered. */
async function killWhileStarting(): Promise<void> {
  for (let tries = 0; tries < 5; tries++) {
    const child = Bun.spawn(
      [
        process.execPath,
        `${import.meta.dir}/../../core/main.ts`,
        'node',
        '--json',
        '--data-dir',
        home,
        ...nodeArguments,
      ],
      { env: cleanEnvironment(home), stdin: 'ignore', stdout: 'pipe', stderr: 'ignore' },
    )
    await pause(startMilliseconds * (0.3 + 0.7 * roll()))
    child.kill('SIGKILL')
    await child.exited
    const wasUp = (await child.stdout.text()) !== ''
    if (statSync(`${home}/node_0.sqlite3-wal`).size === 0) throw new Error('there was nothing to recover')
    if (!wasUp) return
  }
  throw new Error('it was up each time before it was killed')
}

/** The file itself: our own check, SQLite's check, and every acknowledged id once. */
async function inspect(): Promise<void> {
  const node = await startInTime()
  const { ledger } = node.ready
  await node.stop()
  await inspectLedger(home, ledger, acknowledged, 'may be pending')
}

async function main(): Promise<number> {
  console.log(`crash: ${rounds} rounds, seed ${seed}`)
  for (let round = 1; round <= rounds; round++) {
    try {
      await (round % 10 === 0 ? killWhileStarting() : killUnderLoad())
      if (round % 10 === 0 || round === rounds) await inspect()
      passed++
    } catch (error) {
      failures.push(`round ${round}: ${(error as Error).message}`)
      console.log(`FAILED ${failures.at(-1)}`)
    }
  }
  console.log(`acknowledged ${acknowledged.size}, made ${made}`)
  if (failures.length === 0) removeFolder(home)
  else console.log(`the ledger is left in ${home} for a look`)
  console.log(`${passed} passed, ${failures.length} failed`)
  return failures.length === 0 ? 0 : 1
}

// Last, when everything above is there.
process.exit(await main())
