// Start to first answer, and memory at rest, beside an empty Bun program.
import { LineClient } from '../support/lines.ts'
import { removeFolder, startNode, temporaryFolder } from '../support/process.ts'
import { median, residentMiB, type Row } from './row.ts'

export async function start(): Promise<Row[]> {
  const home = temporaryFolder()
  const times: number[] = []
  const idle: number[] = []
  for (let i = 0; i < 7; i++) {
    const started = performance.now()
    const node = await startNode(home, '--plugins', 'pow,tcp,sqlite', '--port', '0')
    const client = await LineClient.open(node.ready.port)
    await client.ask({ type: 'ping' })
    times.push(performance.now() - started)
    idle.push(residentMiB(node.process.pid))
    client.close()
    await node.stop()
  }
  removeFolder(home)
  const bare = await bareBun()
  return [
    {
      name: 'start to first answer',
      figure: median(times),
      unit: 'ms',
      reference: 'an empty Bun program',
      referenceFigure: bare.milliseconds,
    },
    {
      name: 'memory at rest',
      figure: median(idle),
      unit: 'MiB',
      reference: 'an empty Bun program',
      referenceFigure: bare.mebibytes,
    },
  ]
}

async function bareBun(): Promise<{ milliseconds: number; mebibytes: number }> {
  const times: number[] = []
  let mebibytes = 0
  for (let i = 0; i < 7; i++) {
    const started = performance.now()
    const child = Bun.spawn([process.execPath, '-e', 'console.log(1); await Bun.stdin.text()'], {
      stdin: 'pipe',
      stdout: 'pipe',
    })
    await child.stdout.getReader().read()
    times.push(performance.now() - started)
    mebibytes = residentMiB(child.pid)
    child.kill()
    await child.exited
  }
  return { milliseconds: median(times), mebibytes }
}
