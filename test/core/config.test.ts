import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import { describeKeys, explain, resolveConfig, type ConfigInput } from '../../core/config.ts'
import { resolvePlugin } from '../../core/load.ts'
import type { LoadedPlugin } from '../../core/plugin.ts'

/** What a promise is rejected with. */
const thrownBy = async (promise: Promise<unknown>): Promise<Error> => {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('expected a rejection')
}

const root = join(import.meta.dir, '../..')

const make = (name: string, provides: LoadedPlugin['provides'], more: Partial<LoadedPlugin> = {}): LoadedPlugin => ({
  name,
  summary: name,
  provides,
  needs: [],
  config: v.strictObject({}),
  setup: () => ({}),
  ...more,
})

const engine = make('pow', 'consensus', {
  config: v.strictObject({
    mine: v.optional(v.boolean(), true),
    mine_empty_after: v.optional(v.pipe(v.number(), v.minValue(0)), 0),
    tags: v.optional(v.array(v.number()), []),
    only: v.optional(v.union([v.literal('any'), v.array(v.string())]), 'any'),
    api_token: v.exactOptional(v.pipe(v.string(), v.minLength(6))),
  }),
  parameters: v.pipe(
    v.strictObject({
      difficulty: v.optional(v.pipe(v.number(), v.integer(), v.maxValue(13)), 4),
      block_time: v.exactOptional(v.number()),
      half_life: v.exactOptional(v.number()),
    }),
    v.check(({ block_time, half_life }) => half_life === undefined || block_time !== undefined, 'give block_time too'),
  ),
})
const known: Record<string, LoadedPlugin> = {
  pow: engine,
  instant: make('instant', 'consensus'),
  tcp: make('tcp', 'transport', { config: v.strictObject({ host: v.optional(v.string(), '127.0.0.1') }) }),
  sqlite: make('sqlite', 'storage'),
  gateway: make('gateway', 'transport', {
    config: v.strictObject({ host: v.optional(v.string(), '::'), port: v.optional(v.number(), 5000) }),
  }),
  market: make('market', 'application', {
    parameters: v.strictObject({
      money: v.optional(v.picklist(['record', 'strict']), 'record'),
      balances: v.exactOptional(v.record(v.string(), v.string())),
    }),
  }),
  other: make('other', 'application'),
  finality: make('finality', 'finality', {
    config: v.strictObject({ vote: v.optional(v.boolean(), true) }),
    parameters: v.strictObject({
      authorities: v.array(v.string()),
      checkpoint_every: v.optional(v.number(), 1),
    }),
  }),
  'my-app': make('my-app', 'none', { config: v.strictObject({ must: v.string() }) }),
}

interface World {
  readonly flags?: string
  readonly env?: Record<string, string>
  readonly files?: Record<string, string>
  readonly ownFlags?: ConfigInput['ownFlags']
}

/** `flags` are parted at blanks. The config file, if there is one, is `/etc/aurex/node.toml`. */
const resolve = ({ flags = '', env = {}, files = {}, ownFlags }: World = {}) =>
  resolveConfig({
    argv: [
      ...(files['/etc/aurex/node.toml'] === undefined ? [] : ['--config', '/etc/aurex/node.toml']),
      ...flags.split(' ').filter(Boolean),
    ],
    env: { HOME: '/home/me', ...env },
    cwd: '/place',
    readText: (path) => files[path],
    resolve: async (name, cwd) => known[name] ?? resolvePlugin(name, cwd),
    ...(ownFlags && { ownFlags }),
  })
const file = (text: string) => ({ '/etc/aurex/node.toml': text })

const row = (resolved: Awaited<ReturnType<typeof resolve>>, key: string) => {
  const { value, origin } = explain(resolved).find((one) => one.key === key)!
  return `${value} (${origin})`
}

const genesisOfNobody = 'name = "a"\ntimestamp = "2026-11-21T00:00:00.000Z"\nconsensus = "bft"\ngateways = []\n'

describe('without anything said', () => {
  test('the development chain is the same for everybody with the same engine and parameters', async () => {
    const chainOf = async (flags: string) => (await resolve({ flags })).genesis?.rules.chainId
    const mine = await chainOf('')
    expect(mine).toMatch(/^[0-9a-f]{64}$/)
    expect(
      await chainOf('--name other --port 13246 --data-dir elsewhere --peers 127.0.0.1:13245 --pow.mine=false'),
    ).toBe(mine)
    expect(await chainOf('--difficulty 4')).toBe(mine)
    expect(await chainOf('--difficulty 3')).not.toBe(mine)
    expect(await chainOf('--plugins instant,tcp,sqlite')).not.toBe(mine)
  })

  test('a node mines on the development chain', async () => {
    const resolved = await resolve()
    expect(resolved.core).toEqual({
      name: 'node',
      dataDir: '/home/me/.local/share/aurex',
      genesisPath: undefined,
      keyPath: undefined,
      port: 13245,
      peers: [],
      allowPeers: [],
      dialNetworks: [],
      advertise: undefined,
      logLevel: 'info',
      logFile: undefined,
    })
    expect(resolved.plugins.map(({ plugin }) => plugin.name)).toEqual(['pow', 'tcp', 'sqlite'])
    expect(resolved.plugins[0]).toMatchObject({ config: { mine: true }, parameters: { difficulty: 4 } })
    expect(resolved.genesis).toMatchObject({ name: 'development', consensus: 'pow', parameters: { difficulty: 4 } })
    expect(resolved.limits.connections_max).toBe(2048)
    expect(explain(resolved).every(({ origin }) => origin === 'default')).toBe(true)
  })

  test('data is kept where XDG says', async () => {
    expect((await resolve({ env: { XDG_DATA_HOME: '/data' } })).core.dataDir).toBe('/data/aurex')
    expect((await resolve({ env: { XDG_DATA_HOME: 'relative' } })).core.dataDir).toBe('/home/me/.local/share/aurex')
    expect(await thrownBy(resolve({ env: { HOME: '' } }))).toMatchObject({ code: 'no-data-dir', exit: 78 })
    expect((await resolve({ env: { HOME: '' }, flags: '--data-dir d' })).core.dataDir).toBe('/place/d')
  })
})

describe('precedence', () => {
  const files = file('name = "f"\nport = 1\n[pow]\nmine_empty_after = 1\n[limits]\nconnections_max = 1')
  const env = { AUREX_NAME: 'e', AUREX_PORT: '2', AUREX_POW_MINE_EMPTY_AFTER: '2', AUREX_LIMITS_CONNECTIONS_MAX: '2' }
  const keys = ['name', 'port', 'pow.mine_empty_after', 'limits.connections_max']

  test('is flags, environment, file, default', async () => {
    const flags = '--name g --port 3 --pow.mine-empty-after 3 --limits.connections-max 3'
    const rows = async (world: World) => {
      const resolved = await resolve(world)
      return keys.map((key) => row(resolved, key))
    }
    expect(await rows({})).toEqual(['node (default)', '13245 (default)', '0 (default)', '2048 (default)'])
    const from = ' (file /etc/aurex/node.toml)'
    expect(await rows({ files })).toEqual([`f${from}`, `1${from}`, `1${from}`, `1${from}`])
    expect(await rows({ files, env })).toEqual([
      'e (environment AUREX_NAME)',
      '2 (environment AUREX_PORT)',
      '2 (environment AUREX_POW_MINE_EMPTY_AFTER)',
      '2 (environment AUREX_LIMITS_CONNECTIONS_MAX)',
    ])
    expect(await rows({ files, env, flags })).toEqual([
      'g (flag --name)',
      '3 (flag --port)',
      '3 (flag --pow.mine-empty-after)',
      '3 (flag --limits.connections-max)',
    ])
  })

  test('holds for the plugins themselves', async () => {
    const names = async (world: World) => (await resolve(world)).plugins.map(({ plugin }) => plugin.name).join()
    const files = file('plugins = ["instant", "sqlite"]')
    expect(await names({ files })).toBe('instant,sqlite')
    expect(await names({ files, env: { AUREX_PLUGINS: 'instant,tcp' } })).toBe('instant,tcp')
    expect(await names({ files, env: { AUREX_PLUGINS: 'tcp' }, flags: '--plugins=tcp,gateway' })).toBe('tcp,gateway')
  })

  test('a variable that is empty is not set', async () => {
    expect((await resolve({ env: { AUREX_NAME: '', AUREX_PLUGINS: '' } })).core.name).toBe('node')
  })
})

describe('the command line', () => {
  const config = async (flags: string) => (await resolve({ flags })).plugins[0]!.config as Record<string, unknown>

  test.each([
    ['--pow.mine', true],
    ['--pow.mine=true', true],
    ['--pow.mine=false', false],
    ['--no-pow.mine', false],
    ['--pow.mine --no-pow.mine', false],
  ])('switches: %s', async (flags, mine) => expect((await config(flags))['mine']).toBe(mine))

  test.each([
    '--pow.mine_empty_after 5',
    '--pow.mine-empty-after=5',
    '--pow.mine-empty-after 1e1 --pow.mine_empty_after 5',
  ])('takes - and _ for the same, the last counts: %s', async (flags) =>
    expect((await config(flags))['mine_empty_after']).toBe(5),
  )

  test('reads what the schema wants', async () => {
    expect(await config('--pow.tags 1,2 --pow.tags=3 --pow.only a,b')).toMatchObject({
      tags: [1, 2, 3],
      only: ['a', 'b'],
    })
    expect(await config('--pow.only any')).toMatchObject({ only: 'any' })
    const { core } = await resolve({ flags: '--peers a:1,[::1]:2 --peers c:3 --log-level debug' })
    expect(core).toMatchObject({ peers: ['a:1', '[::1]:2', 'c:3'], logLevel: 'debug' })
  })

  test('has short names for what everybody sets', async () => {
    const resolved = await resolve({ flags: '--difficulty 2 --tcp.port 7' })
    expect(resolved.genesis!.parameters).toEqual({ difficulty: 2 })
    expect(resolved.core.port).toBe(7)
    expect(row(resolved, 'pow.difficulty')).toBe('2 (flag --difficulty)')
    expect(await thrownBy(resolve({ flags: '--plugins instant,sqlite --difficulty 2' }))).toMatchObject({
      code: 'unknown-flag',
    })
  })

  test("leaves a command's own flags to it", async () => {
    const ownFlags = { json: 'boolean', help: 'boolean', out: 'string' } as const
    expect((await resolve({ flags: '--json --out x -h --name n', ownFlags })).own).toEqual({
      json: true,
      help: true,
      out: 'x',
    })
  })

  test.each([
    ['--prot 1', 'unknown-flag', '--prot', 'did you mean --port'],
    ['--pow.mien', 'unknown-flag', '--pow.mien', 'did you mean --pow.mine'],
    ['--no-name', 'unknown-flag', '--no-name', ''],
    ['--gateway.port 1', 'unknown-flag', '--gateway.port', 'gateway is not loaded; add it to --plugins'],
    ['-x', 'unknown-flag', '-x', ''],
    ['--name', 'missing-value', '--name', ''],
    ['--name --port 1', 'missing-value', '--name', ''],
    ['--plugins', 'missing-value', '--plugins', ''],
    ['--pow.mine=maybe', 'bad-value', '--pow.mine', 'maybe'],
    ['--pow.mine false', 'unexpected-argument', 'false', 'write --pow.mine=false'],
    ['start', 'unexpected-argument', 'start', ''],
    ['-- start', 'unexpected-argument', 'start', ''],
    ['--port abc', 'bad-value', 'port (flag --port)', 'expected a whole number from 0 to 65535, got "abc"'],
    ['--port 0x10', 'bad-value', 'port (flag --port)', 'got "0x10"'],
    ['--port 70000', 'bad-value', 'port (flag --port)', 'expected a whole number from 0 to 65535, got 70000'],
    ['--port=-1', 'bad-value', 'port (flag --port)', 'from 0 to 65535, got -1'],
    ['--peers a:1,b', 'bad-value', 'peers (flag --peers)', 'expected host:port, got "b"; write it like b:13245'],
    ['--peers ::1:13245', 'bad-value', 'peers (flag --peers)', 'write it like [::1]:13245'],
    ['--peers http://a.example:4000/', 'bad-value', 'peers (flag --peers)', 'write it like a.example:4000'],
    ['--peers [1:2]:80', 'bad-value', 'peers (flag --peers)', 'write it like 127.0.0.1:13245'],
    ['--advertise 2001:db8::1', 'bad-value', 'advertise (flag --advertise)', 'write it like [2001:db8::1]:13245'],
    ['--dial-networks 10.1.2.3/8', 'bad-value', 'dial_networks (flag --dial-networks)', 'lies in 10.0.0.0/8'],
    ['--dial-networks 10.0.0.5', 'bad-value', 'dial_networks', 'this host alone is 10.0.0.5/32'],
    ['--allow-peers bob', 'bad-value', 'allow_peers (flag --allow-peers)', 'expected a node id or an address'],
    [`--allow-peers ${'0'.repeat(64)}`, 'bad-value', 'allow_peers', 'expected a node id or an address'],
    ['--name=', 'bad-value', 'name (flag --name)', 'expected at least 1 character, got 0'],
    ['--pow.mine-empty-after=-2', 'bad-value', 'pow.mine_empty_after', 'expected a number from 0 up, got -2'],
    ['--log-level loud', 'bad-value', 'log_level (flag --log-level)', 'one of debug, info, warning, error, got "loud"'],
    ['--log-level warn', 'bad-value', 'got "warn"', 'did you mean warning?'],
    ['--difficulty 14', 'bad-value', 'pow.difficulty (flag --difficulty)', 'expected a whole number up to 13, got 14'],
    ['--plugins pwo', 'unknown-plugin', 'pwo', 'did you mean pow'],
    ['--plugins=', 'bad-value', 'plugins (flag --plugins)', ''],
  ])('%s is a mistake of usage', async (flags, code, first, second) => {
    const promise = resolve({ flags })
    expect(await thrownBy(promise)).toMatchObject({ code, exit: 64 })
    for (const part of [first, second]) expect((await thrownBy(promise)).message).toContain(part)
  })
})

describe('the environment', () => {
  test.each([
    [{ AUREX_PRT: '1' }, 'unknown-key', 'AUREX_PRT', 'did you mean AUREX_PORT'],
    [{ AUREX_POW_DIFICULTY: '1' }, 'unknown-key', 'AUREX_POW_DIFICULTY', 'did you mean AUREX_POW_DIFFICULTY'],
    [{ AUREX_PORT: 'x' }, 'bad-value', 'port (environment AUREX_PORT)', 'got "x"'],
    [{ AUREX_PLUGINS: 'nosuchthing' }, 'unknown-plugin', 'nosuchthing', ''],
  ])('%o is a mistake of configuration', async (env, code, first, second) => {
    const promise = resolve({ env })
    // What a plugin's name in front of a key means is known only when the plugin is.
    expect(await thrownBy(promise)).toMatchObject({ code, exit: 78 })
    for (const part of [first, second]) expect((await thrownBy(promise)).message).toContain(part)
  })

  test('has the names that predate aurex, after those of aurex', async () => {
    const env = { RPC_LISTEN_HOST: '1.2.3.4', RPC_LISTEN_PORT: '5', SERVER_NOTIFY_PORT: '6', AUREX_GATEWAY_PORT: '7' }
    const resolved = await resolve({ flags: '--plugins gateway,tcp', env })
    expect(resolved.plugins[0]!.config).toEqual({ host: '1.2.3.4', port: 7 })
    expect(row(resolved, 'gateway.host')).toBe('1.2.3.4 (environment RPC_LISTEN_HOST)')
    expect(resolved.unused).toEqual([
      { name: 'notifier.port', origin: { from: 'environment', variable: 'SERVER_NOTIFY_PORT' } },
    ])
  })

  test('may speak to plugins that are not loaded this time', async () => {
    const { unused } = await resolve({ flags: '--plugins instant,sqlite', env: { AUREX_POW_MINE: 'false' } })
    expect(unused.map(({ name }) => name)).toEqual(['AUREX_POW_MINE'])
  })

  test('sets the port under the name of its transport too', async () => {
    expect((await resolve({ env: { AUREX_TCP_PORT: '9' } })).core.port).toBe(9)
  })
})

describe('the file', () => {
  test('gives paths relative to itself; flags and environment relative to the working directory', async () => {
    const files = file('data_dir = "d"\nkey = "~/k.pem"\nlog_file = "/var/log/x"')
    expect((await resolve({ files })).core).toMatchObject({
      dataDir: '/etc/aurex/d',
      keyPath: '/home/me/k.pem',
      logFile: '/var/log/x',
    })
    const { core } = await resolve({ files, flags: '--data-dir d', env: { AUREX_KEY: 'k' } })
    expect(core).toMatchObject({ dataDir: '/place/d', keyPath: '/place/k' })
  })

  test('is named by a variable as well, and lists may be text', async () => {
    const files = { '/place/x.toml': 'plugins = "instant, sqlite"\npeers = ["a:1"]\n[tcp]\nport = 4' }
    const { plugins, core, unused } = await resolve({ env: { AUREX_CONFIG: 'x.toml' }, files })
    expect(plugins.map(({ plugin }) => plugin.name)).toEqual(['instant', 'sqlite'])
    expect(core.peers).toEqual(['a:1'])
    expect(unused.map(({ name }) => name)).toEqual(['tcp'])
  })

  test('looks for plugins beside itself', async () => {
    expect((await thrownBy(resolve({ files: file('plugins = ["./mine.ts"]') }))).message).toContain(
      '/etc/aurex/mine.ts',
    )
  })

  test.each([
    ['prot = 1', 'unknown-key', 'prot', 'did you mean port'],
    ['config = "x"', 'unknown-key', 'config', ''],
    ['[pow]\nmien = true', 'unknown-key', 'mien in [pow]', 'did you mean mine'],
    ['[pwo]\nmine = true', 'unknown-key', 'pwo', 'did you mean pow'],
    ['[limits]\nconnection_max = 1', 'unknown-key', 'connection_max in [limits]', 'did you mean connections_max'],
    ['port = "1"', 'bad-value', 'port (file /etc/aurex/node.toml)', 'expected a whole number from 0 to 65535, got "1"'],
    ['pow = 5', 'unknown-key', 'pow', ''],
    ['[pow]\nmine = 1', 'bad-value', 'pow.mine (file /etc/aurex/node.toml)', 'expected true or false, got 1'],
    ['[port]\nx = 1', 'unknown-key', 'port', ''],
    ['port = 1\n[tcp]\nport = 2', 'set-twice', 'port is set twice', 'tcp.port'],
    ['name = "a"\nport = = 1', 'bad-toml', '/etc/aurex/node.toml:2:8: ', ''],
    ['name = "a"\nname = "b"', 'bad-toml', '/etc/aurex/node.toml:2:', ''],
    ['[pow]\nhalf_life = 5', 'bad-value', 'give block_time too', 'pow.half_life (file /etc/aurex/node.toml)'],
    ['plugins = 5', 'bad-value', 'plugins (file /etc/aurex/node.toml)', 'got 5'],
    ['plugins = ["my-app"]', 'bad-value', 'my-app.must: must be set', 'AUREX_MY_APP_MUST'],
  ])('%j is a mistake of configuration', async (text, code, first, second) => {
    const promise = resolve({ files: file(text) })
    expect(await thrownBy(promise)).toMatchObject({ code, exit: 78 })
    for (const part of [first, second]) expect((await thrownBy(promise)).message).toContain(part)
  })

  test('that is missing is named', async () => {
    expect(await thrownBy(resolve({ flags: '--config no.toml' }))).toMatchObject({
      code: 'no-such-file',
      exit: 78,
      message: expect.stringContaining('there is no config file /place/no.toml'),
    })
  })

  test('that is no text, a directory, or nobody may read is named', async () => {
    const message = async (readText: ConfigInput['readText']) => {
      const promise = resolveConfig({ argv: ['--config', 'x'], env: { HOME: '/h' }, cwd: '/place', readText })
      expect(await thrownBy(promise)).toMatchObject({ code: 'unreadable-file', exit: 78 })
      return (await thrownBy(promise)).message
    }
    const fails = (code: string) => () => {
      throw Object.assign(new Error(`${code}: the system's words`), { code })
    }
    expect(await message(fails('EISDIR'))).toBe('/place/x: this is a directory; name a file in it')
    expect(await message(fails('EACCES'))).toBe("/place/x: it cannot be read: EACCES: the system's words")
    expect(await message(() => 'a\0b')).toBe('/place/x: expected text in UTF-8, got other bytes')
  })
})

describe('the genesis', () => {
  const genesis = (more = '', pow = 'difficulty = 2') => ({
    '/place/g.toml': `name = "x"\ntimestamp = "2026-11-21T00:00:00.000Z"\nconsensus = "pow"\ngateways = "any"\n${more}\n[pow]\n${pow}`,
  })
  const flags = '--genesis g.toml'

  test('fixes the parameters, and says so', async () => {
    const resolved = await resolve({ flags, files: genesis() })
    expect(resolved.genesis).toMatchObject({ name: 'x', parameters: { difficulty: 2 } })
    expect(resolved.plugins[0]!.parameters).toEqual({ difficulty: 2 })
    expect(row(resolved, 'pow.difficulty')).toBe('2 (genesis /place/g.toml)')
  })

  test.each(['--difficulty 2', '--pow.difficulty=2.0'])('may be repeated: %s', async (same) => {
    const resolved = await resolve({ flags: `${flags} ${same}`, files: genesis() })
    expect(row(resolved, 'pow.difficulty')).toBe('2 (genesis /place/g.toml)')
    const env = { AUREX_POW_DIFFICULTY: '2' }
    expect((await resolve({ flags, env, files: genesis() })).genesis).toMatchObject({ name: 'x' })
  })

  test('is one chain as TOML, with a TOML date, and as JSON', async () => {
    const json = {
      name: 'x',
      timestamp: '2026-11-21T00:00:00.000Z',
      consensus: 'pow',
      gateways: 'any',
      pow: { difficulty: 2 },
    }
    const files = {
      ...genesis(),
      '/place/d.toml': genesis()['/place/g.toml'].replace('"2026-11-21T00:00:00.000Z"', '2026-11-21T01:00:00+01:00'),
      '/place/g.json': JSON.stringify(json),
    }
    const ids = ['g.toml', 'd.toml', 'g.json'].map(
      async (name) => (await resolve({ flags: `--genesis ${name}`, files })).genesis!.rules.chainId,
    )
    expect(new Set(await Promise.all(ids)).size).toBe(1)
  })

  test.each<[string, World, string, number, string]>([
    [
      'a flag that it decides',
      { flags: '--difficulty 3', files: genesis() },
      'genesis-fixes-it',
      64,
      'pow.difficulty (flag --difficulty)',
    ],
    [
      'a variable that it decides',
      { env: { AUREX_POW_DIFFICULTY: '3' }, files: genesis() },
      'genesis-fixes-it',
      78,
      'the genesis /place/g.toml says 2, which decides it; got 3; leave it out',
    ],
    [
      'a flag for what it leaves out',
      { flags: '--pow.block-time 5', files: genesis() },
      'genesis-fixes-it',
      64,
      'says nothing, which decides it; got 5',
    ],
    [
      'another engine',
      { flags: '--plugins instant,sqlite', files: genesis() },
      'wrong-engine',
      78,
      'load pow in its place, as in: --plugins pow,sqlite',
    ],
    [
      'an application that is not loaded',
      { files: genesis('application = "market"') },
      'missing-application',
      78,
      'market',
    ],
    [
      'a parameter of the wrong type',
      { files: genesis('', 'difficulty = "2"') },
      'bad-genesis',
      78,
      'pow.difficulty: expected a whole number up to 13, got "2"',
    ],
    [
      'a parameter that there is not',
      { files: genesis('', 'dificulty = 2') },
      'bad-genesis',
      78,
      'pow.dificulty: there is no such key; did you mean difficulty?',
    ],
    [
      'authorities who are nobody',
      { flags: '--plugins bft,sqlite', files: { '/place/g.toml': genesisOfNobody } },
      'bad-genesis',
      78,
      'bft.authorities: it names nobody',
    ],
    ['an unknown key', { files: genesis('colour = "red"') }, 'bad-genesis', 78, 'colour'],
    ['bad TOML', { files: genesis('x = = 1') }, 'bad-toml', 78, '/place/g.toml:5:5'],
    ['no file', {}, 'no-such-file', 78, '/place/g.toml'],
  ])('does not go with %s', async (_what, world, code, exit, part) => {
    const promise = resolve({ ...world, flags: `${flags} ${world.flags ?? ''}` })
    expect(await thrownBy(promise)).toMatchObject({ code, exit })
    expect((await thrownBy(promise)).message).toContain(part)
  })

  test('is not there without an engine, unless it is given', async () => {
    expect((await resolve({ flags: '--plugins gateway,tcp' })).genesis).toBeUndefined()
    const given = await resolve({ flags: `--plugins gateway,tcp ${flags}`, files: genesis() })
    expect(given.genesis).toMatchObject({ name: 'x' })
  })

  const strict = 'application = "market"\n[market]\nmoney = "strict"\n[market.balances]\nalice = "10.50"'

  test('fixes the parameters of its application too, and says so', async () => {
    const resolved = await resolve({ flags: `${flags} --plugins pow,market,sqlite`, files: genesis(strict) })
    expect(resolved.genesis).toMatchObject({ application: 'market' })
    const market = resolved.plugins.find(({ plugin }) => plugin.name === 'market')
    expect(market!.parameters).toEqual({ money: 'strict', balances: { alice: '10.50' } })
    expect(row(resolved, 'market.money')).toBe('strict (genesis /place/g.toml)')
    const again = `${flags} --plugins pow,market,sqlite --market.money strict --market.balances alice=10.50`
    expect((await resolve({ flags: again, files: genesis(strict) })).genesis).toEqual(resolved.genesis)
  })

  test.each<[string, string, string, string, number, string]>([
    [
      'another application',
      'pow,other',
      strict,
      'wrong-application',
      78,
      'load market in its place, as in: --plugins pow,market',
    ],
    [
      'an application of which it says nothing',
      'pow,market',
      '',
      'wrong-application',
      78,
      'names no application, but market is loaded; leave it out',
    ],
    ['a plugin of that name that is none', 'pow,sqlite', 'application = "sqlite"', 'missing-application', 78, 'sqlite'],
    [
      'a key of the application that there is not',
      'pow,market',
      'application = "market"\n[market]\nmony = "strict"',
      'bad-genesis',
      78,
      'market.mony: there is no such key; did you mean money?',
    ],
    [
      'a value that the application does not take',
      'pow,market',
      'application = "market"\n[market]\nmoney = "much"',
      'bad-genesis',
      78,
      'market.money: expected one of record, strict, got "much"',
    ],
    [
      'a flag that says something else',
      'pow,market --market.money record',
      strict,
      'genesis-fixes-it',
      64,
      'market.money (flag --market.money): the genesis /place/g.toml says strict',
    ],
    [
      'a flag for what the application’s table leaves out',
      'pow,market --market.balances bob=1',
      'application = "market"',
      'genesis-fixes-it',
      64,
      'says nothing, which decides it; got {"bob":"1"}',
    ],
  ])('does not go with %s', async (_what, plugins, more, code, exit, part) => {
    const promise = resolve({ flags: `${flags} --plugins ${plugins}`, files: genesis(more) })
    expect(await thrownBy(promise)).toMatchObject({ code, exit })
    expect((await thrownBy(promise)).message).toContain(part)
  })

  test('names an application that a node without a chain need not have', async () => {
    const given = await resolve({ flags: `--plugins gateway,tcp ${flags}`, files: genesis(strict) })
    expect(given.genesis).toMatchObject({ application: 'market' })
  })

  const final = '[finality]\nauthorities = ["ada"]'
  const names = ({ plugins }: Awaited<ReturnType<typeof resolve>>) => plugins.map(({ plugin }) => plugin.name)

  test.each<[string, World]>([
    ['a flag', { flags }],
    ['a variable', { env: { AUREX_GENESIS: 'g.toml' } }],
    ['the file', { files: file('genesis = "../../place/g.toml"') }],
  ])('with a table of finality brings the plugin that reads it: named by %s', async (_by, world) => {
    const resolved = await resolve({ ...world, files: { ...genesis(final), ...world.files } })
    expect(names(resolved)).toEqual(['pow', 'tcp', 'sqlite', 'finality'])
    expect(resolved.demanded).toEqual(['finality'])
    expect(resolved.genesis).toMatchObject({ finality: { authorities: ['ada'] } })
    expect(resolved.plugins[3]).toMatchObject({
      config: { vote: true },
      parameters: { authorities: ['ada'], checkpoint_every: 1 },
    })
    expect(row(resolved, 'finality.authorities')).toBe('ada (genesis /place/g.toml)')
  })

  test('with a table of finality takes the plugin that was named, and what is said to it', async () => {
    const named = await resolve({ flags: `${flags} --plugins finality,pow,sqlite`, files: genesis(final) })
    expect([names(named), named.demanded]).toEqual([['finality', 'pow', 'sqlite'], []])
    const unnamed = await resolve({ flags: `${flags} --no-finality.vote`, files: genesis(final) })
    expect(unnamed.plugins.at(-1)).toMatchObject({ config: { vote: false } })
  })

  test('without a table of finality brings none, nor does one with it to a node that has no chain', async () => {
    expect((await resolve({ flags, files: genesis() })).demanded).toEqual([])
    const light = await resolve({ flags: `${flags} --plugins gateway,tcp`, files: genesis(final) })
    expect(names(light)).toEqual(['gateway', 'tcp'])
    expect(light.genesis).toMatchObject({ finality: { authorities: ['ada'] } })
  })

  test.each<[string, string, Record<string, string>, string, number, string]>([
    [
      'a plugin that it has no table for',
      '',
      genesis(),
      'wrong-finality',
      78,
      '/place/g.toml: it has no table [finality]',
    ],
    [
      'a key that there is not',
      '',
      genesis(`${final}\nstal = 1`),
      'bad-genesis',
      78,
      'finality.stal: there is no such key',
    ],
    ['no table', '', genesis('finality = true'), 'bad-genesis', 78, 'finality: expected a table'],
    [
      'a flag that says something else',
      '--finality.checkpoint-every 2',
      genesis(final),
      'genesis-fixes-it',
      64,
      'finality.checkpoint_every (flag --finality.checkpoint-every): the genesis /place/g.toml says 1',
    ],
  ])('and finality do not go with %s', async (_what, more, files, code, exit, part) => {
    const promise = resolve({ flags: `${flags} --plugins pow,finality,sqlite ${more}`, files })
    expect(await thrownBy(promise)).toMatchObject({ code, exit })
    expect((await thrownBy(promise)).message).toContain(part)
  })

  test('with a table of finality that was not there a moment ago starts nothing without its plugin', async () => {
    let reads = 0
    const readText = () => (reads++ === 0 ? undefined : genesis(final)['/place/g.toml'])
    const input = { argv: ['--genesis', 'g.toml'], env: { HOME: '/home/me' }, cwd: '/place', readText }
    const promise = resolveConfig({ ...input, resolve: async (name) => known[name]! })
    expect(await thrownBy(promise)).toMatchObject({ code: 'missing-finality' })
  })

  test('of development has no finality, and says how to make a chain that has', async () => {
    const error = await thrownBy(resolve({ flags: '--plugins pow,finality,sqlite' }))
    expect(error).toMatchObject({ code: 'wrong-finality', exit: 78 })
    expect(error.message).toContain('aurex genesis --name NAME --consensus ENGINE --finality --authorities ADDRESSES')
  })

  test('of development has the application that is loaded, with its parameters', async () => {
    const { genesis, plugins } = await resolve({
      flags: '--plugins pow,market,sqlite --market.money strict --market.balances alice=10.50,bob=3',
    })
    const table = { money: 'strict', balances: { alice: '10.50', bob: '3' } }
    expect(genesis).toMatchObject({ name: 'development', application: 'market', applicationParameters: table })
    expect(plugins[1]!.parameters).toEqual(table)
    const plain = (await resolve({ flags: '--plugins pow,market,sqlite' })).genesis!
    expect(plain.applicationParameters).toEqual({ money: 'record' })
    expect(plain.rules.chainId).not.toBe((await resolve()).genesis!.rules.chainId)
    const none = (await resolve({ flags: '--plugins pow,other,sqlite' })).genesis!
    expect(none.text).not.toContain('"other":{')
    expect((await resolve({ flags: '--plugins gateway,market,tcp' })).genesis).toBeUndefined()
  })

  test('of development differs with every parameter', async () => {
    const id = async (flags: string) => (await resolve({ flags })).genesis!.rules.chainId
    expect(await id('--difficulty 4')).toBe(await id(''))
    expect(await id('--difficulty 3')).not.toBe(await id(''))
    expect(await id('--pow.block-time 3')).not.toBe(await id(''))
  })
})

test('two engines are one too many', async () => {
  expect(await thrownBy(resolve({ flags: '--plugins pow,instant' }))).toMatchObject({
    code: 'slot-taken',
    message: expect.stringContaining('pow and instant'),
  })
})

test('secrets are not shown, not even when they are wrong', async () => {
  const resolved = await resolve({ flags: '--pow.api-token hunter22' })
  expect(row(resolved, 'pow.api_token')).toBe('*** (flag --pow.api-token)')
  const promise = resolve({ flags: '--pow.api-token pass' })
  expect((await thrownBy(promise)).message).toContain(
    'pow.api_token (flag --pow.api-token): expected at least 6 characters, got ***',
  )
})

test('a table that names one thing twice says two things, and is none', async () => {
  const flags = '--plugins pow,market,sqlite --market.money strict --market.balances alice=1,alice=2'
  expect(await thrownBy(resolve({ flags }))).toMatchObject({ code: 'bad-value' })
})

test('users, passwords and queries in URLs are not shown', async () => {
  const resolved = await resolve({ flags: '--name https://me:hush@example.com/x?token=hush' })
  const shown = explain(resolved).find(({ key }) => key === 'name')!.value
  expect(shown).not.toContain('hush')
  expect(shown).toContain('example.com/x?***')
})

test('every key is described', () => {
  const described = describeKeys([engine])
  const of = (key: string) => described.find((one) => one.key === key)
  expect(of('port')).toMatchObject({ flag: '--port', variable: 'AUREX_PORT', type: 'number', default: '13245' })
  expect(of('plugins')).toMatchObject({ type: 'list', default: 'pow,tcp,sqlite', summary: expect.any(String) })
  expect(of('log_level')).toMatchObject({ flag: '--log-level', type: 'debug|info|warning|error' })
  expect(of('pow.mine')).toMatchObject({ flag: '--pow.mine', type: 'boolean', default: 'true' })
  expect(of('pow.difficulty')).toMatchObject({ variable: 'AUREX_POW_DIFFICULTY', default: '4' })
  expect(of('limits.orphan_blocks_max')).toMatchObject({ type: 'number', default: '100' })
})

describe('the files in config/', () => {
  const real = (argv: readonly string[]) =>
    resolveConfig({ argv, env: { HOME: '/home/me' }, cwd: root, readText: (path) => readFileSync(path, 'utf8') })
  const names = ({ plugins }: Awaited<ReturnType<typeof real>>) => plugins.map(({ plugin }) => plugin.name)

  test.each([
    ['pow', ['pow', 'tcp', 'sqlite'], { mine: true }],
    ['verifier', ['pow', 'tcp', 'sqlite'], { mine: false }],
    ['instant', ['instant', 'tcp', 'sqlite'], { produce: true }],
  ])('%s.toml makes that node', async (name, plugins, config) => {
    const resolved = await real(['--config', `config/${name}.toml`])
    expect(names(resolved)).toEqual(plugins)
    expect(resolved.core.name).toBe(name)
    expect(resolved.plugins[0]!.config).toMatchObject(config)
    expect(resolved.unused).toEqual([])
  })

  test('genesis-pow.toml goes with pow.toml and verifier.toml', async () => {
    for (const name of ['pow', 'verifier']) {
      const argv = ['--config', `config/${name}.toml`, '--genesis', 'config/genesis-pow.toml']
      expect((await real(argv)).genesis).toMatchObject({ name: 'example', parameters: { difficulty: 4 } })
    }
  })
})
