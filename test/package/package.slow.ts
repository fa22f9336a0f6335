// The package as its users get it: built, packed, installed from the tarball into an empty folder, and used there.
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LineClient } from '../support/lines.ts'
import { cleanEnvironment, removeFolder, temporaryFolder } from '../support/process.ts'

const root = join(import.meta.dir, '../..')
const folder = temporaryFolder()
const home = temporaryFolder()
const minutes = 60_000
const binaries = join(folder, 'node_modules/.bin')
const aurex = join(binaries, 'aurex')
/** Bun comes with the package: a machine may have none of its own. */
const environment = { ...cleanEnvironment(home), NO_COLOR: '1', PATH: `${binaries}:${process.env['PATH'] ?? ''}` }

async function run(cwd: string, ...command: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = Bun.spawn(command, {
    cwd,
    env: environment,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { code, out, err }
}

async function mustRun(cwd: string, ...command: string[]): Promise<string> {
  const { code, out, err } = await run(cwd, ...command)
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}:\n${out}${err}`)
  return out
}

/** As an author of plugins has his compiler, with the types of the package. */
const strict = '--noEmit --strict --module nodenext --target esnext --skipLibCheck --allowImportingTsExtensions'.split(
  ' ',
)

const publicPem = (): string => generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' })

beforeAll(async () => {
  await mustRun(root, process.execPath, 'run', 'build')
  await mustRun(root, 'npm', 'pack', '--pack-destination', folder)
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))!
  writeFileSync(join(folder, 'package.json'), '{ "name": "operator", "private": true, "type": "module" }')
  await mustRun(
    folder,
    'npm',
    'install',
    '--no-audit',
    '--no-fund',
    `./${tarball}`,
    'typescript@7.0.2',
    '@types/node@26.6.6',
    '@types/bun@1.4.4',
  )
}, 5 * minutes)

afterAll(() => {
  removeFolder(folder)
  removeFolder(home)
})

test(
  'the aurex command runs from the tarball and lists its plugins',
  async () => {
    const help = await mustRun(folder, 'npx', 'aurex', 'node', '--help')
    for (const plugin of ['pow', 'instant', 'tcp', 'sqlite', 'memory']) expect(help).toContain(plugin)
  },
  minutes,
)

interface Node {
  readonly port: number
  /** TERM; what it logged. */
  stop(): Promise<string>
}

/** Starts a node of the package in a data directory of its own. */
async function startNode(cwd: string, name: string, ...flags: string[]): Promise<Node> {
  const argv = ['node', '--json', '--port', '0', '--data-dir', join(home, name), ...flags]
  const child = Bun.spawn([aurex, ...argv], { cwd, env: environment, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const logged = child.stderr.text()
  const { value, done } = await child.stdout.getReader().read()
  if (done) throw new Error(`the node ${name} ended before it was ready:\n${await logged}`)
  return {
    port: (JSON.parse(new TextDecoder().decode(value)) as { port: number }).port,
    stop: async () => {
      child.kill('SIGTERM')
      return await logged
    },
  }
}

const submit = async (cwd: string, { port }: Node, data: string): Promise<{ block_index: number }> => {
  const tx = ['tx', '--node', `127.0.0.1:${port}`, '--data', data, '--wait', '--json']
  return JSON.parse(await mustRun(cwd, aurex, ...tx)) as { block_index: number }
}

test(
  'a node from the tarball mines with its workers and answers',
  async () => {
    const node = await startNode(folder, 'miner', '--difficulty', '3')
    try {
      expect(await submit(folder, node, '{"from":"tarball"}')).toMatchObject({ block_index: 1 })
      const client = await LineClient.open(node.port)
      expect(await client.ask({ type: 'chain_info' })).toMatchObject({ height: 1 })
      // What the native check refuses is asked of a thread, whose program must be in the package too.
      const transaction = { sender: 'alice', data: {}, signature: `${'A'.repeat(86)}==`, public_key_pem: publicPem() }
      const refused = await client.ask({ type: 'NEW_TRANSACTION', ...transaction })
      expect(refused).toMatchObject({ type: 'ERROR', code: 'bad-signature' })
      client.close()
    } finally {
      expect(await node.stop()).not.toContain('ruleworker')
    }
  },
  minutes,
)

test(
  'an engine in a file of one’s own type-checks against the package and runs',
  async () => {
    const engine = readFileSync(join(root, 'plugins/instant/index.ts'), 'utf8')
    writeFileSync(join(folder, 'mine.ts'), engine)
    await mustRun(folder, 'npx', 'tsc', ...strict, '--types', 'node', 'mine.ts')
    const config = await mustRun(folder, aurex, 'config', '--plugins', './mine.ts,tcp,memory')
    expect(config).toContain('mine.ts')
  },
  minutes,
)

test(
  'an engine that the package starts for its author type-checks and passes the suite',
  async () => {
    await mustRun(folder, aurex, 'new', 'consensus', 'ring')
    await mustRun(folder, 'npx', 'tsc', ...strict, '--types', 'bun', 'ring.ts', 'ring.test.ts')
    const { code, err } = await run(folder, aurex, 'test', './ring.test.ts')
    expect({ code, err: code === 0 ? '' : err }).toEqual({ code: 0, err: '' })
    // Where nothing is installed either: what it imports comes with the program.
    const bare = join(home, 'bare')
    await mustRun(home, aurex, 'new', 'consensus', 'ring', '--dir', bare)
    const there = await run(bare, aurex, 'test', './ring.test.ts')
    expect({ code: there.code, err: there.code === 0 ? '' : there.err }).toEqual({ code: 0, err: '' })
  },
  minutes,
)

test(
  'three nodes of that engine agree',
  async () => {
    const bare = join(home, 'three')
    await mustRun(home, aurex, 'new', 'consensus', 'ring', '--dir', bare)
    const addresses: string[] = []
    for (const name of ['a', 'b', 'c']) {
      const made = await mustRun(bare, aurex, 'key', 'new', '--out', `${name}.pem`, '--json')
      addresses.push((JSON.parse(made) as { address: string }).address)
    }
    const of = ['--consensus', './ring.ts', '--authorities', addresses.join()]
    await mustRun(bare, aurex, 'genesis', '--name', 'lab', ...of, '--out', 'lab.toml')
    const flags = ['--config', 'ring.toml', '--genesis', 'lab.toml']
    const nodes = [await startNode(bare, 'a', ...flags, '--key', 'a.pem')]
    try {
      const peers = ['--peers', `127.0.0.1:${nodes[0]!.port}`]
      for (const name of ['b', 'c']) nodes.push(await startNode(bare, name, ...flags, '--key', `${name}.pem`, ...peers))
      const recorded: number[] = []
      for (const [n, node] of [...nodes, ...nodes].entries()) {
        recorded.push((await submit(bare, node, `{"n":${n}}`)).block_index)
      }
      // Each is recorded before the next is submitted, elsewhere.
      expect(recorded).toEqual([1, 2, 3, 4, 5, 6])
    } finally {
      for (const node of nodes) await node.stop()
    }
  },
  minutes,
)

test(
  'the package is well-formed for those who import it',
  async () => {
    expect(existsSync(join(folder, 'node_modules/aurex/dist/core/index.d.ts'))).toBeTrue()
    expect(existsSync(join(folder, 'node_modules/aurex/dist/test/kit/index.d.ts'))).toBeTrue()
    await mustRun(root, 'npx', 'publint', '--strict')
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))!
    await mustRun(root, 'npx', 'attw', join(folder, tarball), '--profile', 'esm-only')
  },
  2 * minutes,
)
