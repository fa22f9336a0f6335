// A day of a real shop through the command, into a real ledger; the comparison shares no code with the node.
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { aurex, removeFolder, startNode, temporaryFolder } from '../support/process.ts'

const file = join(import.meta.dir, '../vectors/purchases/uci-online-retail-2011-02-06.csv')

test('every line of a day is in the chain once, with the right sums; the same file again adds nothing and says so', async () => {
  const home = temporaryFolder()
  const node = await startNode(home, '--plugins', 'pow,tcp,sqlite', '--port', '0', '--difficulty', '3')
  try {
    const address = `127.0.0.1:${node.ready.port}`
    const first = await aurex(home, 'tx', '--node', address, '--from', file, '--wait', '--json')
    expect(first.code).toBe(0)
    expect(JSON.parse(first.stdout)).toMatchObject({ submitted: 279, admitted: 279, known: 0, refused: 0 })

    const again = await aurex(home, 'tx', '--node', address, '--from', file)
    expect(again.code).toBe(0)
    const said = again.stdout
      .split('\n')
      .filter((line) => /^line \d+ {2}[0-9a-f]{64} {2}already in block \d+$/.test(line))
    expect(said).toHaveLength(279)
    expect(again.stdout).toContain('recorded new 0, already known 279')

    const script = join(import.meta.dir, 'purchases.py')
    const compared = Bun.spawnSync(['python3', script, file, node.ready.ledger])
    expect(compared.stderr.toString()).toBe('')
    expect(JSON.parse(compared.stdout.toString())).toEqual({ lines: 279, sum: '3457.11', differences: [] })

    const sum = `SELECT round(sum(json_extract(data, '$.Quantity') * json_extract(data, '$.UnitPrice')), 2) FROM transactions`
    const bySqlite = Bun.spawnSync(['sqlite3', '-readonly', node.ready.ledger, sum])
    expect(bySqlite.stdout.toString().trim()).toBe('3457.11')
  } finally {
    expect(await node.stop()).toBe(0)
    removeFolder(home)
  }
}, 60_000)
