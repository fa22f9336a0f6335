// Small worlds of authorities, all of them that can be counted and many that cannot: bun run test:authorities
// [--seeds 1..10000]. Seeds that fail are printed, and play the same again. Ends with a line `N passed, N failed`.
import { readFlags, usageError } from '../../core/commands/flags.ts'
import { AurexError } from '../../core/errors.ts'
import { allDeaths, deathsFault } from './deaths.ts'
import { goesOn, life } from './life.ts'
import { eip3436, playScene, spentHeight, type Hearing, type Scene } from './scenes.ts'
import type { WorldOptions } from './world.ts'

const seedsUsual = '1..10000'
const timingsEach = 8
const failuresShownMax = 20

type Rules = Pick<WorldOptions, 'tieBreak' | 'site' | 'record'>

/** Clique as it was: whoever saw a fork first keeps it, and everybody builds on his head alone. */
export const plainClique: Rules = { tieBreak: false, site: false, record: false }
const withoutSite: Rules = { site: false }
const withoutTieBreak: Rules = { tieBreak: false }

class Tally {
  passed = 0
  failed = 0
  #begun = performance.now()

  count(what: string, fault: string | undefined): void {
    if (fault === undefined) this.passed++
    else if (this.failed++ < failuresShownMax) print(`FAILED ${what}: ${fault.slice(0, 2_000)}`)
  }

  section(text: string): void {
    const seconds = ((performance.now() - this.#begun) / 1_000).toFixed(1)
    print(`${text} (${seconds} s)`)
    this.#begun = performance.now()
  }
}

function main(argv: readonly string[]): number {
  const { values, help } = readFlags(argv, {
    command: 'bun run test:authorities',
    flags: { seeds: { type: 'string' } },
  })
  if (help) {
    print('bun run test:authorities [--seeds 1..10000]: small worlds of authorities')
    return 0
  }
  const [, first, last] = /^(\d{1,9})\.\.(\d{1,9})$/.exec(values.seeds ?? seedsUsual) ?? []
  if (first === undefined || Number(first) > Number(last)) {
    throw usageError('bad-value', `--seeds: expected such as ${seedsUsual}, got ${JSON.stringify(values.seeds)}`)
  }
  const tally = new Tally()
  everyDeath(tally)
  scenes(tally)
  lives(Number(first), Number(last), tally)
  canFail(tally)
  print(`${tally.passed} passed, ${tally.failed} failed`)
  return tally.failed === 0 ? 0 : 1
}

function everyDeath(tally: Tally): void {
  const all = [1, 2, 3, 4, 5].flatMap(allDeaths)
  for (const deaths of all) {
    for (let seed = 1; seed <= timingsEach; seed++) {
      tally.count(`${deaths.count} authorities, dying ${deaths.dying.join()}, seed ${seed}`, deathsFault(deaths, seed))
    }
  }
  tally.section(
    `1 to 5 authorities: every set of survivors, ${all.length} orders of dying, ${timingsEach} timings each`,
  )
}

const sceneNames: readonly (readonly [string, Scene])[] = [
  ['EIP-3436, first', eip3436[0]],
  ['EIP-3436, second', eip3436[1]],
  ['a height that is spent', spentHeight],
]
const hearings: readonly Hearing[] = ['in one batch', 'block by block']

function scenes(tally: Tally): void {
  for (const [name, scene] of sceneNames) {
    for (const hearing of hearings) tally.count(`${name}, ${hearing}`, goesOn(playScene(scene, hearing).world).fault)
  }
  tally.section('the forks that halted networks before')
}

function lives(first: number, last: number, tally: Tally): void {
  const totals: Record<string, number> = {}
  let slowest = 0
  for (let seed = first; seed <= last; seed++) {
    const { fault, faults, recovered = 0 } = life(seed)
    tally.count(`seed ${seed}`, fault)
    for (const [kind, count] of Object.entries(faults)) totals[kind] = (totals[kind] ?? 0) + count
    slowest = Math.max(slowest, recovered)
  }
  const kinds = Object.entries(totals).map(([kind, count]) => `${count} ${kind}`)
  tally.section(`seeds ${first}..${last}: ${kinds.join(', ')}; going on after ${slowest / 1_000} s of theirs at most`)
}

/** The same search finds the deadlocks that are known, once a rule is left out: it can fail. */
function canFail(tally: Tally): void {
  for (const [name, rules, scene] of [
    ['plain Clique', plainClique, eip3436[0]],
    ['plain Clique', plainClique, eip3436[1]],
    ['without the tie-break', withoutTieBreak, eip3436[1]],
    ['without another place to build', withoutSite, spentHeight],
  ] as const) {
    const { fault } = goesOn(playScene(scene, 'in one batch', rules).world)
    tally.count(`${name}: a laid out fork halts`, halts(fault))
  }
  for (const [name, rules] of [
    ['plain Clique', plainClique],
    ['without the tie-break', withoutTieBreak],
    ['without another place to build', withoutSite],
  ] as const) {
    tally.count(`${name}: a seed is found that halts`, firstDeadlock(rules) === undefined ? 'none is found' : undefined)
  }
  tally.section('with a rule left out, the same halt, and seeds are found that do')
}

const halts = (fault: string | undefined): string | undefined =>
  fault?.startsWith('deadlock') === true ? undefined : `expected a deadlock, got ${fault ?? 'none'}`

const seedsToFind = 2_000

/** The first seed with which a chain halts under these rules. */
export function firstDeadlock(rules: Rules): number | undefined {
  for (let seed = 1; seed <= seedsToFind; seed++) {
    if (life(seed, rules).fault?.startsWith('deadlock') === true) return seed
  }
  return undefined
}

const print = (line: string): void => void process.stdout.write(`${line}\n`)

if (import.meta.main) {
  try {
    process.exitCode = main(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof AurexError)) throw error
    process.stderr.write(`${error.code}: ${error.message}\n`)
    process.exitCode = error.exit
  }
}
