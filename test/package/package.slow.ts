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

test(
  'a node from the tarball mines with its workers and answers',
  async () => {
    const child = Bun.spawn([aurex, 'node', '--json', '--port', '0', '--data-dir', home, '--difficulty', '3'], {
      cwd: folder,
      env: environment,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    try {
      const { value } = await child.stdout.getReader().read()
      const { port } = JSON.parse(new TextDecoder().decode(value)) as { port: number }
      const submitted = await mustRun(
        folder,
        aurex,
        'tx',
        '--node',
        `127.0.0.1:${port}`,
        '--data',
        '{"from":"tarball"}',
        '--wait',
        '--json',
      )
      expect(JSON.parse(submitted)).toMatchObject({ block_index: 1 })
      const client = await LineClient.open(port)
      expect(await client.ask({ type: 'chain_info' })).toMatchObject({ height: 1 })
      // What the native check refuses is asked of a thread, whose program must be in the package too.
      const transaction = { sender: 'alice', data: {}, signature: `${'A'.repeat(86)}==`, public_key_pem: publicPem() }
      const refused = await client.ask({ type: 'NEW_TRANSACTION', ...transaction })
      expect(refused).toMatchObject({ type: 'ERROR', code: 'bad-signature' })
      client.close()
    } finally {
      child.kill('SIGTERM')
      await child.exited
    }
    expect(await child.stderr.text()).not.toContain('ruleworker')
  },
  minutes,
)

test(
  'an engine in a file of one’s own type-checks against the package and runs',
  async () => {
    const engine = readFileSync(join(root, 'plugins/instant/index.ts'), 'utf8')
    writeFileSync(join(folder, 'mine.ts'), engine)
    const strict = [
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      '--target',
      'esnext',
      '--skipLibCheck',
      '--types',
      'node',
    ]
    await mustRun(folder, 'npx', 'tsc', ...strict, 'mine.ts')
    const config = await mustRun(folder, aurex, 'config', '--plugins', './mine.ts,tcp,memory')
    expect(config).toContain('mine.ts')
  },
  minutes,
)

test(
  'the package is well-formed for those who import it',
  async () => {
    expect(existsSync(join(folder, 'node_modules/aurex/dist/core/index.d.ts'))).toBeTrue()
    await mustRun(root, 'npx', 'publint', '--strict')
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))!
    await mustRun(root, 'npx', 'attw', join(folder, tarball), '--profile', 'esm-only')
  },
  2 * minutes,
)
