// How many blocks of 100 transactions a second a newcomer takes in from another process, verified and durable; beside it
// how many of their signatures the bare runtime verifies on one core. And how many headers a second are followed, beside
// their hashes alone.
import { join } from 'node:path'
import { headerHash, sealedHeaderOf, type Block } from '../../core/chain/block.ts'
import { verifyNatively } from '../../core/chain/signature.ts'
import { readTransaction, transactionHash } from '../../core/chain/transaction.ts'
import type { JsonObject } from '../../core/chain/json.ts'
import { found } from '../../core/errors.ts'
import { bunRuntime } from '../../core/bun.ts'
import { defaultNodeLimits } from '../../core/limits.ts'
import type { Peer } from '../../core/network/peer.ts'
import { headersAskedMax } from '../../core/network/sync/questions.ts'
import { HeaderWalk } from '../../core/network/sync/walk.ts'
import { openLedger } from '../../plugins/sqlite/ledger.ts'
import { blockOn, chainWorld } from '../support/chainworld.ts'
import { LineClient } from '../support/lines.ts'
import { removeFolder, startNode, temporaryFolder } from '../support/process.ts'
import { developmentGenesis } from '../../core/chain/genesis.ts'
import { signMany } from './load.ts'
import { perSecond, type Row } from './row.ts'

const blockCount = 1_500
const perBlock = 100
const headerCount = 20_000
const genesis = developmentGenesis('pow', { difficulty: 1 })

export async function sync(): Promise<Row[]> {
  const bare = bareVerifications()
  const blocksPerSecond = await newcomer()
  const headers = await followed()
  return [
    {
      name: `sync, blocks of ${perBlock}`,
      figure: blocksPerSecond,
      unit: 'blocks/s',
      reference: 'bare Ed25519 verify of as many, one core',
      referenceFigure: bare / perBlock,
    },
    {
      name: 'sync, transactions',
      figure: blocksPerSecond * perBlock,
      unit: 'transactions/s',
      reference: 'bare Ed25519 verify, one core',
      referenceFigure: bare,
    },
    {
      name: 'headers followed',
      figure: headers.followed,
      unit: 'headers/s',
      reference: 'canonical JSON and SHA-256 alone',
      referenceFigure: headers.hashed,
    },
  ]
}

/** Two processes: one has the chain, the other one asks for it. */
async function newcomer(): Promise<number> {
  const [there, here] = [temporaryFolder(), temporaryFolder()]
  const chain = ['--plugins', 'pow,tcp,sqlite', '--difficulty', '1', '--pow.mine=false']
  const port = freePort()
  fill(join(there, `node_${port}.sqlite3`))
  const old = await startNode(there, ...chain, '--port', String(port))
  const fresh = await startNode(here, ...chain, '--port', '0', '--peers', `127.0.0.1:${port}`)
  const client = await LineClient.open(fresh.ready.port)
  const height = async (): Promise<number> => Number((await client.ask({ type: 'chain_info' }))['height'])
  // What comes before the first block (the handshake, the first headers) is no part of the rate.
  while ((await height()) === 0) await Bun.sleep(5)
  const [began, from] = [performance.now(), await height()]
  while ((await height()) < blockCount) await Bun.sleep(10)
  const seconds = (performance.now() - began) / 1_000
  client.close()
  await Promise.all([old.stop(), fresh.stop()])
  removeFolder(there)
  removeFolder(here)
  return (blockCount - from) / seconds
}

function freePort(): number {
  const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } })
  const { port } = server
  server.stop()
  return port
}

/** A ledger with the whole chain in it. */
function fill(path: string): void {
  const ledger = openLedger(path)
  ledger.begin(genesis, genesis.block, Date.now())
  let parent = genesis.block
  for (let i = 0; i < blockCount; i++) {
    const transactions = signMany(genesis.rules.chainId, perBlock, i * perBlock)
    parent = blockOn(parent, { transactions })
    const hashes = transactions.map((transaction) => transactionHash(transaction, genesis.rules.chainId))
    const receivedAt = hashes.map(() => 0)
    const applied = [{ block: parent, hashes, receivedAt, totalWork: 16n * BigInt(parent.index) }]
    ledger.commit({ undone: [], applied, returned: [], writtenAt: 0 })
  }
  ledger.close()
}

/** From the text of the answers to checked headers. */
async function followed(): Promise<{ readonly followed: number; readonly hashed: number }> {
  const blocks: Block[] = []
  for (let i = 0; i < headerCount; i++) blocks.push(blockOn(blocks.at(-1) ?? genesis.block))
  const headers = blocks.map(sealedHeaderOf)
  const answers: string[] = []
  for (let i = 0; i < headerCount; i += headersAskedMax) {
    answers.push(JSON.stringify({ type: 'header_response', headers: headers.slice(i, i + headersAskedMax) }))
  }
  const rates: number[] = []
  for (let round = 0; round < 3; round++) {
    const world = await chainWorld()
    const left = [...answers]
    const ask = async () => found(JSON.parse(left.shift()!) as JsonObject)
    const peer = { height: headerCount, ask } as unknown as Peer
    const walk = new HeaderWalk({ chain: world.chain, clock: bunRuntime().clock, limits: defaultNodeLimits }, peer)
    const began = performance.now()
    while (left.length > 0) await walk.step()
    rates.push((walk.trail!.tip.index / (performance.now() - began)) * 1_000)
    await world.dispose()
  }
  const hashed = perSecond(headerCount, (i) => void headerHash(headers[i]!, headers[i]!.nonce))
  return { followed: rates.at(-1)!, hashed }
}

function bareVerifications(): number {
  const reads = signMany(genesis.rules.chainId, 2_000).map((transaction) => {
    const read = readTransaction(transaction, genesis.rules)
    if (!read.ok) throw new Error(read.detail)
    return read.value
  })
  const verify = (i: number): boolean => verifyNatively(reads[i % reads.length]!.check)
  perSecond(2_000, verify)
  return perSecond(10_000, verify)
}
