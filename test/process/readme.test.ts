// What the README shows is what a newcomer gets: its console blocks are run, and what they print is compared.
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LineClient } from '../support/lines.ts'
import { cleanEnvironment, removeFolder, temporaryFolder } from '../support/process.ts'

const root = join(import.meta.dir, '../..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const home = temporaryFolder()
// The README's node keeps its ledger under its port, so this one needs a port before it starts.
const port = freePort()
/** The README's ports, and those that stand for them here. */
const ports = new Map(
  ['13246', '13247', '13250', '13251', '13252', '13253', '13261', '13262', '13263', '13264', '5000', '23457'].map(
    (shown) => [shown, freePort()],
  ),
).set('13245', port)
/** What a file of config/ says of ports, which are others here. */
const portsInFiles: readonly (readonly [file: string, flags: string])[] = [
  ['config/notifier.toml', '--notifier.targets gateway://127.0.0.1:5000'],
  ['config/gateway.toml', '--gateway.port 5000 --notifier.port 23457'],
]
/** Nodes that the README starts beside the first one. */
const others: Bun.Subprocess[] = []
const environment = { ...cleanEnvironment(home), XDG_DATA_HOME: join(home, '.local/share'), AUREX_PORT: String(port) }
let node: Bun.Subprocess

function freePort(): number {
  const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } })
  const { port } = server
  server.stop(true)
  return port
}

beforeAll(async () => {
  node = Bun.spawn(['bash', '-c', 'exec bun run node'], {
    cwd: root,
    env: environment,
    stdout: 'pipe',
    stderr: 'ignore',
  })
  await (node.stdout as ReadableStream<Uint8Array>).getReader().read()
}, 30_000)

afterAll(async () => {
  for (const one of [node, ...others]) {
    one.kill('SIGTERM')
    await one.exited
  }
  removeFolder(home)
})

interface Step {
  readonly command: string
  readonly expected: readonly string[]
}

/** `$ command` and the lines that follow it, from every console block. */
function steps(): Step[] {
  const blocks = [...readme.matchAll(/```console\n(.*?)```/gs)].map(([, text]) => text!.trimEnd().split('\n'))
  const found: { command: string; expected: string[] }[] = []
  for (const line of blocks.flat()) {
    if (line.startsWith('$ ')) found.push({ command: line.slice(2), expected: [] })
    else found.at(-1)!.expected.push(line)
  }
  return found
}

/** What differs from run to run: ids, moments, times and rates. Counts and sums do not. */
const steady = (text: string): string =>
  text
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{64}/g, '<id>')
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<moment>')
    .replace(/[\d.]+ s, [\d.,]+ a second/g, '<time>')
    .replace(/block \d+/g, 'block <n>')
    .replace(/\d+ confirmations?/g, '<n> confirmations')

/** Starts a node that stays, and waits until it says that it is there. */
async function startBeside(shell: string): Promise<void> {
  const one = Bun.spawn(['bash', '-c', `exec ${shell}`], {
    cwd: root,
    env: environment,
    stdout: 'pipe',
    stderr: 'ignore',
  })
  others.push(one)
  const { done } = await one.stdout.getReader().read()
  expect(done).toBe(false)
}

test('the first command starts a node that answers on the port that the README shows', async () => {
  expect(readme).toContain('`bun install && bun run node`')
  const client = await LineClient.open(port)
  expect(await client.ask({ type: 'ping' })).toMatchObject({ type: 'pong', height: 0 })
  client.close()
})

for (const { command, expected } of steps()) {
  test(`$ ${command}`, async () => {
    const shell = portsInFiles
      .reduce((text, [file, flags]) => text.replace(file, `${file} ${flags}`), command)
      .replaceAll(/\d{4,5}/g, (shown) => String(ports.get(shown) ?? shown))
      .replaceAll(/aurex tx(?! --node)/g, `aurex tx --node 127.0.0.1:${port}`)
    if (shell.endsWith(' &')) return await startBeside(shell.slice(0, -2))
    const child = Bun.spawn(['bash', '-c', `set -o pipefail; ${shell}`], {
      cwd: root,
      env: environment,
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    if (expected.length > 0) expect(steady(stdout.trimEnd())).toBe(steady(expected.join('\n')))
  }, 60_000)
}

test('every file that it links to is there', () => {
  for (const [, path] of readme.matchAll(/\]\(([^)#]+)\)/g))
    expect(readFileSync(join(root, path!), 'utf8')).not.toBe('')
})
