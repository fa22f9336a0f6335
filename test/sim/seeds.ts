// Many small worlds, one a seed: bun run test:sim [--suite mixed] [--seeds 1..500]
// Two processes side by side, and each takes every second seed. A batch in which some kind of fault or of hostile peer
// never fired fails: it proved less than it says.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { readFlags, usageError } from '../../core/commands/flags.ts'
import { AurexError } from '../../core/errors.ts'
import { suggestion } from '../../core/errors.ts'
import { faultKinds } from './faults.ts'
import { Simulation } from './simulation.ts'
import { suites, type Suite, type SuiteName } from './suites.ts'

const processes = 2
const seedsUsual = '1..500'

interface Line {
  readonly seed: number
  readonly milliseconds: number
  readonly broken?: string
  readonly counts: Readonly<Record<string, number>>
}

const flags = { seeds: { type: 'string' }, suite: { type: 'string' }, share: { type: 'integer', min: 0 } } as const

const help = `bun run test:sim [--suite NAME] [--seeds 1..500]: many small worlds, one a seed

${Object.entries(suites)
  .map(([name, { about }]) => `  ${name.padEnd(12)}${about}`)
  .join('\n')}
`

async function main(argv: readonly string[]): Promise<number> {
  const { values, help: asked } = readFlags(argv, { command: 'bun run test:sim', flags })
  if (asked) {
    print(help)
    return 0
  }
  const suite = suiteNamed(values.suite ?? 'mixed')
  const text = values.seeds ?? seedsUsual
  const [, first, last] = /^(\d{1,15})\.\.(\d{1,15})$/.exec(text) ?? []
  if (first === undefined || Number(first) > Number(last)) {
    throw usageError('bad-value', `--seeds: expected such as 1..500, got ${JSON.stringify(text)}`)
  }
  if (values.share === undefined) return await runAll(suite, text, Number(last) - Number(first) + 1)
  for (let seed = Number(first) + values.share; seed <= Number(last); seed += processes) await runOne(suite, seed)
  return 0
}

function suiteNamed(name: string): SuiteName {
  if (Object.hasOwn(suites, name)) return name as SuiteName
  const names = Object.keys(suites)
  const advice = suggestion(name, names) || `; expected one of ${names.join(', ')}`
  throw usageError('bad-value', `--suite: there is no suite ${JSON.stringify(name)}${advice}`)
}

async function runOne(name: SuiteName, seed: number): Promise<void> {
  const suite: Suite = suites[name]
  const plan = suite.plan(seed)
  const began = performance.now()
  const { broken, faults, hostile, scenes: played } = await new Simulation({ plan, engine: suite.engine(plan) }).run()
  const milliseconds = Math.round(performance.now() - began)
  const where = broken?.node === undefined ? '' : ` at ${broken.node}`
  const line: Line = {
    seed,
    milliseconds,
    ...(broken === undefined ? {} : { broken: `${broken.invariant}${where}: ${broken.message}` }),
    counts: { ...faults, ...hostile, ...played },
  }
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

async function runAll(suite: SuiteName, seeds: string, count: number): Promise<number> {
  const totals = new Map<string, number>()
  let passed = 0
  let failed = 0
  let slowest: Line | undefined
  const began = performance.now()
  const take = (line: Line): void => {
    for (const [kind, times] of Object.entries(line.counts)) totals.set(kind, (totals.get(kind) ?? 0) + times)
    if (slowest === undefined || line.milliseconds > slowest.milliseconds) slowest = line
    if (line.broken === undefined) {
      passed++
    } else {
      failed++
      print(
        `seed ${line.seed}: ${line.broken}\n  to see it again: bun run sim --seed ${line.seed} ${suite === 'mixed' ? '--mix' : `--suite ${suite}`} --verbose\n`,
      )
    }
    if ((passed + failed) % 50 === 0) print(`${passed + failed} of ${count} seeds\n`)
  }
  const shares = Array.from({ length: processes }, (_, share) => runShare(suite, seeds, share, take))
  const ended = await Promise.all(shares)
  const missing = count - passed - failed
  if (missing > 0 || ended.some((code) => code !== 0)) {
    print(`${missing} seeds were not run: a process ended with ${ended.join(' and ')}\n`)
    failed += Math.max(1, missing)
  }
  const kinds: readonly string[] = [...faultKinds, ...suites[suite].kinds]
  print(`${kinds.map((kind) => `${kind} ${totals.get(kind) ?? 0}`).join(', ')}\n`)
  for (const kind of kinds.filter((one) => (totals.get(one) ?? 0) === 0)) {
    failed++
    print(`${kind} never fired: the batch has proven nothing about it\n`)
  }
  const seconds = (performance.now() - began) / 1_000
  print(`${seconds.toFixed(0)} s; the slowest was seed ${slowest?.seed} with ${slowest?.milliseconds} ms\n`)
  print(`${passed} passed, ${failed} failed\n`)
  return failed === 0 ? 0 : 1
}

/** Resolves to the exit code of the process that ran one share of the seeds. */
function runShare(suite: SuiteName, seeds: string, share: number, take: (line: Line) => void): Promise<number | null> {
  const own = fileURLToPath(import.meta.url)
  const args = ['--suite', suite, '--seeds', seeds, '--share', String(share)]
  const child = spawn(process.execPath, ['--no-install', own, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const { promise, resolve } = Promise.withResolvers<number | null>()
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (text) => take(JSON.parse(text) as Line))
  child.on('close', resolve)
  return promise
}

const print = (text: string): void => void process.stdout.write(text)

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  if (!(error instanceof AurexError)) throw error
  process.stderr.write(`test:sim: ${error.code}: ${error.message}\n`)
  return error.exit
})
