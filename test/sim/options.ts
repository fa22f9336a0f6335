import { readFlags, usageError } from '../../core/commands/flags.ts'
import { suggestion } from '../../core/errors.ts'
import { defaultNodeLimits } from '../../core/limits.ts'
import { resolvePlugin } from '../../core/resolve.ts'
import { applicationNames, type ApplicationName } from './applications.ts'
import { withAuthorities } from './authorityengines.ts'
import { engineOf, instantEngine, powOf, type Engine } from './engines.ts'
import { calm } from './faults.ts'
import { hostileKinds, type HostileKind } from './hostile/kinds.ts'
import { applicationOf, type Plan } from './plan.ts'
import { suites, type Suite, type SuiteName } from './suites.ts'

export interface Options {
  readonly plan: Plan
  readonly engine: Engine
  readonly verbose: boolean
}

const spec = {
  command: 'bun run sim',
  dotted: true,
  flags: {
    seed: { type: 'integer', min: 0 },
    mix: { type: 'boolean' },
    suite: { type: 'string' },
    calm: { type: 'boolean' },
    nodes: { type: 'integer', min: 1, max: 2_000 },
    minutes: { type: 'string' },
    engine: { type: 'string' },
    finality: { type: 'boolean' },
    authorities: { type: 'integer', min: 1, max: 100 },
    liars: { type: 'integer', min: 0, max: 33 },
    clones: { type: 'integer', min: 0, max: 1 },
    secret: { type: 'string' },
    stall: { type: 'string' },
    difficulty: { type: 'integer', min: 0, max: 5 },
    'block-time': { type: 'string' },
    retarget: { type: 'boolean' },
    rate: { type: 'string' },
    delay: { type: 'string' },
    loss: { type: 'string' },
    duplicate: { type: 'string' },
    reorder: { type: 'string' },
    spikes: { type: 'string' },
    resets: { type: 'string' },
    late: { type: 'integer', min: 0 },
    partitions: { type: 'integer', min: 0 },
    crashes: { type: 'integer', min: 0 },
    absences: { type: 'integer', min: 0 },
    apart: { type: 'string' },
    skew: { type: 'string' },
    jumps: { type: 'integer', min: 0 },
    stalls: { type: 'integer', min: 0 },
    'slow-disk': { type: 'integer', min: 0 },
    application: { type: 'string' },
    light: { type: 'integer', min: 0, max: 100 },
    hostile: { type: 'string' },
    verbose: { type: 'boolean' },
  },
} as const

export const help = `Runs a network of aurex nodes in one process, in virtual time, from a seed.

Examples
  bun run sim --seed 7                        a world with a bit of everything
  bun run sim --seed 7 --nodes 50 --minutes 30
  bun run sim --seed 7 --calm --nodes 200     nothing goes wrong
  bun run sim --seed 7 --engine ./mine.ts     an engine of your own, unchanged
  bun run sim --seed 7 --calm --loss 1% --partitions 3 --hostile lying
  bun run sim --seed 7 --engine poa --authorities 5 --finality --liars 1
  bun run sim --seed 7 --mix --verbose        what bun run test:sim does with 7

The world
  --seed N          decides everything: same seed, same trace (1)
  --nodes N         honest nodes (10)
  --minutes N       simulated, until everything is healed (10)
  --engine NAME     pow, poa, bft, instant, or a plugin's file (pow)
  --NAME.KEY VALUE  a setting of that plugin, or of its chain
  --authorities N   keys that make blocks, or vote: those of the first nodes
                    (poa, bft and --finality: as many as there are nodes)
  --finality        they vote on which blocks are final
  --stall halt      no block stands more than 10 above the last final one
  --application S   market, none, or mixed: the seed decides (mixed)
  --light N         nodes without a chain, that only take part (1)
  --difficulty N    pow: leading zero hex digits of a block's hash (2)
  --block-time S    pow: seconds all nodes together need for a block (10)
  --retarget        pow: the rules keep the block time
  --rate N          new transactions a second (0.2)
  --delay A..B      milliseconds from host to host (5..100)

What goes wrong
  --calm            nothing but what other flags ask for
  --mix             everything else, the nodes too, is drawn from the seed
  --loss S          share of lines that are lost: 0.01 or 1%
  --duplicate S     that come twice
  --reorder S       that are overtaken by the next
  --spikes S        of writes that take seconds
  --resets S        of writes that break their connection
  --late N          nodes that come late, with an empty ledger
  --partitions N    one-way, two-way, or with a bridge
  --crashes N       of a process, of the power, in the middle of a write
  --skew S          seconds that clocks are off at the most
  --jumps N         of clocks
  --absences N      of a node, for up to 50 s
  --stalls N        of whole nodes, for up to 12 s
  --slow-disk MS    a sync takes up to so many milliseconds
  --hostile KINDS   all, none, or some of ${hostileKinds.slice(0, 3).join(',')},
                    ${hostileKinds.slice(3).join(',')}
  --liars N         so many of the authorities lie
  --clones 1        another node has the key of an authority
  --apart S         the two are apart for so many seconds at first (20)
  --secret S        pow: a miner with this share of all hash power, who hides
  --suite NAME      everything is drawn from the seed, as in a suite:
                    ${Object.keys(suites).join(', ')}

  --verbose         tells everything as it happens

Ends with a line "trace" and 64 hex digits. Exit code 0: every invariant held;
1: one broke, and how to see it again is said; 64: a mistake on this line.
`

/** Reads the command line; undefined where help was asked for. Throws a usage error. */
export async function readOptions(argv: readonly string[], cwd: string): Promise<Options | undefined> {
  const flags = readFlags(argv, spec)
  if (flags.help) return undefined
  const { values } = flags
  const seed = values.seed ?? 1
  const suite: Suite | undefined = suiteNamed(values.mix ? 'mixed' : values.suite)
  const base = suite?.plan(seed) ?? usualPlan(seed, values.nodes ?? 10, numberOf('minutes', values.minutes) ?? 10)
  const given = definedOf({
    nodes: values.nodes,
    minutes: numberOf('minutes', values.minutes),
    latency: rangeOf(values.delay),
    late: values.late,
    partitions: values.partitions,
    crashes: values.crashes,
    absences: values.absences,
    apartMilliseconds: milliseconds(numberOf('apart', values.apart)),
    secretShare: shareOf('secret', values.secret),
    skewMilliseconds: milliseconds(numberOf('skew', values.skew)),
    jumps: values.jumps,
    stalls: values.stalls,
    syncMillisecondsMax: values['slow-disk'],
    hostile: hostileOf(values.hostile),
    application: applicationNamed(values.application, seed),
    light: values.light,
    rate: numberOf('rate', values.rate),
    difficulty: values.difficulty,
    blockSeconds: numberOf('block-time', values['block-time']),
    retarget: values.retarget ? true : undefined,
  })
  const weather = definedOf({
    loss: shareOf('loss', values.loss),
    duplicate: shareOf('duplicate', values.duplicate),
    reorder: shareOf('reorder', values.reorder),
    delaySpike: shareOf('spikes', values.spikes),
    reset: shareOf('resets', values.resets),
  })
  const quiet = values.calm ? calmed(base) : base
  const whole: Plan = { ...quiet, ...given, weather: { ...quiet.weather, ...weather } }
  if (suite !== undefined && values.engine === undefined) {
    return { plan: whole, engine: suite.engine(whole), verbose: values.verbose }
  }
  const name = values.engine ?? 'pow'
  const isOwn = name === 'poa' || name === 'bft'
  const plan = authoritiesIn({ ...whole, engine: isOwn ? name : 'pow' }, values, isOwn)
  return {
    plan,
    engine: withAuthorities(await engineNamed(name, plan, flags.dotted, cwd), plan),
    verbose: values.verbose,
  }
}

interface AuthorityFlags {
  readonly authorities: number | undefined
  readonly finality: boolean
  readonly liars: number | undefined
  readonly clones: number | undefined
  readonly stall: string | undefined
}

/** As many blocks may stand above the last certified one on a chain that halts. */
const haltAfter = 10
const apartMilliseconds = 20_000

/** `isOwn`: the engine is one that needs them. Clones come beside the nodes that were asked for. */
function authoritiesIn(plan: Plan, flags: AuthorityFlags, isOwn: boolean): Plan {
  const { liars = 0, clones = 0, finality, stall } = flags
  if (stall !== undefined && stall !== 'halt' && stall !== 'continue') throw wrong('stall', 'halt or continue', stall)
  if (!isOwn && !finality && flags.authorities === undefined) {
    const odd = liars > 0 ? 'liars' : clones > 0 ? 'clones' : stall === undefined ? undefined : 'stall'
    if (odd === undefined) return plan
    throw usageError('bad-value', `--${odd}: there are no authorities; add --finality, or --engine poa or bft`)
  }
  const count = flags.authorities ?? plan.nodes + liars
  if (count - liars > plan.nodes) throw wrong('authorities', `at most ${plan.nodes + liars}`, String(count))
  if (count - liars < 1) throw wrong('liars', `fewer than the ${count} authorities`, String(liars))
  const isHalting = stall === 'halt'
  const apart = clones > 0 && plan.apartMilliseconds === 0 ? { apartMilliseconds } : {}
  return {
    ...plan,
    ...apart,
    nodes: plan.nodes + clones,
    authorities: {
      count,
      liars,
      clones,
      finality: finality ? { every: 1, haltAfter: isHalting ? haltAfter : undefined } : undefined,
    },
  }
}

/** A bit of everything, more of it in a larger world that lasts longer. */
function usualPlan(seed: number, nodes: number, minutes: number): Plan {
  const often = (perMinute: number) => Math.ceil(minutes * perMinute)
  return {
    seed,
    engine: 'pow',
    authorities: undefined,
    secretShare: 0,
    apartMilliseconds: 0,
    absences: often(0.1),
    nodes,
    minutes,
    latency: [5, 100],
    weather: { loss: 0.001, duplicate: 0.001, reorder: 0.001, delaySpike: 0.001, reset: 0.000_1 },
    late: 1,
    partitions: often(0.2),
    crashes: often(0.5),
    skewMilliseconds: 2_000,
    jumps: often(0.1),
    stalls: often(0.2),
    syncMillisecondsMax: 5,
    hostile: hostileKinds,
    application: applicationOf(seed),
    light: 1,
    rate: 0.2,
    difficulty: 2,
    blockSeconds: 10,
    retarget: false,
    halfLifeSeconds: undefined,
    limits: defaultNodeLimits,
  }
}

const calmed = (plan: Plan): Plan => ({
  ...plan,
  late: 0,
  weather: calm,
  partitions: 0,
  crashes: 0,
  absences: 0,
  secretShare: 0,
  skewMilliseconds: 0,
  jumps: 0,
  stalls: 0,
  syncMillisecondsMax: 0,
  hostile: [],
  light: 0,
})

async function engineNamed(
  name: string,
  plan: Plan,
  settings: ReadonlyMap<string, string>,
  cwd: string,
): Promise<Engine> {
  const [setting] = settings.keys()
  if (name === 'pow' || name === 'instant') {
    if (setting !== undefined)
      throw usageError('unknown-flag', `--${setting}: only an engine of your own has such flags`)
    return name === 'pow' ? powOf(plan) : instantEngine()
  }
  const isBlockTime = name === 'poa' || name === 'bft'
  const usual = isBlockTime ? [[`${name}.block_time`, String(plan.blockSeconds)] as const] : []
  return engineOf(await resolvePlugin(name, cwd), new Map([...usual, ...settings]))
}

function suiteNamed(name: string | undefined): Suite | undefined {
  if (name === undefined) return undefined
  const names = Object.keys(suites)
  if (names.includes(name)) return suites[name as SuiteName]
  const advice = suggestion(name, names) || `; expected one of ${names.join(', ')}`
  throw usageError('bad-value', `--suite: there is no suite ${JSON.stringify(name)}${advice}`)
}

// ---- values ----

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** Without what was not given, so that it hides no default. */
const definedOf = <T extends object>(values: T): Defined<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Defined<T>

const milliseconds = (seconds: number | undefined): number | undefined =>
  seconds === undefined ? undefined : Math.round(seconds * 1_000)

function numberOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const number = Number(text)
  if (/^\d+(\.\d+)?$/.test(text) && number < 1e6) return number
  throw wrong(flag, 'a number from 0 up', text)
}

function shareOf(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, digits, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? []
  const share = Number(digits) / (percent === '%' ? 100 : 1)
  if (share >= 0 && share < 1) return share
  throw wrong(flag, 'a share from 0 up to below 1, such as 0.01 or 1%', text)
}

function rangeOf(text: string | undefined): readonly [number, number] | undefined {
  if (text === undefined) return undefined
  const [, least, most = least] = /^(\d{1,5})(?:\.\.(\d{1,5}))?$/.exec(text) ?? []
  const [from, to] = [Number(least), Number(most)]
  if (from <= to) return [from, to]
  throw wrong('delay', 'milliseconds, such as 20 or 5..100', text)
}

function hostileOf(text: string | undefined): readonly HostileKind[] | undefined {
  if (text === undefined) return undefined
  if (text === 'all') return hostileKinds
  if (text === 'none') return []
  return text.split(',').map((name) => {
    const kind = hostileKinds.find((one) => one === name)
    if (kind !== undefined) return kind
    const advice = suggestion(name, hostileKinds) || `; expected all, none, or some of ${hostileKinds.join(', ')}`
    throw usageError('bad-value', `--hostile: there is no kind ${JSON.stringify(name)}${advice}`)
  })
}

function applicationNamed(text: string | undefined, seed: number): ApplicationName | undefined {
  if (text === undefined) return undefined
  if (text === 'mixed') return applicationOf(seed)
  const name = applicationNames.find((one) => one === text)
  if (name !== undefined) return name
  throw wrong('application', `${applicationNames.join(', ')} or mixed`, text)
}

const wrong = (flag: string, expected: string, got: string) =>
  usageError('bad-value', `--${flag}: expected ${expected}, got ${JSON.stringify(got)}; see: bun run sim --help`)
