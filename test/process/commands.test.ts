// The program as somebody at a shell has it: what each command prints, refuses and returns.
import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { command as verify } from '../../core/commands/verify.ts'
import { failure, testIo } from '../core/commands/testio.ts'
import { eventually } from '../support/eventually.ts'
import { useHome } from '../support/home.ts'
import { LineClient } from '../support/lines.ts'
import { aurex, cleanEnvironment, type NodeProcess, type Run } from '../support/process.ts'

const root = join(import.meta.dir, '../..')
const main = join(root, 'core/main.ts')
const home = useHome()
const start = (...args: string[]): Promise<NodeProcess> => home.start('--port', '0', ...args)

/** Any program, to its end. */
async function run(command: string[], env: Record<string, string> = {}, cwd = home.path): Promise<Run> {
  const child = Bun.spawn(command, {
    env: { ...cleanEnvironment(home.path), ...env },
    cwd,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [stdout, stderr, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { code, stdout, stderr }
}

/** What a command complains of, in one line without its end. */
async function complaint(...args: string[]): Promise<string> {
  const { code, stderr } = await aurex(home.path, ...args)
  return `${code} ${stderr.trimEnd().split('\n').at(-1)}`
}

const put = (name: string, text: string): string => {
  mkdirSync(join(home.path, name, '..'), { recursive: true })
  writeFileSync(join(home.path, name), text)
  return join(home.path, name)
}

const submit = async (node: NodeProcess, ...args: string[]): Promise<Run> =>
  await aurex(home.path, 'tx', '--node', `127.0.0.1:${node.ready.port}`, '--data', '{"a":1}', ...args)

/** The number `n` that a query of a ledger answers, while its node may be running. */
function query(ledger: string, sql: string): number {
  const database = new Database(ledger, { readonly: true })
  try {
    return Number(database.query<{ n: number }, []>(sql).get()?.n)
  } finally {
    database.close()
  }
}

const instantText = readFileSync(join(root, 'plugins/instant/index.ts'), 'utf8')
/** The example engine under another name, as its reader would copy it. */
const engine = (name: string): string => instantText.replaceAll("'instant'", `'${name}'`)

const observer = (setup: string): string => `
  import * as v from 'valibot'
  import { definePlugin } from 'aurex'
  export default definePlugin({
    name: 'odd', summary: 'odd', provides: 'none', needs: [], config: v.strictObject({}),
    setup(context) { ${setup} },
  })`

describe('the program', () => {
  test('names its commands, its version, and the command that was meant', async () => {
    const { stdout, code } = await aurex(home.path)
    expect(code).toBe(0)
    for (const name of ['node', 'tx', 'key', 'genesis', 'config', 'verify']) expect(stdout).toContain(`\n  ${name} `)
    expect((await aurex(home.path, '--version')).stdout).toMatch(/^aurex \d+\.\d+\.\d+\n$/)
    expect(await complaint('nod')).toBe('64 aurex: unknown-command: unknown command nod; did you mean node?')
    expect(await complaint('node', '--prot', '1')).toContain(
      '64 aurex: unknown-flag: unknown flag --prot; did you mean',
    )
    expect(await complaint('node', '--port', '99999')).toBe(
      '64 aurex: bad-value: port (flag --port): expected a whole number from 0 to 65535, got 99999',
    )
  }, 30_000)

  test('is reached as `bun run node` and `bun run aurex`', async () => {
    const [node, key] = await Promise.all([
      run(['bun', 'run', '--silent', 'node', '--help'], {}, root),
      run(['bun', 'run', '--silent', 'aurex', 'key', '--help'], {}, root),
    ])
    expect(node.stdout).toStartWith('Starts a node')
    expect(key.stdout).toStartWith('Makes a key')
  }, 30_000)

  test('asks no registry for a plugin that is not installed, and never runs what it did not find', async () => {
    const asked: string[] = []
    const registry = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch(request) {
        asked.push(request.url)
        return new Response('{}', { status: 404 })
      },
    })
    const env = { BUN_CONFIG_REGISTRY: registry.url.href, npm_config_registry: registry.url.href }
    try {
      const node = await run([process.execPath, main, 'node', '--plugins', 'zz-nobody,tcp,sqlite'], env)
      expect(node).toMatchObject({ code: 64, stderr: expect.stringContaining('unknown-plugin') })
      const genesis = ['genesis', '--name', 'x', '--consensus', '@zz/nobody', '--out', 'g.toml']
      expect((await run([process.execPath, main, ...genesis], env)).stderr).toContain('unknown-plugin')
    } finally {
      await registry.stop(true)
    }
    expect(asked).toEqual([])
  }, 30_000)
})

describe('a first start', () => {
  test('makes key and folder, and says who and where it is', async () => {
    const child = Bun.spawn([process.execPath, main, 'node', '--port', '0'], {
      env: cleanEnvironment(home.path),
      cwd: home.path,
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    let banner = ''
    for await (const chunk of child.stdout) {
      banner += new TextDecoder().decode(chunk)
      if (banner.includes('  try ')) break
    }
    child.kill('SIGTERM')
    const log = await child.stderr.text()
    expect(await child.exited).toBe(0)
    const key = JSON.parse((await aurex(home.path, 'key', 'show', 'aurex/node_0.pem', '--json')).stdout)
    expect(banner).toContain('development (built in), pow, difficulty 4')
    expect(banner).toContain(`address    ${key.address}\n`)
    expect(banner).toContain(`node id    ${key.node_id}\n`)
    expect(banner).toMatch(/chain id {3}[0-9a-f]{64}\n/)
    expect(banner).toMatch(/listening {2}127\.0\.0\.1:\d+\n {2}try +aurex tx --node 127\.0\.0\.1:\d+ --data /)
    const lines = log.trimEnd().split('\n')
    const messages = lines.map((line) => (JSON.parse(line) as { message: string }).message)
    expect(messages).toContain('making the data directory')
    expect(messages).toContain('made a key for this node')
    expect(messages.slice(-2)).toEqual(['stopping', 'stopped'])
  }, 30_000)

  test.each([
    ['under a file', 'file/below', 'ENOTDIR'],
    ['a file', 'file', 'there is a file of that name'],
  ])('says when the data directory cannot be made: %s', async (_what, path, why) => {
    put('file', '')
    const said = await complaint('node', '--port', '0', '--data-dir', path)
    expect(said).toContain(
      `78 aurex: data-dir-failed: data_dir (flag --data-dir): cannot make the directory ${join(home.path, path)}: ${why}`,
    )
    expect(said).toEndWith('choose another with --data-dir')
  })

  test('says which of its peers is not reached, and lives without it', async () => {
    const node = await start('--plugins', 'instant,tcp,sqlite', '--peers', '127.0.0.1:2')
    const said = (): string[] =>
      node
        .log()
        .split('\n')
        .filter((line) => line.includes('a node of --peers'))
    await eventually(() => said().length > 0, 'a line about the peer')
    expect(said()).toEqual([expect.stringMatching(/127\.0\.0\.1:2.*connect-failed/)])
    expect(await node.stop()).toBe(0)
  }, 30_000)

  test('warns of a key that others may read, and takes no other kind', async () => {
    await run(['openssl', 'genpkey', '-algorithm', 'ed25519', '-out', 'ed.pem'])
    await run(['openssl', 'genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', 'ec.pem'])
    chmodSync(join(home.path, 'ed.pem'), 0o644)
    const node = await start('--plugins', 'instant,tcp,memory', '--key', 'ed.pem')
    expect(node.log()).toContain('others may use this key (mode 0644, expected 0600); run: chmod 600')
    expect(await complaint('node', '--key', 'ec.pem')).toContain('78 aurex: bad-key-file:')
    expect(await complaint('node', '--key', 'none.pem')).toContain('78 aurex: no-key-file:')
  }, 30_000)
})

describe('the end of a node', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s stops it in order',
    async (signal) => {
      const node = await start('--plugins', 'instant,tcp,sqlite')
      node.process.kill(signal)
      expect(await node.process.exited).toBe(0)
      await eventually(() => node.log().includes('"stopped"'), 'its last line')
      expect(node.log()).toContain(`"reason":"${signal}"`)
    },
    30_000,
  )

  test('a release that never ends is named and not waited for; a second signal does not wait at all', async () => {
    const file = put('odd.ts', observer('context.defer(() => new Promise(() => {})); setInterval(() => {}, 1000)'))
    const plugins = ['--plugins', `instant,tcp,sqlite,${file}`]
    const patient = await start(...plugins, '--limits.release-milliseconds-max', '50')
    expect(await patient.stop()).toBe(0)
    await eventually(() => patient.log().includes('"stopped"'), 'its last line')
    expect(patient.log()).toMatch(/takes too long.*"logger":"odd"/)
    const hurried = await start(...plugins)
    hurried.process.kill('SIGINT')
    await eventually(() => hurried.log().includes('"stopping"'), 'the first signal being heard')
    hurried.process.kill('SIGINT')
    expect(await hurried.process.exited).toBe(130)
  }, 30_000)

  test('in the middle of mining is prompt, and closes the ranges that were handed out', async () => {
    const node = await start('--difficulty', '10', '--pow.threads', '2')
    expect((await submit(node)).code).toBe(0)
    const pool = (what: string) => query(node.ready.ledger, `select ${what} as n from mining_pool`)
    await eventually(() => pool('count(distinct worker_id)') === 2, 'both workers having a range')
    expect(await node.stop()).toBe(0)
    expect(pool('sum(completed = 0 and solution_nonce is null)')).toBeGreaterThan(0)
    const overlaps = 'a join mining_pool b on a.nonce_start < b.nonce_start and b.nonce_start < a.nonce_end'
    expect(query(node.ready.ledger, `select count(*) as n from mining_pool ${overlaps}`)).toBe(0)
  }, 30_000)
})

describe('a node with proof of work', () => {
  test('that only verifies keeps what is pending', async () => {
    const node = await start('--pow.mine=false', '--difficulty', '1')
    expect((await submit(node)).code).toBe(0)
    const client = await LineClient.open(node.ready.port)
    expect(await client.ask({ type: 'chain_info' })).toMatchObject({ height: 0, pending: 1 })
    client.close()
    expect(await node.stop()).toBe(0)
    expect(query(node.ready.ledger, 'select count(*) as n from mining_pool')).toBe(0)
    expect(node.log()).not.toContain('block found')
  }, 30_000)

  test('makes empty blocks where it is told to, and says what it found', async () => {
    const node = await start('--difficulty', '1', '--pow.mine-empty-after', '0.01')
    const client = await LineClient.open(node.ready.port)
    await eventually(async () => Number((await client.ask({ type: 'chain_info' }))['height']) >= 3, 'three blocks')
    client.close()
    expect(await node.stop()).toBe(0)
    const empty = 'select count(*) as n from blocks where transactions_count = 0 and "index" > 0'
    expect(query(node.ready.ledger, empty)).toBeGreaterThanOrEqual(3)
    const line = node
      .log()
      .split('\n')
      .find((one) => one.includes('block found'))
    expect(JSON.parse(line ?? '{}')).toMatchObject({
      logger: 'pow',
      index: 1,
      hash: expect.stringMatching(/^0[0-9a-f]{63}$/),
      nonce: expect.any(Number),
      attempts: expect.any(Number),
      milliseconds: expect.any(Number),
      hashesPerSecond: expect.any(Number),
    })
  }, 30_000)
})

describe('two nodes', () => {
  test('do not share a port or a ledger, and say what to do', async () => {
    const node = await start('--plugins', 'instant,tcp,sqlite')
    const { port, ledger } = node.ready
    const other = ['node', '--data-dir', 'other', '--plugins', 'instant,tcp,sqlite']
    expect(await complaint(...other, '--port', String(port))).toMatch(/^69 aurex: address-in-use: .*--port$/)
    expect(await complaint(...other, '--port', '0', '--sqlite.path', ledger)).toMatch(
      /^75 aurex: ledger-in-use: .*--port/,
    )
  }, 30_000)

  test('with the same genesis file are on the chain whose id anybody can compute', async () => {
    const made = await aurex(
      home.path,
      'genesis',
      '--name',
      'shop',
      '--consensus',
      'pow',
      '--difficulty',
      '1',
      '--out',
      'g.toml',
    )
    expect(made.stdout).toContain('start:    aurex node --plugins pow,tcp,sqlite --genesis g.toml\n')
    const python = `
import hashlib, json, tomllib
text = json.dumps(tomllib.load(open('g.toml', 'rb')), sort_keys=True, separators=(',', ':'), ensure_ascii=False)
print(hashlib.sha256(text.encode()).hexdigest())`
    const computed = (await run(['python3', '-c', python])).stdout.trim()
    expect(made.stdout).toContain(`chain_id: ${computed}\n`)
    const [one, two] = await Promise.all([
      start('--genesis', 'g.toml', '--data-dir', 'one'),
      start('--genesis', 'g.toml', '--data-dir', 'two', '--difficulty', '1'),
    ])
    expect([one.ready.chain_id, two.ready.chain_id]).toEqual([computed, computed])
    expect(await complaint('node', '--genesis', 'g.toml', '--difficulty', '2')).toMatch(
      /^64 aurex: genesis-fixes-it: pow\.difficulty \(flag --difficulty\): the genesis .* says 1, .*got 2; leave it out$/,
    )
  }, 30_000)
})

describe('a plugin of one’s own', () => {
  test('has a second file and a package of its own, and is started from another folder', async () => {
    put('far/node_modules/weights/package.json', '{"name":"weights","version":"1.0.0","main":"index.js"}')
    put('far/node_modules/weights/index.js', 'module.exports = 1\n')
    put(
      'far/lib/weight.ts',
      `import { accepted } from 'aurex'\nexport const weight = (n: number) => BigInt(accepted.ok ? n : 0)`,
    )
    const imports = `import one from 'weights'\nimport { weight } from './lib/weight.ts'\n`
    const file = put('far/mine.ts', imports + engine('mine').replace('weight: () => 1n', 'weight: () => weight(one)'))
    for (const name of [file, './far/mine.ts']) {
      const node = await start('--plugins', `${name},tcp,memory`)
      const { stdout } = await submit(node, '--wait', '--json')
      expect(JSON.parse(stdout)).toMatchObject({ status: 'included', block_index: 1 })
    }
  }, 30_000)

  test('is an npm package in the working directory', async () => {
    put('node_modules/my-engine/package.json', '{"name":"my-engine","version":"1.0.0","exports":"./index.ts"}')
    put('node_modules/my-engine/index.ts', engine('my-engine'))
    const node = await start('--plugins', 'my-engine,tcp,memory')
    expect((await submit(node, '--wait')).code).toBe(0)
  }, 30_000)

  test.each([
    ['throws', `\nthrow new Error('ouch')`, /78 aurex: plugin-broken: .*bad\.ts failed: ouch \(.*bad\.ts:2:\d+\)$/],
    [
      'is not TypeScript',
      `export default {\n  name: 'x'\n  summary: 'y',\n}`,
      /78 aurex: plugin-broken: .*bad\.ts:3:3: /,
    ],
    [
      'is no plugin',
      `export default { name: 'x' }`,
      /78 aurex: plugin-broken: plugin \.\/bad\.ts: summary: it is missing$/,
    ],
    ['has a reserved name', observer('').replace("'odd'", "'chain'"), /78 aurex: plugin-broken: .*chain is reserved/],
    [
      'cannot be set up',
      engine('mine').replace(
        '(context, config): Consensus => ({',
        `(): Consensus => { throw new Error('no luck') }, x: () => ({`,
      ),
      /1 aurex: setup-failed: plugin mine: setup failed: no luck \(.*bad\.ts:\d+:\d+\)$/,
    ],
  ])('that %s is told with its place', async (_what, text, expected) => {
    put('bad.ts', text)
    expect(await complaint('node', '--port', '0', '--plugins', './bad.ts,tcp,sqlite')).toMatch(expected)
  })
})

describe('aurex verify', () => {
  test('looks at a ledger whatever state it is in, and runs no code that only the ledger names', async () => {
    put('mine.ts', engine('mine'))
    // Installed, and of the name that stands in the ledger.
    put('node_modules/mine/package.json', '{"name":"mine","version":"1.0.0","exports":"./index.ts"}')
    put('node_modules/mine/index.ts', `import { writeFileSync } from 'node:fs'\nwriteFileSync('ran', '')\n`)
    const node = await start('--plugins', './mine.ts,tcp,sqlite')
    const client = await LineClient.open(node.ready.port)
    expect((await submit(node, '--wait')).code).toBe(0)
    client.close()
    const { ledger } = node.ready
    const sound = `${ledger}, chain ${node.ready.chain_id}: 1 block, 1 transaction\n`
    expect(await aurex(home.path, 'verify', ledger, '--engine', './mine.ts')).toMatchObject({
      code: 0,
      stdout: `sound: ${sound}`,
    })
    await node.kill()
    expect(await aurex(home.path, 'verify', ledger, '--engine', './mine.ts')).toMatchObject({
      code: 0,
      stdout: `sound: ${sound}`,
    })
    expect(await complaint('verify', ledger)).toMatch(
      /^78 aurex: unknown-engine: the engine mine is not built in.*--engine$/,
    )
    expect(existsSync(join(home.path, 'ran'))).toBe(false)
    expect(await complaint('verify', ledger, '--engine', 'pow')).toMatch(/^64 aurex: wrong-engine:/)
  }, 30_000)

  test('is interrupted at once, however long the ledger', async () => {
    const node = await start('--plugins', 'instant,tcp,sqlite')
    expect((await submit(node, '--wait')).code).toBe(0)
    const io = testIo()
    io.controller.abort('SIGINT')
    expect(await failure(verify.run([node.ready.ledger], io))).toMatchObject({ code: 'interrupted', exit: 75 })
    io.remove()
  }, 30_000)

  test('names what is wrong with a file that is none, or only a part of one', async () => {
    const node = await start('--plugins', 'instant,tcp,sqlite')
    expect((await submit(node, '--wait')).code).toBe(0)
    await node.stop()
    const part = join(home.path, 'part.sqlite3')
    copyFileSync(node.ready.ledger, part)
    truncateSync(part, 20_000)
    const { code, stdout } = await aurex(home.path, 'verify', part, '--json')
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, ledger: part })
    const genesis = join(home.path, 'genesis.sqlite3')
    copyFileSync(node.ready.ledger, genesis)
    const database = new Database(genesis)
    database.run(`update meta set value = '{bad' where key = 'genesis'`)
    database.close()
    expect(await aurex(home.path, 'verify', genesis)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('WRONG: meta'),
    })
    put('text', 'no ledger '.repeat(1000))
    expect(await complaint('verify', 'text')).toMatch(/^78 aurex: not-a-ledger:/)
    expect(await complaint('verify', 'none')).toMatch(/^78 aurex: ledger-missing:/)
    expect(await complaint('verify', '.')).toMatch(/^64 aurex: bad-file: \.: this is a directory/)
    expect(await complaint('verify')).toMatch(/^64 aurex: missing-argument:/)
  }, 30_000)
})

describe('a terminal', () => {
  /** Runs on a terminal of its own; what it shows, with its colours. */
  const onTerminal = async (env: Record<string, string>, ...args: string[]): Promise<string> => {
    const python = 'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))'
    return (await run(['python3', '-c', python, process.execPath, main, ...args], env)).stdout.replaceAll('\r\n', '\n')
  }

  test('sees lines for people, in colour unless NO_COLOR is set; anything else gets JSON', async () => {
    const node = await start('--plugins', 'instant,tcp,sqlite')
    // One that logs and ends by itself: its port is taken.
    const args = ['node', '--data-dir', 'b', '--plugins', 'instant,tcp,sqlite', '--port', String(node.ready.port)]
    const plain = await onTerminal({ NO_COLOR: '1' }, ...args)
    expect(plain).toMatch(/^\d\d:\d\d:\d\d\.\d{3} INF node: making the data directory path=\S+\/b\n/)
    expect(plain).not.toContain('\x1b')
    expect(await onTerminal({}, ...args)).toMatch(/\x1b\[\d+m/) // oxlint-disable-line no-control-regex
    for (const line of (await aurex(home.path, ...args)).stderr.split('\n').slice(0, -2)) JSON.parse(line)
  }, 30_000)
})
