// Memory and bytes on disk after 100,000 transactions, beside bun:sqlite alone with as many rows of the same size.
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { removeFolder, startNode, temporaryFolder } from '../support/process.ts'
import { drained, signMany, submitAll } from './load.ts'
import { residentMiB, type Row } from './row.ts'

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
  const bare = await bareSqlite(join(home, 'bare.sqlite3'), Math.round(wireBytes / count))
  removeFolder(home)
  const perTransaction = { name: 'bytes on disk a transaction', figure: diskBytes / count, unit: 'bytes' }
  return [
    {
      name: 'memory at rest, before',
      figure: atRest,
      unit: 'MiB',
      reference: `bare SQLite, ${count} rows`,
      referenceFigure: bare.mebibytes,
    },
    {
      name: `memory after ${count} transactions`,
      figure: after,
      unit: 'MiB',
      reference: `bare SQLite, ${count} rows`,
      referenceFigure: bare.mebibytes,
    },
    { ...perTransaction, reference: 'bare SQLite, id, hash and JSON', referenceFigure: bare.bytes / count },
    { ...perTransaction, reference: 'its JSON on the wire', referenceFigure: wireBytes / count },
  ]
}

/** The same number of rows of the same size in a table of bun:sqlite alone, by a process of its own. */
async function bareSqlite(path: string, rowBytes: number): Promise<{ mebibytes: number; bytes: number }> {
  const script = join(import.meta.dir, 'bare.ts')
  const child = Bun.spawn([process.execPath, script, path, String(count), String(rowBytes)], { stdout: 'pipe' })
  const { mebibytes } = JSON.parse(await child.stdout.text()) as { mebibytes: number }
  await child.exited
  return { mebibytes, bytes: statSync(path).size }
}
