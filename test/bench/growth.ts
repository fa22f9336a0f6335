// Memory after 100,000 transactions beside memory at rest, and bytes on disk a transaction beside its bytes on the wire.
import { statSync } from 'node:fs'
import { removeFolder, startNode, temporaryFolder } from '../support/process.ts'
import { drained, signMany, submitAll } from './load.ts'
import type { Row } from './row.ts'
import { residentMiB } from './start.ts'

const count = 100_000
const batch = 10_000

export async function growth(): Promise<Row[]> {
  const home = temporaryFolder()
  const node = await startNode(home, '--plugins', 'pow,tcp,sqlite', '--port', '0', '--difficulty', '3')
  const atRest = residentMiB(node.process.pid)
  let wireBytes = 0
  for (let from = 0; from < count; from += batch) {
    const transactions = signMany(node.ready.chain_id, batch, from)
    for (const transaction of transactions) wireBytes += JSON.stringify(transaction).length
    await submitAll(node.ready.port, transactions, 4, 64)
  }
  await drained(node.ready.port)
  const after = residentMiB(node.process.pid)
  await node.stop()
  const diskBytes = statSync(node.ready.ledger).size
  removeFolder(home)
  return [
    {
      name: `memory after ${count} transactions`,
      figure: after,
      unit: 'MiB',
      reference: 'the same node at rest',
      referenceFigure: atRest,
    },
    {
      name: 'bytes on disk a transaction',
      figure: diskBytes / count,
      unit: 'bytes',
      reference: 'its JSON on the wire',
      referenceFigure: wireBytes / count,
    },
  ]
}
