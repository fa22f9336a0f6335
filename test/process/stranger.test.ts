import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { removeFolder, startNode, temporaryFolder } from '../support/process.ts'

test("a stranger's client: Python and openssl make, sign, submit in three framings, and read the ledger", async () => {
  const home = temporaryFolder()
  const node = await startNode(home, '--plugins', 'pow,tcp,sqlite', '--port', '0', '--difficulty', '3')
  try {
    const script = join(import.meta.dir, 'stranger.py')
    const child = Bun.spawn(['python3', script, String(node.ready.port), node.ready.ledger], {
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()])
    expect(stderr).toBe('')
    expect(await child.exited).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ transactions: 4 })
  } finally {
    expect(await node.stop()).toBe(0)
    removeFolder(home)
  }
}, 60_000)
