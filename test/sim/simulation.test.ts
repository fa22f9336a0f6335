import { expect, test } from 'bun:test'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { defaultNodeLimits } from '../../core/limits.ts'
import { planEngine } from './authorityengines.ts'
import { powOf } from './engines.ts'
import { calm } from './faults.ts'
import { mixedPlan, type Plan } from './plan.ts'
import { help } from './options.ts'
import { Simulation } from './simulation.ts'
import { suites, type Suite } from './suites.ts'
import { removeFolder, temporaryFolder } from '../support/process.ts'

const repository = join(import.meta.dir, '../..')

/** `bun run sim` as a user runs it. */
function sim(...args: string[]) {
  const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, '--no-install', 'test/sim/main.ts', ...args], {
    cwd: repository,
  })
  return {
    exitCode,
    out: stdout.toString(),
    err: stderr.toString(),
    last: stdout.toString().trimEnd().split('\n').at(-1)!,
  }
}

test('a small world with everything holds, and tells the same story again, in this process and in another', async () => {
  const plan = mixedPlan(2)
  const run = () => new Simulation({ plan, engine: powOf(plan) }).run()
  const [first, again] = [await run(), await run()]
  expect(first.broken).toBeUndefined()
  expect(again).toEqual(first)
  expect(first.figures.height).toBeGreaterThan(2)
  expect(first.figures.recorded).toBeGreaterThan(2)
  const { exitCode, last } = sim('--seed', '2', '--mix')
  expect([exitCode, last]).toEqual([0, `trace ${first.trace}`])
}, 60_000)

test('a market with peers that keep no chain holds, and tells the same story again', async () => {
  const plan = { ...mixedPlan(3), minutes: 1, application: 'market' as const, light: 2 }
  const run = () => new Simulation({ plan, engine: powOf(plan) }).run()
  const [first, again] = [await run(), await run()]
  expect(first.broken).toBeUndefined()
  expect(again).toEqual(first)
  const { rivals, declined, dropped } = first.scenes
  expect(first.scenes).toMatchObject({ market: 1, 'light-peer': 2 })
  expect(Math.min(rivals, declined, dropped, first.figures.recorded)).toBeGreaterThan(2)
}, 60_000)

test('an engine in a file of its own runs unchanged, with its settings', () => {
  const folder = temporaryFolder()
  const file = join(folder, 'my-engine.ts')
  const source = readFileSync(join(repository, 'plugins/instant/index.ts'), 'utf8')
  writeFileSync(file, source.replace("name: 'instant'", "name: 'mine'").replace("id: 'instant'", "id: 'mine'"))
  try {
    const usual = ['--seed', '3', '--calm', '--nodes', '3', '--minutes', '0.5', '--rate', '0.3']
    const { exitCode, out, last } = sim('--engine', file, '--mine.produce', 'true', ...usual)
    expect(out).toContain('engine mine')
    expect([exitCode, /^trace [0-9a-f]{64}$/.test(last)]).toEqual([0, true])
    expect(sim('--engine', file, '--mine.prod', 'true', ...usual)).toMatchObject({ exitCode: 64, out: '' })
  } finally {
    removeFolder(folder)
  }
}, 60_000)

test('mistakes are told with what was meant', () => {
  expect(sim('--los', '1%')).toMatchObject({
    exitCode: 64,
    err: 'sim: unknown-flag: bun run sim: unknown flag --los; did you mean --loss?\n',
  })
  expect(sim('--hostile', 'lyin').err).toContain('did you mean lying?')
  expect(sim('--application', 'markt').exitCode).toBe(64)
  expect(sim('--loss', '120%').exitCode).toBe(64)
  expect(sim('--engine', './nothing.ts').exitCode).toBe(64)
})

test('the help fits a screen and names every flag', () => {
  expect(help.split('\n').filter((line) => line.length > 80)).toEqual([])
})

test('authorities that lie, a miner majority, a key that two have: each suite has a world that holds, twice the same', async () => {
  for (const [name, seed] of [
    ['finality', 2],
    ['clones', 2],
  ] as const) {
    const suite: Suite = suites[name]
    const plan = suite.plan(seed)
    const run = () => new Simulation({ plan, engine: suite.engine(plan) }).run()
    const [first, again] = [await run(), await run()]
    expect(first.broken).toBeUndefined()
    expect(again).toEqual(first)
    expect(Math.min(first.scenes.final, first.scenes.evidence)).toBeGreaterThan(0)
    expect(sim('--suite', name, '--seed', String(seed)).last).toBe(`trace ${first.trace}`)
  }
}, 60_000)

test('who comes back after 1,000 blocks checks certificates on its way, and calls final what the others do', async () => {
  const plan: Plan = {
    ...suites.authorities.plan(1),
    engine: 'poa',
    ...quiet,
    nodes: 5,
    minutes: 4.5,
    late: 1,
    blockSeconds: 0.1,
    rate: 7,
    application: 'none',
    authorities: { count: 4, liars: 0, clones: 0, finality: { every: 10, haltAfter: undefined } },
    limits: defaultNodeLimits,
  }
  const certified: number[] = []
  const engine = planEngine(plan)
  const heights: number[] = []
  const simulation = new Simulation({
    plan,
    engine,
    finalized: (node, height) => {
      if (node !== '24.0.0.1') heights.push(height)
      else certified.push(height, Math.max(...heights))
    },
  })
  const { broken, figures } = await simulation.run()
  expect(broken).toBeUndefined()
  expect(figures.height).toBeGreaterThan(1_000)
  const [first, others] = certified
  // It was told nothing of old votes, and yet it calls blocks final long before it is where the others are.
  expect(others).toBeGreaterThan(1_000)
  expect(first).toBeLessThan(others! - 100)
  expect(certified.at(-2)).toBeGreaterThanOrEqual(others!)
}, 60_000)

const quiet = {
  secretShare: 0,
  apartMilliseconds: 0,
  absences: 0,
  latency: [1, 20] as const,
  weather: calm,
  partitions: 0,
  crashes: 0,
  skewMilliseconds: 0,
  jumps: 0,
  stalls: 0,
  syncMillisecondsMax: 0,
  hostile: [],
  light: 0,
}
