import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import * as v from 'valibot'
import { builtinNames } from '../builtin.ts'
import { Contributed } from '../contributions.ts'
import { createBus } from '../bus.ts'
import { auditLedger, type Damage } from '../chain/audit.ts'
import { readGenesis, type Genesis } from '../chain/genesis.ts'
import { isObject, parseJsonText } from '../chain/json.ts'
import { keyPairOfPem, privatePemOf } from '../chain/keys.ts'
import { issueText } from '../config/value.ts'
import { AurexError, exitCode, messageOf } from '../errors.ts'
import { defaultNodeLimits } from '../limits.ts'
import { resolvePlugin, setUpPlugins, type PluginEntry, type SetUp } from '../load.ts'
import type { Log } from '../log.ts'
import type { LoadedPlugin, Storage } from '../plugin.ts'
import { openServices } from '../services.ts'
import { version } from '../version.ts'
import type { Command, Io } from './command.ts'
import { readFlags, usageError } from './flags.ts'
import { paint, printable, Progress } from './terminal.ts'

const help = `Re-checks a whole ledger file, offline, and names the first row that is wrong.

  aurex verify ~/.local/share/aurex/node_13245.sqlite3
  aurex verify lab.sqlite3 --engine ./my-engine.ts --application ./my-rules.ts
  aurex verify lab.sqlite3 --json

Usage: aurex verify <file> [--engine <plugin>] [--application <plugin>]
                           [--finality <plugin>] [--json]

  --engine <plugin>        the chain's engine, where it is no built-in one: a
                           file or an npm package
  --application <plugin>   the chain's application, likewise
  --finality <plugin>      what reads its certificates, in place of finality
  --json                   one JSON object: {ok: true, ledger, chain_id, blocks,
                           transactions} or {ok: false, ledger, row, problem}

Every block: its place, hash, work, seal, time, signature, Merkle root, and its
certificate of what is final. Every transaction: its id, its signature, that it
is there once; where there is an application, what it changed of the state. What
is pending as well. The file is only read; its node may be running.
Exit code 0: all of it holds; 1: something does not; 75: interrupted; 78: it is
no ledger, or of an engine or an application that is not here.
`

export const command: Command = {
  name: 'verify',
  summary: 're-check a ledger file, hash by hash and signature by signature',
  help,
  async run(argv, io) {
    const flags = readFlags(argv, {
      command: 'aurex verify',
      flags: {
        engine: { type: 'string' },
        application: { type: 'string' },
        finality: { type: 'string' },
        json: { type: 'boolean' },
      },
      positionals: ['file'],
    })
    if (flags.help) {
      io.out(help)
      return exitCode.ok
    }
    const [path] = flags.positionals
    if (path === undefined) throw usageError('missing-argument', 'aurex verify: which ledger? aurex verify <file>')
    const report = await verify(path, flags.values, io)
    io.out(flags.values.json ? `${JSON.stringify(report)}\n` : `${textOf(report, io)}\n`)
    return report.ok ? exitCode.ok : exitCode.failure
  },
}

type Report =
  | { ok: true; ledger: string; chain_id: string; blocks: number; transactions: number }
  | { ok: false; ledger: string; row: string; problem: string }

function textOf(report: Report, io: Io): string {
  if (!report.ok) return printable(`${report.ledger}: WRONG: ${report.row}: ${report.problem}`)
  const { ledger, chain_id, blocks, transactions } = report
  const counts = `${plural(blocks, 'block')}, ${plural(transactions, 'transaction')}`
  return `${paint(io, 'green', 'sound')}: ${printable(ledger)}, chain ${chain_id}: ${counts}`
}

const plural = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

/** What the command line names, where it is not built in. */
interface Named {
  readonly engine: string | undefined
  readonly application: string | undefined
  readonly finality: string | undefined
}

async function verify(path: string, named: Named, io: Io): Promise<Report> {
  if (statSync(resolve(io.cwd, path), { throwIfNoEntry: false })?.isDirectory() === true) {
    throw usageError('bad-file', `${path}: this is a directory; name the ledger in it: node_{port}.sqlite3`)
  }
  const storagePlugin = await resolvePlugin('sqlite', io.cwd)
  let opened: SetUp | undefined
  try {
    opened = await setUp([entryOf(storagePlugin, { path, readonly: true })], undefined, io)
    const storage = opened.slots.storage!
    const text = storage.genesis()
    if (text === undefined)
      throw new AurexError('no-genesis', `${path}: there is no chain in it; a gateway alone keeps none`, {
        exit: exitCode.config,
      })
    const genesis = genesisOf(text, path)
    if (genesis === undefined) return { ok: false, ledger: path, row: 'meta, genesis', problem: 'it is no genesis' }
    const damage = storageDamage(storage) ?? (await audit(storage, genesis, named, io))
    if (damage !== undefined) return { ok: false, ledger: path, row: damage.row, problem: damage.what }
    const { transactions } = storage.counts()
    return {
      ok: true,
      ledger: path,
      chain_id: genesis.rules.chainId,
      blocks: storage.head().header.index,
      transactions,
    }
  } catch (error) {
    if (!(error instanceof AurexError) || error.code !== 'ledger-damaged') throw error
    return { ok: false, ledger: path, row: 'ledger', problem: error.message }
  } finally {
    await opened?.dispose()
  }
}

/** undefined where what stands in the ledger is none. */
function genesisOf(text: string, path: string): Genesis | undefined {
  const value = parseJsonText(text)
  if (!value.ok || !isObject(value.value)) return undefined
  try {
    return readGenesis(value.value, `the genesis in ${path}`)
  } catch (error) {
    if (error instanceof AurexError && error.code === 'bad-genesis') return undefined
    throw error
  }
}

function storageDamage(storage: Storage): Damage | undefined {
  const what = storage.integrity()
  return what === undefined ? undefined : { row: 'the file itself', what: what.replaceAll('\n', '; ') }
}

async function audit(storage: Storage, genesis: Genesis, named: Named, io: Io): Promise<Damage | undefined> {
  const entries = await entriesFor(genesis, named, io)
  if (!entries.ok) return entries.damage
  // They get the ledger that is checked, and a chance to judge: nothing is sealed here.
  const given: LoadedPlugin = { ...storageStub, setup: () => storage }
  const up = await setUp([entryOf(given, {}), ...entries.entries], genesis, io)
  const progress = new Progress(io)
  try {
    const height = storage.head().header.index
    const { consensus, application, finality } = up.slots
    const parts = { storage, genesis, consensus: consensus!, application, finality, signatures: true }
    const steps = auditLedger(parts)
    let step = steps.next()
    let heardAt = Number.NEGATIVE_INFINITY
    for (; step.done !== true; step = steps.next()) {
      progress.show(step.value / height, `block ${step.value} of ${height}`)
      if (io.runtime.clock.monotonic() - heardAt < deafMillisecondsMax) continue
      // The audit never waits for anything, so a signal is heard only where it is let in.
      await new Promise<void>((heard) => io.runtime.clock.soon(heard))
      heardAt = io.runtime.clock.monotonic()
      if (io.signal.aborted) throw interrupted(step.value, height)
    }
    return step.value
  } finally {
    progress.clear()
    await up.dispose()
  }
}

/** For how long a signal may go unheard. */
const deafMillisecondsMax = 20

const interrupted = (block: number, height: number): AurexError =>
  new AurexError('interrupted', `stopped at block ${block} of ${height}; all is sound up to there`, {
    exit: exitCode.tryAgain,
  })

type Entries = { ok: true; entries: readonly PluginEntry[] } | { ok: false; damage: Damage }

/** The plugins that the genesis names, each with its table, or what is wrong with a table. */
async function entriesFor(genesis: Genesis, named: Named, io: Io): Promise<Entries> {
  const tables = {
    consensus: { name: genesis.consensus, table: genesis.parameters },
    application: { name: genesis.application, table: genesis.applicationParameters },
    finality: { name: genesis.finality && 'finality', table: genesis.finality },
  }
  const entries: PluginEntry[] = []
  for (const slot of ['consensus', 'application', 'finality'] as const) {
    const { name, table } = tables[slot]
    if (name === undefined) continue
    const plugin = await pluginFor(slot, name, named[roles[slot].what], io)
    const parsed = v.safeParse(plugin.parameters ?? v.looseObject({}), table)
    if (!parsed.success) {
      return { ok: false, damage: { row: 'meta, genesis', what: `${plugin.name}: ${issueText(parsed.issues[0])}` } }
    }
    entries.push({ ...entryOf(plugin, v.parse(plugin.config, {})), parameters: parsed.output })
  }
  return { ok: true, entries }
}

const roles = {
  consensus: { what: 'engine', flag: '--engine' },
  application: { what: 'application', flag: '--application' },
  finality: { what: 'finality', flag: '--finality' },
} as const

/** `expected`: the name in the genesis; `given`: what the command line names in its place. */
async function pluginFor(
  slot: keyof typeof roles,
  expected: string,
  given: string | undefined,
  io: Io,
): Promise<LoadedPlugin> {
  const { what, flag } = roles[slot]
  const unknown = (why: string, cause?: unknown): AurexError =>
    new AurexError(`unknown-${what}`, `${why}; name its file or package with ${flag}`, { cause, exit: exitCode.config })
  const name = given ?? expected
  // The name stands in somebody's file: it must not choose which code runs here.
  if (given === undefined && !builtinNames.includes(name)) throw unknown(`the ${what} ${name} is not built in`)
  const plugin = await resolvePlugin(name, io.cwd).catch((error: unknown) => {
    throw unknown(`${messageOf(error)}; the chain's ${what} is ${expected}`, error)
  })
  if (plugin.provides === slot && plugin.name === expected) return plugin
  const whom = what === expected ? `the plugin ${expected}` : `the ${what} ${expected}`
  const message = `${flag}: expected ${whom}, got the plugin ${plugin.name}`
  throw new AurexError(`wrong-${what}`, message, { exit: exitCode.usage })
}

const storageStub = {
  name: 'ledger',
  summary: 'the ledger that is checked',
  provides: 'storage' as const,
  needs: [],
  config: v.strictObject({}),
}

export const entryOf = (plugin: LoadedPlugin, config: unknown): PluginEntry => ({ plugin, config, parameters: {} })

export function setUp(plugins: readonly PluginEntry[], genesis: Genesis | undefined, io: Io): Promise<SetUp> {
  const nothing = (): void => undefined
  const complain = (message: string): void => io.err(`${printable(message)}\n`)
  const log: Log = { debug: nothing, info: nothing, warn: complain, error: complain }
  const { clock } = io.runtime
  // Nothing is signed here, so any key serves.
  const identity = keyPairOfPem(privatePemOf(io.runtime.random(32)), 'a key for this run')
  const contributed = new Contributed()
  return setUpPlugins({
    plugins,
    bus: createBus({ clock, mailboxFactsMax: defaultNodeLimits.mailbox_facts_max, report: nothing }),
    runtime: io.runtime,
    identity,
    genesis,
    node: { name: 'verify', dataDir: io.cwd, port: 0, version },
    limits: defaultNodeLimits,
    network: { genesis: () => genesis, peers: () => [] },
    contributed,
    services: openServices({ identity, contributed, clock, logFor: () => log, emit: nothing }),
    logFor: () => log,
  })
}
