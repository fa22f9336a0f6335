import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'smol-toml'
import * as valibot from 'valibot'
import { provideToPlugins } from '../../../core/bun.ts'
import { readGenesis } from '../../../core/chain/genesis.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { command } from '../../../core/commands/genesis.ts'
import { genesisFile } from '../../../core/commands/genesisfile.ts'
import { resolveConfig } from '../../../core/config.ts'
import * as aurex from '../../../core/index.ts'
import { testKey } from '../../support/headers.ts'
import { failure, testIo, type TestIo } from './testio.ts'

let io: TestIo
beforeAll(() => provideToPlugins({ aurex, valibot }))
beforeEach(() => (io = testIo()))
afterEach(() => io.remove())

const a = 'a'.repeat(64)
const b = 'b'.repeat(64)
const text = (name = 'genesis.toml') => readFileSync(join(io.cwd, name), 'utf8')
const written = (name?: string) => parse(text(name)) as JsonObject
const pow = ['--name', 'shop', '--consensus', 'pow', '--out', 'genesis.toml']

const engineWithAuthorities = `
import { definePlugin } from 'aurex'
import * as v from 'valibot'
export default definePlugin({
  name: 'ring',
  summary: 'turns',
  provides: 'consensus',
  needs: [],
  config: v.strictObject({}),
  parameters: v.strictObject({
    authorities: v.pipe(v.array(v.string()), v.minLength(1, 'expected at least one authority')),
    block_time: v.optional(v.number(), 5),
    halts: v.optional(v.boolean(), false),
    motto: v.optional(v.string(), 'one after the other'),
  }),
  setup: () => { throw new Error('not here') },
})
`

const applicationOfOne = `
import { definePlugin } from 'aurex'
import * as v from 'valibot'
export default definePlugin({
  name: 'rules',
  summary: 'some',
  provides: 'application',
  needs: [],
  config: v.strictObject({}),
  parameters: v.strictObject({
    money: v.optional(v.picklist(['record', 'strict']), 'record'),
    fee: v.optional(v.number(), 0),
    balances: v.exactOptional(v.record(v.string(), v.pipe(v.string(), v.decimal('expected a decimal')))),
    heirs: v.exactOptional(v.array(v.string())),
    open: v.optional(v.boolean(), true),
  }),
  setup: () => { throw new Error('not here') },
})
`

describe('aurex genesis', () => {
  test('writes a file that a node reads as the chain that was announced', async () => {
    expect(await command.run([...pow, '--difficulty', '3', '--json'], io)).toBe(0)
    const said = JSON.parse(io.stdout) as { chain_id: string; path: string; name: string }
    const genesis = readGenesis(written(), 'genesis.toml')
    expect(said).toEqual({ chain_id: genesis.rules.chainId, path: join(io.cwd, 'genesis.toml'), name: 'shop' })
    expect(genesis).toMatchObject({ name: 'shop', consensus: 'pow', application: undefined })
    expect(genesis.parameters).toMatchObject({ difficulty: 3 })
    expect(genesis.rules.gateways).toEqual([])
  })

  test('says how a node is started on it, and warns where none here can be', async () => {
    await command.run([...pow, '--application', 'bazaar'], io)
    expect(io.stdout).toContain('start:    aurex node --plugins pow,bazaar,tcp,sqlite --genesis genesis.toml\n')
    expect(io.stderr).toMatch(/^warning: --application: no node starts on this chain here: plugin bazaar: not built in/)
  })

  test('an application gets its table as engines do: what was given, and the defaults for the rest', async () => {
    io.file('rules.ts', applicationOfOne)
    const argv = [...pow, '--application', './rules.ts', '--rules.money', 'strict', '--rules.fee=0.5']
    expect(
      await command.run([...argv, '--rules.balances', 'alice=10.50, bob=3', '--rules.heirs', `${a},${b}`], io),
    ).toBe(0)
    expect(written()).toMatchObject({
      application: 'rules',
      rules: { money: 'strict', fee: 0.5, balances: { alice: '10.50', bob: '3' }, heirs: [a, b], open: true },
    })
    expect(io.stdout).toContain('start:    aurex node --plugins pow,./rules.ts,tcp,sqlite --genesis genesis.toml\n')
    expect(io.stderr).toBe('')
    const genesis = readGenesis(written(), 'genesis.toml')
    expect(genesis.applicationParameters['balances']).toEqual({ alice: '10.50', bob: '3' })
  })

  test.each([
    [['--rules.mony', 'strict'], 'unknown-flag', 'the application rules has no parameter mony; it takes money'],
    [['--rules.money', 'much'], 'bad-value', '--rules.money: expected'],
    [['--rules.balances', 'alice=poor'], 'bad-value', '--rules.balances: expected a decimal'],
    [['--rules.money', 'strict', '--rules.money=record'], 'bad-value', ''],
    [['--market.money', 'strict'], 'unknown-flag', 'the engine is pow, the application rules'],
  ])('an application’s flags %j: %s', async (argv, code, says) => {
    io.file('rules.ts', applicationOfOne)
    const running = command.run([...pow, '--application', './rules.ts', ...argv], io)
    if (says === '') return expect(await running).toBe(0) // Of a flag given twice, the last counts.
    expect(await failure(running)).toMatchObject({ code, exit: 64 })
    expect((await failure(running)).message).toContain(says)
  })

  test.each([
    [['--application', 'bazaar', '--bazaar.money', 'strict'], 'unknown-flag', 'its plugin is not here'],
    [['--application', 'tcp'], 'not-an-application', 'tcp fills transport, expected a plugin that fills application'],
    [['--application', 'pow'], 'not-an-application', 'pow fills consensus'],
  ])('%j is %s', async (argv, code, says) => {
    const running = command.run([...pow, ...argv], io)
    expect(await failure(running)).toMatchObject({ code, exit: 64 })
    expect((await failure(running)).message).toContain(says)
  })

  test('everything is explicit, and explained', async () => {
    await command.run([...pow, '--gateways', `${a},${b}`, '--application', 'market', '--market.money', 'strict'], io)
    expect(Object.keys(written())).toEqual([
      'name',
      'timestamp',
      'consensus',
      'application',
      'gateways',
      'pow',
      'market',
      'limits',
    ])
    expect(written()).toMatchObject({ gateways: [a, b], application: 'market', market: { money: 'strict' } })
    expect(Object.keys(written()['pow'] as object)).toContain('difficulty')
    expect(text()).toContain('# ')
    for (const line of text().split('\n')) expect(line.length).toBeLessThanOrEqual(120)
  })

  test('the same settings make the same chain; another second makes another', async () => {
    const at = (timestamp: string, out: string) => [...pow.slice(0, 4), '--timestamp', timestamp, '--out', out]
    await command.run(at('2026-11-21T00:00:00.000Z', 'a.toml'), io)
    await command.run(at('2026-11-21T00:00:00.000Z', 'b.toml'), io)
    await command.run(at('2026-11-21T00:00:01.000Z', 'c.toml'), io)
    expect(text('a.toml')).toBe(text('b.toml'))
    expect(text('a.toml')).not.toBe(text('c.toml'))
  })

  test('never overwrites', async () => {
    io.file('genesis.toml', 'mine')
    expect(await failure(command.run(pow, io))).toMatchObject({ code: 'file-exists', exit: 64 })
    expect(text()).toBe('mine')
  })

  test('an engine in a file of one’s own; what its parameters mean comes from its schema', async () => {
    io.file('ring.ts', engineWithAuthorities)
    const argv = ['--name', 'r', '--consensus', './ring.ts', '--out', 'genesis.toml', '--authorities', `${a}, ${b}`]
    expect(await command.run([...argv, '--block-time', '2.5', '--ring.halts', 'true', '--ring.motto=7'], io)).toBe(0)
    expect(written()).toMatchObject({
      consensus: 'ring',
      ring: { authorities: [a, b], block_time: 2.5, halts: true, motto: '7' },
    })
  })

  test.each([
    [['--authorities', a], 'unknown-flag', 'has no parameter authorities'],
    [['--pow.dificulty', '3'], 'unknown-flag', 'did you mean difficulty?'],
    [['--poa.difficulty', '3'], 'unknown-flag', 'did you mean --pow.difficulty?'],
    [['--difficulty', 'hard'], 'bad-value', '--difficulty'],
    [['--difficulty', '3', '--pow.difficulty', '4'], 'bad-value', 'given twice'],
    [['--gateways', 'alice'], 'bad-value', '"alice"'],
    [['--timestamp', 'today'], 'bad-value', '2026-11-21T00:00:00.000Z'],
    [['--consensus', 'tcp'], 'not-an-engine', 'tcp fills transport'],
    [['--dificulty', '3'], 'unknown-flag', 'did you mean --difficulty?'],
  ])('%j is %s, and nothing is written', async (argv, code, says) => {
    const running = command.run([...pow, ...argv], io)
    expect(await failure(running)).toMatchObject({ code, exit: 64 })
    expect((await failure(running)).message).toContain(says)
    expect(() => text()).toThrow('ENOENT')
  })

  test.each(['name', 'consensus', 'out'])('--%s is needed', async (flag) => {
    const at = pow.indexOf(`--${flag}`)
    expect((await failure(command.run(pow.toSpliced(at, 2), io))).message).toContain(`expected --${flag}`)
  })
})

describe('authorities and finality', () => {
  const keys = [1, 2, 3, 4].map((n) => testKey(n).address)
  const of = (...argv: string[]) => ['--name', 'g', '--out', 'genesis.toml', ...argv]
  const poa = of('--consensus', 'poa')
  const mined = of('--consensus', 'pow', '--finality')

  test('an engine of authorities gets them', async () => {
    expect(await command.run([...poa, '--authorities', keys.join(), '--block-time', '2.5', '--json'], io)).toBe(0)
    expect(written()).toMatchObject({ consensus: 'poa', poa: { authorities: keys, block_time: 2.5 } })
    expect(written()).not.toHaveProperty('finality')
    expect(JSON.parse(io.stdout)).not.toHaveProperty('finality')
  })

  test('with --finality they vote as well, and it is said how many must agree', async () => {
    const argv = ['--authorities', keys.join(), '--finality', '--checkpoint-every', '5', '--stall', 'halt']
    expect(await command.run([...poa, ...argv], io)).toBe(0)
    const finality = { authorities: keys, checkpoint_every: 5, stall: 'halt' }
    expect(written()).toMatchObject({ poa: { authorities: keys }, finality })
    expect(io.stdout).toContain('finality: 3 of 4 authorities must agree; 1 of them may be down\n')
    expect(io.stdout).toContain('start:    aurex node --plugins poa,tcp,sqlite --genesis genesis.toml\n')
    expect(io.stderr).toBe('')
    expect(readGenesis(written(), 'genesis.toml').rules.finality).toBe(true)
  })

  test('others than those who make blocks may vote', async () => {
    const argv = ['--authorities', keys[0]!, '--finality', '--finality.authorities', keys.join(), '--json']
    expect(await command.run([...poa, ...argv], io)).toBe(0)
    expect(written()).toMatchObject({ poa: { authorities: [keys[0]] }, finality: { authorities: keys } })
    expect(JSON.parse(io.stdout)).toMatchObject({ finality: { authorities: 4, quorum: 3 } })
  })

  test('with an engine that has none they only vote', async () => {
    const argv = ['--authorities', keys.join(), '--stall', 'halt', '--finality.halt-after', '9']
    expect(await command.run([...mined, ...argv], io)).toBe(0)
    expect(written()['pow']).not.toHaveProperty('authorities')
    expect(written()).toMatchObject({ finality: { authorities: keys, checkpoint_every: 1, halt_after: 9 } })
    expect(Object.keys(written()).slice(-3)).toEqual(['pow', 'finality', 'limits'])
  })

  test('the file is one that a node starts with', async () => {
    await command.run([...mined, '--authorities', keys.join()], io)
    const config = await resolveConfig({
      argv: ['--genesis', 'genesis.toml'],
      env: io.env,
      cwd: io.cwd,
      readText: (path) => readFileSync(path, 'utf8'),
    })
    expect(config.plugins.map(({ plugin }) => plugin.name)).toEqual(['pow', 'tcp', 'sqlite', 'finality'])
  })

  test.each([
    [1, '1 of 1 authorities must agree; none of them may be down', 'one authority alone says what is final'],
    [2, '2 of 2', 'with 2 authorities none may be down, or nothing becomes final; 4 stand the loss of one'],
    [3, '3 of 3', 'with 3 authorities none may be down'],
    [4, '3 of 4 authorities must agree; 1 of them may be down', ''],
  ])('%i of them', async (count, quorum, warning) => {
    expect(await command.run([...mined, '--authorities', keys.slice(0, count).join()], io)).toBe(0)
    expect(io.stdout).toContain(`finality: ${quorum}`)
    if (warning === '') expect(io.stderr).toBe('')
    else expect(io.stderr).toStartWith(`warning: --finality: ${warning}`)
  })

  test.each<[string[], string, string]>([
    [poa, 'missing-value', 'poa: nobody may make blocks; add --authorities ADDRESSES'],
    [[...poa, '--authorities', `${keys[0]},${keys[0]}`], 'bad-value', 'is named twice; leave one out'],
    [[...poa, '--authorities', '1'.repeat(63)], 'bad-value', '--authorities: expected addresses (64 hex digits)'],
    [mined, 'half-given', 'nobody is named whose votes count; add --authorities ADDRESSES'],
    [
      [...poa, '--authorities', a, '--stall', 'halt'],
      'half-given',
      '--stall: nobody says what is final; add --finality',
    ],
    [[...pow, '--checkpoint-every', '5'], 'half-given', '--checkpoint-every: nobody says what is final'],
    [[...pow, '--finality.authorities', a], 'half-given', '--finality.authorities: nobody says'],
    [[...pow, '--authorities', a], 'unknown-flag', 'the engine pow has no parameter authorities; it takes difficulty'],
    [[...pow, '--authorities', a], 'unknown-flag', 'is --finality missing?'],
    [[...mined, '--authorities', a, '--finality.authorities', a], 'unknown-flag', 'pow has no parameter authorities'],
    [[...mined, '--authorities', a, '--stall', 'never'], 'bad-value', '--stall: expected one of continue, halt'],
    [[...mined, '--authorities', a, '--checkpoint-every', '0'], 'bad-value', '--checkpoint-every: expected'],
    [[...mined, '--authorities', a, '--finality.colour', 'red'], 'unknown-flag', 'finality has no parameter colour'],
    [[...mined, '--authorities', a, '--stall', 'halt', '--finality.stall', 'halt'], 'bad-value', 'given twice'],
  ])('%j is %s', async (argv, code, says) => {
    const error = await failure(command.run(argv, io))
    expect(error).toMatchObject({ code, exit: 64 })
    expect(error.message).toContain(says)
    expect(() => text()).toThrow('ENOENT')
  })
})

test('odd names and values come back as they were', () => {
  const settings = {
    name: 'a "b" \\ \u00e4 #',
    timestamp: '2026-11-21T00:00:00.000Z',
    consensus: 'x',
    parameters: {
      one: ['a "b" ]'],
      more: ['a = [ "x" ]', 'b'],
      'odd key': [1, 2],
      deep: { a: [true, false] },
      none: [],
    },
    application: undefined,
    gateways: 'any' as const,
  }
  const { text: file, genesis } = genesisFile(settings, 'test')
  expect(genesis.name).toBe(settings.name)
  expect(genesis.parameters).toEqual(settings.parameters)
  expect(genesis.rules.gateways).toBe('any')
  expect(readGenesis(parse(file) as JsonObject, 'test').rules.chainId).toBe(genesis.rules.chainId)
})
