// A node without a chain, as a real process beside one that keeps one.
import { afterEach, describe, expect, test } from 'bun:test'
import { Database } from 'bun:sqlite'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { eventually } from '../support/eventually.ts'
import { useHome } from '../support/home.ts'
import { LineClient, type Answer } from '../support/lines.ts'
import { aurex, cleanEnvironment, startNode, type NodeProcess } from '../support/process.ts'

const home = useHome()
const running: NodeProcess[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((node) => node.kill()))
})

async function start(name: string, ...args: string[]): Promise<NodeProcess> {
  const folder = join(home.path, name)
  mkdirSync(folder, { recursive: true })
  const node = await startNode(folder, '--port', '0', ...args)
  running.push(node)
  return node
}

const keeper = (...args: string[]) => start('keeper', '--plugins', 'instant,tcp,sqlite', ...args)
const light = (port: number, plugins = 'tcp,sqlite', ...args: string[]) =>
  start('light', '--plugins', plugins, '--peers', `127.0.0.1:${port}`, ...args)

async function ask({ ready }: NodeProcess, type: string): Promise<Answer> {
  const client = await LineClient.open(ready.port)
  try {
    return await client.ask({ type })
  } finally {
    client.close()
  }
}

const peersOf = async (node: NodeProcess) => (await ask(node, 'node_status'))['peers']

function table({ ready }: NodeProcess): { node_id: string; node_type: string; status: string }[] {
  const database = new Database(ready.ledger, { readonly: true })
  try {
    return database.query('SELECT node_id, node_type, status FROM nodes ORDER BY node_type').all() as never
  } finally {
    database.close()
  }
}

describe('a node without a chain', () => {
  test.each(['tcp,memory', 'tcp,sqlite'])('%s learns its chain, and is nobody else to be dialled', async (plugins) => {
    const full = await keeper()
    const node = await light(full.ready.port, plugins)
    expect(node.ready.chain_id).toBeUndefined()
    await eventually(async () => (await peersOf(full)) === 1, 'the light peer joined')
    expect(await ask(node, 'ping')).toMatchObject({ type: 'pong', chain_id: full.ready.chain_id })
    expect(await ask(node, 'chain_info')).toMatchObject({ type: 'ERROR', code: 'no-chain' })
    expect(await ask(node, 'node_status')).toMatchObject({ node_type: 'gateway', chain_id: full.ready.chain_id })
    const [peer] = (await ask(full, 'peer_status'))['peers'] as Answer[]
    expect(peer).toMatchObject({ node_type: 'gateway', height: 0, outbound: false })
    const listed = { node_id: full.ready.node_id, host: '127.0.0.1', port: full.ready.port }
    for (const one of [full, node]) expect(await ask(one, 'node_discovery')).toMatchObject({ nodes: [listed] })
    expect(table(full)).toMatchObject([{ node_type: 'full' }])
    if (plugins === 'tcp,memory') return
    expect(table(node)).toEqual([
      { node_id: full.ready.node_id, node_type: 'full', status: 'active' },
      { node_id: node.ready.node_id, node_type: 'gateway', status: 'active' },
    ])
  })

  test('killed and started while nobody answers, it knows its chain, and joins when somebody does', async () => {
    const full = await keeper()
    const { port, chain_id } = full.ready
    const before = await light(port)
    await eventually(async () => (await ask(before, 'ping'))['chain_id'] === chain_id, 'the chain was learnt')
    await Promise.all([full.kill(), before.kill()])
    const after = await light(port)
    expect(after.ready).toMatchObject({ chain_id, node_id: before.ready.node_id })
    expect(await ask(after, 'genesis_request')).toMatchObject({ type: 'genesis_response' })
    await keeper('--port', String(port))
    await eventually(async () => (await peersOf(after)) === 1, 'the light peer joined again', 20_000)
  }, 30_000)

  test('started again where another chain is now, it is refused, and both sides say why', async () => {
    const full = await keeper()
    const before = await light(full.ready.port)
    await eventually(async () => (await ask(before, 'ping'))['chain_id'] !== undefined, 'the chain was learnt')
    await Promise.all([full.kill(), before.kill()])
    const other = await start('other', '--plugins', 'pow,tcp,memory', '--pow.mine=false')
    const after = await light(other.ready.port)
    await eventually(() => after.log().includes('wrong-chain') && other.log().includes('wrong-chain'), 'it was refused')
    expect(await ask(after, 'node_status')).toMatchObject({ chain_id: full.ready.chain_id, peers: 0 })
  }, 30_000)

  test('is refused a genesis file of another chain than the one that it knows', async () => {
    const full = await keeper()
    const node = await light(full.ready.port)
    await eventually(async () => (await ask(node, 'ping'))['chain_id'] !== undefined, 'the chain was learnt')
    await node.stop()
    const file = join(home.path, 'other.json')
    await Bun.write(
      file,
      JSON.stringify({ name: 'other', timestamp: '2026-01-01T00:00:00.000Z', consensus: 'instant' }),
    )
    const folder = ['--port', '0', '--data-dir', join(home.path, 'light')]
    const { code, stderr } = await aurex(home.path, 'node', '--plugins', 'tcp,sqlite', ...folder, '--genesis', file)
    expect([code, stderr]).toEqual([78, expect.stringMatching(/development .*--genesis says other .*--data-dir/s)])
  })

  test('its banner says whose chain it is on', async () => {
    const main = join(import.meta.dir, '../../core/main.ts')
    const banner = async (...given: string[]): Promise<string> => {
      const args = given.includes('--plugins') ? given : ['--plugins', 'tcp,sqlite', ...given]
      const child = Bun.spawn([process.execPath, main, 'node', '--port', '0', ...args], {
        env: cleanEnvironment(home.path),
        cwd: home.path,
        stdin: 'ignore',
        stdout: 'pipe',
        stderr: 'pipe',
      })
      let text = ''
      for await (const chunk of child.stdout) {
        text += new TextDecoder().decode(chunk)
        if (/listening[^]*\n/.test(text)) break
      }
      child.kill('SIGTERM')
      const log = await child.stderr.text()
      await child.exited
      return text + log
    }
    const none = await banner()
    expect(none).toContain('  chain      none: no engine is loaded, and neither --peers nor --genesis says which one')
    expect(none).toContain('name nodes of the chain with --peers host:port, or its genesis file with --genesis')
    expect(none).not.toContain('  try ')
    const learning = await banner('--peers', '127.0.0.1:9')
    expect(learning).toContain('  chain      that of its peers, to be learnt from 127.0.0.1:9')
    await Bun.write(
      join(home.path, 'g.json'),
      JSON.stringify({ name: 'given', timestamp: '2026-01-01T00:00:00.000Z', consensus: 'instant' }),
    )
    expect(await banner('--genesis', 'g.json')).toMatch(
      / {2}chain {6}that of its peers: given; .*\n {2}chain id {3}[0-9a-f]{64}\n/,
    )
    const shop = await banner('--plugins', 'gateway,tcp,memory', '--gateway.port', '0')
    expect(shop).toMatch(/ {2}ledger {5}memory\n {2}listening {2}127\.0\.0\.1:\d+\n {2}gateway {4}127\.0\.0\.1:\d+\n/)
    // Remembered from then on.
    expect(await banner()).toContain('  chain      that of its peers: given, remembered; it keeps none itself\n')
  }, 30_000)
})
