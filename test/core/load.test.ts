import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as v from 'valibot'
import { bunRuntime } from '../../core/bun.ts'
import { createBus } from '../../core/bus.ts'
import { Contributed } from '../../core/contributions.ts'
import { AurexError } from '../../core/errors.ts'
import { defaultNodeLimits } from '../../core/limits.ts'
import { resolvePlugin, setUpPlugins, type SetUpParts } from '../../core/load.ts'
import { nameFault } from '../../core/resolve.ts'
import type { Log } from '../../core/log.ts'
import type { Context, LoadedPlugin, Slot } from '../../core/plugin.ts'
import { testServices } from '../support/services.ts'

/** What a promise is rejected with. */
const thrownBy = async (promise: Promise<unknown>): Promise<unknown> => {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('expected a rejection')
}

/** What an `AurexError` is expected to be. */
const error = (code: string, ...parts: string[]) =>
  expect.objectContaining({
    code,
    message: expect.stringMatching(new RegExp(parts.map((part) => RegExp.escape(part)).join('[^]*'))),
  })

describe('resolving a plugin', () => {
  let folder: string
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'aurex-load-'))))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const valibot = import.meta.resolve('valibot')
  const source = (name: string, more = '') => `
    import * as v from '${valibot}'
    export default {
      name: '${name}', summary: 'one', provides: 'none', needs: [], config: v.strictObject({}), setup() {}, ${more}
    }`
  const write = (path: string, text: string) => {
    mkdirSync(join(folder, path, '..'), { recursive: true })
    writeFileSync(join(folder, path), text)
  }

  test('finds what is built in', async () => {
    expect(await resolvePlugin('instant', folder)).toMatchObject({ name: 'instant', provides: 'consensus' })
  })

  test('finds an application in a file of one’s own', async () => {
    write('rules.ts', source('rules').replace("provides: 'none'", "provides: 'application'"))
    expect(await resolvePlugin('./rules.ts', folder)).toMatchObject({ name: 'rules', provides: 'application' })
  })

  test('finds who says what is final: it has the name of its slot', async () => {
    write('final.ts', source('finality').replace("provides: 'none'", "provides: 'finality'"))
    expect(await resolvePlugin('./final.ts', folder)).toMatchObject({ name: 'finality', provides: 'finality' })
  })

  test.each(['./mine.ts', 'mine.ts', '../FOLDER/mine.ts', 'ABSOLUTE/mine.ts'])('finds a file: %s', async (path) => {
    write('mine.ts', source('mine'))
    const written = path.replace('FOLDER', folder.split('/').at(-1)!).replace('ABSOLUTE', folder)
    expect(await resolvePlugin(written, folder)).toMatchObject({ name: 'mine' })
  })

  test.each(['exports', 'main', 'import'])('finds a package (%s)', async (how) => {
    const entry = {
      exports: { exports: './x.js' },
      main: { main: 'x.js' },
      import: { exports: { '.': { import: './x.js' } } },
    }
    const json = { name: `plug-${how}`, type: 'module', ...entry[how] }
    write(`node_modules/plug-${how}/package.json`, JSON.stringify(json))
    write(`node_modules/plug-${how}/x.js`, source(`from-${how}`))
    expect(await resolvePlugin(`plug-${how}`, folder)).toMatchObject({ name: `from-${how}` })
  })

  test('names the nearest of those there are', async () => {
    expect(await thrownBy(resolvePlugin('sqlit', folder))).toEqual(
      error('unknown-plugin', 'sqlit', 'pow', 'did you mean sqlite'),
    )
    expect(await thrownBy(resolvePlugin('./no.ts', folder))).toEqual(error('unknown-plugin', join(folder, 'no.ts')))
    expect(await thrownBy(resolvePlugin('toString', folder))).toEqual(error('unknown-plugin', 'toString'))
    expect(await thrownBy(resolvePlugin('../', folder))).toEqual(error('unknown-plugin', 'is a directory'))
    expect(await thrownBy(resolvePlugin('@no/scope', folder))).toEqual(error('unknown-plugin', '@no/scope'))
  })

  test.each([
    ['throws when imported', `\nthrow new Error('at the top')`, 'at the top ('],
    ['is no TypeScript', `const x = 1\nconst const = 1`, 'broken.ts:2:7: '],
    ['imports what is not there', `import './nowhere.ts'`, 'nowhere'],
    ['has no default export', `export const x = 1`, 'definePlugin'],
    ['exports something else', `export default 5`, 'definePlugin'],
    ['has a bad name', source('Big Name'), 'name'],
    ['has the name of a key of the genesis', source('timestamp'), 'timestamp is reserved'],
    ['has the name of a key of the config', source('peers'), 'peers is reserved'],
    ['has a name under which core tells facts', source('head'), 'head is reserved'],
    ['has the name of what core adds', source('chain'), 'chain is reserved'],
    ['has the name of what core signs', source('confirmation'), 'confirmation is reserved'],
    ['has the name of what core remembers', source('signing'), 'signing is reserved'],
    ['has the name of a slot that it does not fill', source('finality'), 'finality is reserved'],
    ['fills finality under another name', source('mine', `provides: 'finality',`), 'is called finality, got mine'],
    ['wants a slot that there is not', source('mine', `wants: ['hats'],`), 'wants.0'],
    ['fills a slot that there is not', source('mine', `provides: 'hats',`), 'provides'],
    ["fills core's own slot", source('mine', `provides: 'chain',`), 'provides'],
    ['needs a slot that there is not', source('mine', `needs: ['hats'],`), 'needs.0'],
    ['has no schema', source('mine', `config: {},`), 'config: expected a valibot object'],
    ['has no setup', source('mine', `setup: 1,`), 'setup'],
    [
      'has a key in two meanings',
      source('mine', `config: v.strictObject({ a: v.string() }), parameters: v.strictObject({ a: v.string() }),`),
      'a is a key of both',
    ],
  ])('refuses a file that %s', async (_what, text, part) => {
    write('broken.ts', text)
    expect(await thrownBy(resolvePlugin('./broken.ts', folder))).toEqual(error('plugin-broken', './broken.ts', part))
  })
})

test.each([
  ['my-engine', undefined],
  ['My Engine', 'expected up to 32 small letters, digits and dashes, a letter first, got "My Engine"'],
  ['', 'got ""'],
  ['a'.repeat(33), 'expected up to 32'],
  ['pow', 'pow is the name of a plugin that comes with aurex'],
  ['tx', 'tx is reserved'],
  ['finality', 'finality'],
])('a plugin of the name %j', (name, fault) => {
  if (fault === undefined) expect(nameFault(name)).toBeUndefined()
  else expect(nameFault(name)).toContain(fault)
})

// ---- setting up ----

const logged: string[] = []
beforeEach(() => void logged.splice(0))
const logFor = (name: string): Log => {
  const line = (message: string, fields?: Record<string, unknown>) =>
    void logged.push(`${name}: ${message} ${String((fields?.['error'] as Error | undefined)?.message)}`)
  return { debug: line, info: line, warn: line, error: line }
}

const runtime = bunRuntime()

function parts(plugins: readonly LoadedPlugin[], limits: Partial<SetUpParts['limits']> = {}): SetUpParts {
  return {
    plugins: plugins.map((plugin) => ({ plugin, config: { of: plugin.name }, parameters: undefined })),
    bus: createBus({ clock: runtime.clock, mailboxFactsMax: 10, report: () => {} }),
    runtime,
    identity: {} as SetUpParts['identity'],
    genesis: undefined,
    node: { name: 'n', dataDir: '/none', port: 0, version: '0' },
    limits: { ...defaultNodeLimits, ...limits },
    network: { genesis: () => undefined, peers: () => [] },
    contributed: new Contributed(),
    services: testServices(),
    logFor,
  }
}

function plugin(
  name: string,
  provides: Slot | 'none',
  needs: readonly Slot[],
  setup: (context: Context<Slot>, config: unknown) => unknown = () => ({ by: name }),
): LoadedPlugin {
  return { name, summary: name, provides, needs, config: v.strictObject({}), setup }
}

/** A plugin that writes down when it is set up and released. */
const noted = (diary: string[], name: string, provides: Slot | 'none', needs: readonly Slot[], fail?: () => unknown) =>
  plugin(name, provides, needs, (context) => {
    diary.push(`+${name}`)
    context.defer(() => void diary.push(`-${name} first`))
    context.defer(async () => {
      await Promise.resolve()
      diary.push(`-${name} second`)
    })
    return fail === undefined ? { by: name } : fail()
  })

describe('setting plugins up', () => {
  test('goes by need, whatever the order in which they were named', async () => {
    const diary: string[] = []
    const { slots, dispose } = await setUpPlugins(
      parts([
        noted(diary, 'watcher', 'none', ['chain', 'transport']),
        noted(diary, 'chain', 'chain', ['consensus', 'storage']),
        noted(diary, 'tcp', 'transport', []),
        noted(diary, 'pow', 'consensus', ['storage']),
        noted(diary, 'disk', 'storage', []),
        noted(diary, 'pipe', 'transport', []),
      ]),
    )
    expect(diary).toEqual(['+disk', '+pow', '+chain', '+tcp', '+pipe', '+watcher'])
    expect(slots).toEqual({
      storage: { by: 'disk' },
      consensus: { by: 'pow' },
      chain: { by: 'chain' },
      transport: [{ by: 'tcp' }, { by: 'pipe' }],
    } as never)
    diary.length = 0
    await Promise.all([dispose(), dispose()])
    await dispose()
    const order = ['watcher', 'pipe', 'tcp', 'chain', 'pow', 'disk']
    expect(diary).toEqual(order.flatMap((name) => [`-${name} second`, `-${name} first`]))
  })

  test('gives each exactly what it needs, and its own config', async () => {
    let got: { use: object; config: unknown } | undefined
    const seer = plugin('seer', 'none', ['storage', 'transport'], (context, config) => {
      got = { use: context.use, config }
    })
    await setUpPlugins(
      parts([seer, plugin('disk', 'storage', []), plugin('pow', 'consensus', []), plugin('tcp', 'transport', [])]),
    )
    expect(got).toEqual({ use: { storage: { by: 'disk' }, transport: [{ by: 'tcp' }] }, config: { of: 'seer' } })
  })

  test('fills the slot of the application before the chain, which wants it and goes without', async () => {
    const order: string[] = []
    const rules = plugin('rules', 'application', [], () => {
      order.push('rules')
      return { by: 'rules' }
    })
    const chain = (wanted: unknown[]) => ({
      ...plugin('ledger', 'chain', [], (context) => {
        order.push('chain')
        wanted.push(context.use)
        return {}
      }),
      wants: ['application'] as const,
    })
    const [withRules, without]: [unknown[], unknown[]] = [[], []]
    const { slots } = await setUpPlugins(parts([chain(withRules), rules]))
    expect(order).toEqual(['rules', 'chain'])
    expect(slots.application).toEqual({ by: 'rules' } as never)
    expect(withRules).toEqual([{ application: { by: 'rules' } }])
    await setUpPlugins(parts([chain(without)]))
    expect(without).toEqual([{}])
    const second = plugin('more-rules', 'application', [])
    expect(await thrownBy(setUpPlugins(parts([rules, second])))).toEqual(
      error('slot-taken', 'application is provided by both rules and more-rules'),
    )
  })

  test('does not demand a transport', async () => {
    const { slots } = await setUpPlugins(parts([plugin('alone', 'none', ['transport'])]))
    expect(slots.transport).toEqual([])
  })

  test.each<[string, LoadedPlugin[], unknown]>([
    [
      'an empty slot, and who could fill it',
      [plugin('mine', 'transport', ['consensus'])],
      error('slot-empty', 'consensus is needed by mine', 'pow, instant'),
    ],
    [
      "core's empty slot",
      [plugin('mine', 'none', ['chain'])],
      error('slot-empty', 'chain is needed by mine', 'pow, instant', 'memory, sqlite'),
    ],
    [
      'a slot taken twice',
      [plugin('a', 'storage', []), plugin('b', 'storage', [])],
      error('slot-taken', 'storage is provided by both a and b'),
    ],
    [
      'a name taken twice',
      [plugin('a', 'transport', []), plugin('a', 'transport', [])],
      error('plugin-twice', 'the name a'),
    ],
    [
      'a circle',
      [plugin('a', 'storage', ['consensus']), plugin('b', 'consensus', ['storage'])],
      error('slot-circle', 'a needs consensus from b', 'b needs storage from a'),
    ],
    [
      'a plugin that needs itself',
      [plugin('a', 'storage', ['storage'])],
      error('slot-circle', 'a needs storage from a'),
    ],
  ])('names %s before anything is set up', async (_what, plugins, expected) => {
    const diary: string[] = []
    const promise = setUpPlugins(parts([noted(diary, 'early', 'none', []), ...plugins]))
    expect(await thrownBy(promise)).toEqual(expected)
    expect(diary).toEqual([])
  })

  test('undoes what is up, the failing one included, when a setup throws', async () => {
    const diary: string[] = []
    const promise = setUpPlugins(
      parts([
        noted(diary, 'disk', 'storage', []),
        noted(diary, 'bad', 'consensus', ['storage'], () => Promise.reject(new Error('no luck'))),
        noted(diary, 'late', 'none', []),
      ]),
    )
    expect(await thrownBy(promise)).toEqual(error('setup-failed', 'plugin bad', 'no luck'))
    expect(diary).toEqual(['+disk', '+bad', '-bad second', '-bad first', '-disk second', '-disk first'])
  })

  test("keeps the code and exit code of a plugin's own error, and names it", async () => {
    const fail = () => {
      throw new AurexError('address-in-use', 'port 1 is in use', { exit: 69 })
    }
    const promise = setUpPlugins(parts([plugin('tcp', 'transport', [], fail)]))
    expect(await thrownBy(promise)).toMatchObject({
      code: 'address-in-use',
      message: 'tcp: port 1 is in use',
      exit: 69,
    })
  })

  test('names one that hangs, and releases even what it acquires later', async () => {
    const diary: string[] = []
    const { promise: released, resolve } = Promise.withResolvers<void>()
    const { promise: gate, resolve: open } = Promise.withResolvers<void>()
    const slow = plugin('slow', 'transport', [], async (context) => {
      await gate
      diary.push('acquired late')
      context.defer(() => {
        diary.push('released late')
        resolve()
      })
    })
    const set = parts([noted(diary, 'disk', 'storage', []), slow], { setup_milliseconds_max: 5 })
    expect(await thrownBy(setUpPlugins(set))).toEqual(error('setup-slow', 'plugin slow', '5 ms'))
    expect(diary).toEqual(['+disk', '-disk second', '-disk first'])
    open()
    await released
    expect(diary.slice(3)).toEqual(['acquired late', 'released late'])
  })

  test('goes on without one that fills no slot: named, and what it acquired is released', async () => {
    const diary: string[] = []
    const odd = noted(diary, 'odd', 'none', [], () => Promise.reject(new Error('no luck')))
    const { dispose } = await setUpPlugins(
      parts([noted(diary, 'disk', 'storage', []), odd, noted(diary, 'late', 'none', [])]),
    )
    expect(diary).toEqual(['+disk', '+odd', '-odd second', '-odd first', '+late'])
    expect(logged.join()).toMatch(/odd: left out.*no luck/)
    await dispose()
  })

  test('does not believe a plugin that fills its slot with nothing', async () => {
    const promise = setUpPlugins(parts([plugin('disk', 'storage', [], () => undefined)]))
    expect(await thrownBy(promise)).toEqual(error('slot-empty', 'disk', 'undefined'))
  })

  test('goes on releasing when one release fails, and logs it', async () => {
    const diary: string[] = []
    const bad = plugin('bad', 'none', [], (context) => {
      context.defer(() => void diary.push('bad, after all'))
      context.defer(() => Promise.reject(new Error('stuck')))
    })
    const { dispose } = await setUpPlugins(parts([noted(diary, 'disk', 'storage', []), bad]))
    diary.length = 0
    await dispose()
    expect(diary).toEqual(['bad, after all', '-disk second', '-disk first'])
    expect(logged).toEqual(['bad: a release failed stuck'])
  })

  test('does not wait for ever for a release, and names it', async () => {
    const diary: string[] = []
    const stuck = plugin('stuck', 'none', [], (context) => context.defer(() => new Promise(() => {})))
    const { dispose } = await setUpPlugins(
      parts([noted(diary, 'disk', 'storage', []), stuck], { release_milliseconds_max: 5 }),
    )
    diary.length = 0
    await dispose()
    expect(diary).toEqual(['-disk second', '-disk first'])
    expect(logged.join()).toMatch(/^stuck: a release takes too long/)
  })

  test('aborts the signal first, and ends listening', async () => {
    const seen: boolean[] = []
    const watcher = plugin('watcher', 'none', [], (context) => {
      context.on('tx:refused', () => {})
      context.onPlugin('other:said', () => {})
      context.defer(() => void seen.push(context.signal.aborted))
      expect(context.signal.aborted).toBe(false)
    })
    const set = parts([watcher])
    const { dispose } = await setUpPlugins(set)
    expect(set.bus.depths().map(({ owner, event }) => `${owner} ${event}`)).toEqual([
      'watcher tx:refused',
      'watcher other:said',
    ])
    await dispose()
    expect(seen).toEqual([true])
    expect(set.bus.depths()).toEqual([])
  })

  test('lets plugins tell facts in their own name', async () => {
    const { promise: heard, resolve } = Promise.withResolvers<unknown>()
    const talker = plugin('talker', 'none', [], (context) => context.publish('said', { what: 'hello' }))
    const hearer = plugin('hearer', 'none', [], (context) => context.onPlugin('talker:said', resolve))
    const { dispose } = await setUpPlugins(parts([hearer, talker]))
    expect(await heard).toEqual({ what: 'hello' })
    await dispose()
  })
})
