// Signed transactions accepted, verified and durable a second, through the socket of a real node that also mines them.
// Beside it: how many signatures the bare runtime verifies a second on one core, which nothing that verifies can beat.
import { readTransaction } from '../../core/chain/transaction.ts'
import { verifyNatively } from '../../core/chain/signature.ts'
import { developmentGenesis } from '../../core/chain/genesis.ts'
import { removeFolder, startNode, temporaryFolder } from '../support/process.ts'
import { measuredSubmission, signMany, submitAll } from './load.ts'
import { perSecond, type Row } from './row.ts'

const count = 20_000

export async function transactions(): Promise<Row[]> {
  const bare = bareVerifications()
  const rows: Row[] = []
  for (const [name, connections, inFlight] of [
    ['one a request, 16 connections', 16, 1],
    ['64 in flight on each of 4 connections', 4, 64],
  ] as const) {
    const home = temporaryFolder()
    const node = await startNode(home, '--plugins', 'pow,tcp,sqlite', '--port', '0', '--difficulty', '3')
    const all = signMany(node.ready.chain_id, count)
    await submitAll(node.ready.port, all.slice(0, 2_000), connections, inFlight) // warm-up
    const run = await measuredSubmission(node, all.slice(2_000), connections, inFlight)
    await node.stop()
    removeFolder(home)
    rows.push({
      name: `accepted, ${name}`,
      figure: run.perSecond,
      unit: 'transactions/s',
      reference: 'bare Ed25519 verify, one core',
      referenceFigure: bare,
    })
    rows.push({
      name: `CPU of the node and of the load, ${name}`,
      figure: run.nodeMicroseconds,
      unit: 'us/transaction',
      reference: 'the load generator beside it',
      referenceFigure: run.loadMicroseconds,
    })
  }
  return rows
}

function bareVerifications(): number {
  const { rules } = developmentGenesis('pow', { difficulty: 3 })
  const reads = signMany(rules.chainId, 2_000).map((transaction) => {
    const read = readTransaction(transaction, rules)
    if (!read.ok) throw new Error(read.detail)
    return read.value
  })
  const verify = (i: number): boolean => verifyNatively(reads[i % reads.length]!.check)
  perSecond(2_000, verify)
  return perSecond(10_000, verify)
}
