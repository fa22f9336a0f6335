// Threats row 15: kills an authority with -9 between signing and saying so, again and again. It never signs two things that
// contradict each other, and what was acknowledged is there in the end.
//   bun test/crash/signing.ts [--rounds 100] [--seed N]
// It is the only authority of its chain, makes blocks every few milliseconds and votes on them. A peer of this test's own and
// a node that follows see all that leaves it; what is in its ledger after a kill and was seen by neither was signed in
// the moment that is meant. A run without such moments fails: it proved nothing.
import { Database } from 'bun:sqlite'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { keyPairOfPem, privatePemOf } from '../../core/chain/keys.ts'
import { signTransaction, transactionHash } from '../../core/chain/transaction.ts'
import { makeGenesis, makeKeys } from '../support/authorities.ts'
import { freePort } from '../support/cluster.ts'
import { dice } from '../support/dice.ts'
import { LineClient } from '../support/lines.ts'
import { removeFolder, startNode, temporaryFolder, type NodeProcess } from '../support/process.ts'
import { StrangerPeer, type Message } from '../support/strangerpeer.ts'
import { inspectLedger } from './ledger.ts'
import { moments, type Moment } from './moments.ts'
import { Testimony, type Vote } from './testimony.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string' }, seed: { type: 'string' } } })
const rounds = Number(values.rounds ?? 100)
const seed = Number(values.seed ?? crypto.getRandomValues(new Uint32Array(1))[0])
const roll = dice(seed)
const startMillisecondsMax = 3_000
const settleMillisecondsMax = 10_000
const arrivalMilliseconds = 20
const connections = 4
const acknowledgementsMax = 40
const inspectionRounds = 20
/** A node that stopped signing does not begin again by itself. */
const failuresMax = 3

const home = temporaryFolder()
const [authority] = await makeKeys(home, 1)
const rules = ['--consensus', 'poa', '--block-time', '0.01', '--finality', '--authorities', authority!.address]
const genesis = await makeGenesis(home, ...rules)
const [signerPort, followerPort] = [await freePort(), await freePort()]
const peers = (port: number): string[] => ['--peers', `127.0.0.1:${port}`]
const nodeArguments = ['--plugins', 'poa,finality,tcp,sqlite', '--genesis', genesis]
const signerArguments = [...nodeArguments, ...peers(followerPort), '--key', authority!.path]
const followerArguments = [...nodeArguments, ...peers(signerPort)]
const senders = Array.from({ length: 20 }, (_, i) => keyPairOfPem(privatePemOf(new Uint8Array(32).fill(i + 1)), 'key'))
const testimony = new Testimony()
const acknowledged = new Set<string>()
/** Rounds in which something was signed that nobody had seen: with a block, with a vote, and at which moments. */
const hits = { block: 0, vote: 0, at: [] as string[] }
let made = 0
let height = 0
let passed = 0
const failures: string[] = []

for (const name of ['signer', 'follower']) mkdirSync(join(home, name))

const startSigner = (): Promise<NodeProcess> =>
  startNode(join(home, 'signer'), '--port', String(signerPort), ...signerArguments)

const startFollower = (): Promise<NodeProcess> =>
  startNode(join(home, 'follower'), '--port', String(followerPort), ...followerArguments)

// ---- one round ----

/** What is in the ledger after a kill, above the height that was looked at before. */
interface Signed {
  readonly blocks: readonly { readonly index: number; readonly hash: string }[]
  readonly votes: readonly Vote[]
}

async function killOnce(moment: Moment, follower: LineClient): Promise<void> {
  const node = await startInTime(startSigner)
  try {
    const watch = new Map<string, () => void>()
    const peer = new StrangerPeer(signerPort, {
      chainId: node.ready.chain_id,
      features: ['finality_vote'],
      bytes: (text) => {
        for (const [part, then] of watch) if (text.includes(part) && watch.delete(part)) then()
      },
      hear,
    })
    if (!(await peer.shaken)) throw new Error('the peer of this test was not taken')
    await sameHead(follower)
    const loads = await load(node, Math.floor(roll() * acknowledgementsMax))
    await moment.wait({
      roll,
      kill: () => node.process.kill('SIGKILL'),
      submit: () => loads.submit(),
      whenRead: (text, then) => void watch.set(text, then),
      ledger: node.ready.ledger,
    })
    await node.process.exited
    await Promise.all([peer.closed, loads.ended])
    await judge(signedIn(node.ready.ledger), follower, moment)
    if (node.log().includes('"level":"ERROR"')) throw new Error(`it found a fault of its own:\n${node.log()}`)
  } finally {
    await node.kill()
  }
}

async function startInTime(start: () => Promise<NodeProcess>): Promise<NodeProcess> {
  const startedAt = performance.now()
  const node = await start()
  const took = performance.now() - startedAt
  if (took <= startMillisecondsMax) return node
  await node.kill()
  throw new Error(`started after ${Math.round(took)} ms; ${startMillisecondsMax} allowed`)
}

/** All that the node under test says to its peer. It has one key, which signs all of it. */
function hear(message: Message, peer: StrangerPeer): void {
  if (message['type'] === 'ping') peer.send({ type: 'pong', request_id: message['request_id'], node_id: peer.nodeId })
  if (message['type'] === 'new_block') {
    const { index, current_hash: hash } = message['data'] as { readonly index: number; readonly current_hash: string }
    testimony.block(index, hash)
  }
  if (message['type'] === 'finality_vote') testimony.vote(message as unknown as Vote)
}

interface Load {
  /** One transaction on a connection of its own. */
  readonly submit: () => Promise<void>
  readonly ended: Promise<unknown>
}

/** Transactions, one after the other on each connection, until the node is gone. Resolves when so many are acknowledged. */
async function load(node: NodeProcess, count: number): Promise<Load> {
  const clients = await Promise.all(Array.from({ length: connections + 1 }, () => LineClient.open(signerPort)))
  const enough = Promise.withResolvers<void>()
  const before = acknowledged.size
  const submit = async (client: LineClient): Promise<void> => {
    const n = made++
    const transaction = signTransaction(senders[n % senders.length]!, node.ready.chain_id, { text: `crash ${seed}` }, n)
    const answer = await client.ask({ type: 'NEW_TRANSACTION', ...transaction }).catch(() => undefined)
    if (answer === undefined) return
    if (answer['type'] !== 'MINING_STARTED') throw new Error(JSON.stringify(answer))
    acknowledged.add(transactionHash(transaction, node.ready.chain_id))
    if (acknowledged.size - before >= count) enough.resolve()
  }
  const [single, ...others] = clients
  const ended = Promise.all(
    others.map(async (client) => {
      while (!client.closed) await submit(client)
    }),
  )
  await Promise.race([enough.promise, ended])
  return { submit: () => submit(single!), ended }
}

/** What follows has all that the one under test has, so that each round begins with nothing unseen. */
async function sameHead(follower: LineClient): Promise<void> {
  const signer = await LineClient.open(signerPort)
  const until = performance.now() + settleMillisecondsMax
  for (;;) {
    const [its, other] = await Promise.all([signer, follower].map((client) => client.ask({ type: 'chain_info' })))
    if (its!['head'] === other!['head'] && its!['pending'] === 0) break
    if (performance.now() > until) {
      const why = await signer.ask({ type: 'why_request' })
      throw new Error(`it did not go on: ${JSON.stringify({ its, other, why })}`)
    }
    await Bun.sleep(5)
  }
  signer.close()
}

// ---- what was signed ----

function signedIn(ledger: string): Signed {
  const database = new Database(ledger, { readonly: true })
  try {
    const rows = database.query('SELECT "index", current_hash AS hash FROM blocks WHERE "index" > ?').all(height)
    const texts = database
      .query("SELECT value FROM record_rows WHERE owner = 'signing' AND key LIKE 'last/finality/%'")
      .values() as [string][]
    const votes = texts.map(([value]) => JSON.parse((JSON.parse(value) as { text: string }).text) as Vote)
    return { blocks: rows as Signed['blocks'], votes }
  } finally {
    database.close()
  }
}

/** Counts what nobody had seen; then the ledger is a witness too. */
async function judge({ blocks, votes }: Signed, follower: LineClient, moment: Moment): Promise<void> {
  // What was on its way to it.
  await Bun.sleep(arrivalMilliseconds)
  const followed = await follower.ask({ type: 'chain_info' })
  const at = (field: string): number => (followed[field] as { readonly index: number } | undefined)?.index ?? 0
  const newBlocks = blocks.filter(({ index }) => !testimony.sawBlock(index) && index > Number(followed['height']))
  const newVotes = votes.filter((vote) => {
    const known = vote.kind === 'commit' ? at('final') : at('justified')
    return !testimony.sawVote(vote) && vote.target.index > known
  })
  if (newBlocks.length > 0) hits.block++
  if (newVotes.length > 0) hits.vote++
  if (newBlocks.length + newVotes.length > 0) hits.at.push(moment.name)
  for (const { index, hash } of blocks) testimony.block(index, hash)
  for (const vote of votes) testimony.vote(vote)
  height = Math.max(height, ...blocks.map(({ index }) => index))
  const { contradictions } = testimony
  if (contradictions.length > 0) throw new Error(contradictions.join('; '))
}

// ---- in the end ----

/** Our own check of the file, nobody accuses the key, both have the same chain, and every acknowledged id is in it once. */
async function inspect(follower: LineClient): Promise<void> {
  const node = await startInTime(startSigner)
  await sameHead(follower)
  const chains: unknown[] = []
  for (const port of [signerPort, followerPort]) {
    const client = await LineClient.open(port)
    const { evidence } = await client.ask({ type: 'evidence_request' })
    if ((evidence as readonly unknown[]).length > 0) throw new Error(`there is evidence: ${JSON.stringify(evidence)}`)
    chains.push((await client.ask({ type: 'chain_info' }))['head'])
    client.close()
  }
  if (chains[0] !== chains[1]) throw new Error(`two heads: ${chains.join(', ')}`)
  await node.stop()
  const { ledger } = node.ready
  for (const { index, hash } of signedIn(ledger).blocks) testimony.block(index, hash)
  await inspectLedger(home, ledger, acknowledged, 'must be recorded')
}

async function main(): Promise<number> {
  console.log(`crash between signing and saying so: ${rounds} rounds, seed ${seed}`)
  const following = await startFollower()
  const follower = await LineClient.open(followerPort)
  for (let round = 1; round <= rounds && failures.length < failuresMax; round++) {
    const moment = moments[round % moments.length]!
    try {
      await killOnce(moment, follower)
      if (round % inspectionRounds === 0 || round === rounds) await inspect(follower)
      passed++
    } catch (error) {
      failures.push(`round ${round}, ${moment.name}: ${(error as Error).message}`)
      console.log(`FAILED ${failures.at(-1)}`)
    }
  }
  await following.kill()
  const { blocks, votes } = testimony.counts
  console.log(`acknowledged ${acknowledged.size}; the key was seen to sign ${blocks} blocks and ${votes} votes`)
  console.log(`signed and seen by nobody when it was killed: ${hits.at.length} of ${rounds} rounds`)
  console.log(`  ${hits.block} with a block, ${hits.vote} with a vote`)
  for (const { name } of moments) console.log(`  ${hits.at.filter((one) => one === name).length} ${name}`)
  if (hits.at.length === 0) failures.push('no round hit the moment that is meant')
  if (failures.length === 0) removeFolder(home)
  else console.log(`the ledgers are left in ${home} for a look`)
  console.log(`${passed} passed, ${failures.length} failed`)
  return failures.length === 0 ? 0 : 1
}

process.exit(await main())
