// A chain whose genesis asks for finality: the node that nobody told of it loads it, and its ledger is re-checked with it.
import { Database } from 'bun:sqlite'
import { expect, test } from 'bun:test'
import { makeGenesis, makeKeys } from '../../support/authorities.ts'
import { eventually } from '../../support/eventually.ts'
import { useHome } from '../../support/home.ts'
import { aurex } from '../../support/process.ts'

const home = useHome()

/** The ledger of a stopped node, in which one authority has made a block final and another header says so. */
async function finalLedger(): Promise<{ ledger: string; plugins: readonly string[]; log: string }> {
  const [key] = await makeKeys(home.path, 1)
  const flags = ['--consensus', 'pow', '--difficulty', '1', '--finality', '--authorities', key!.address]
  const genesis = await makeGenesis(home.path, ...flags)
  const node = await home.start('--genesis', genesis, '--key', key!.path, '--port', '0')
  const { ledger, port, plugins } = node.ready as typeof node.ready & { readonly plugins: readonly string[] }
  const submit = (n: number) => aurex(home.path, 'tx', '--node', `127.0.0.1:${port}`, '--data', `{"n":${n}}`, '--wait')
  expect(await submit(1)).toMatchObject({ code: 0 })
  const isFinal = () => rowsOf(ledger, "SELECT 1 FROM transactions WHERE status = 'final'").length === 1
  await eventually(isFinal, 'the transaction is final')
  expect(await submit(2)).toMatchObject({ code: 0 })
  expect(await node.stop()).toBe(0)
  return { ledger, plugins, log: node.log() }
}

function rowsOf(ledger: string, sql: string): unknown[] {
  const database = new Database(ledger, { readonly: true })
  try {
    return database.query(sql).all()
  } finally {
    database.close()
  }
}

test('the default plugins start on it, the missing one comes by itself, and the ledger is sound', async () => {
  const { ledger, plugins, log } = await finalLedger()
  expect(plugins).toEqual(['pow', 'tcp', 'sqlite', 'finality'])
  expect(log).toContain('loaded by itself: the genesis demands it')
  // A certificate is only taken by whoever reads it: the audit of a node that starts, and this one.
  expect(rowsOf(ledger, 'SELECT 1 FROM blocks WHERE finality IS NOT NULL')).not.toEqual([])
  expect(await aurex(home.path, 'verify', ledger)).toMatchObject({ code: 0, stderr: '' })
  const wrong = await aurex(home.path, 'verify', ledger, '--finality', 'pow')
  expect(wrong).toMatchObject({ code: 64 })
  expect(wrong.stderr).toContain('--finality: expected the plugin finality, got the plugin pow')
}, 30_000)
