import * as v from 'valibot'
import { createBus } from '../bus.ts'
import { auditLedger, type Damage } from '../chain/audit.ts'
import { readGenesis, type Genesis } from '../chain/genesis.ts'
import type { JsonObject } from '../chain/json.ts'
import { keyPairOfPem, privatePemOf } from '../chain/keys.ts'
import { AurexError, exitCode, messageOf } from '../errors.ts'
import { defaultNodeLimits } from '../limits.ts'
import { resolvePlugin, setUpPlugins, type PluginEntry, type SetUp } from '../load.ts'
import type { Log } from '../log.ts'
import type { LoadedPlugin, Storage } from '../plugin.ts'
import { version } from '../version.ts'
import type { Command, Io } from './command.ts'
import { readFlags, usageError } from './flags.ts'
import { paint, printable, Progress } from './terminal.ts'

const help = `Re-checks a whole ledger file, offline, and names the first row that is wrong.

Usage: aurex verify <file> [--engine ./my-engine.ts] [--json]

  aurex verify ~/.local/share/aurex/node_13245.sqlite3

Every block: its place, hash, work, seal, time, signature and Merkle root. Every transaction: its id, its
signature, that it is there once. What is pending as well. The file is only read; its node may be running.

  --engine NAME  the chain's engine, where it is no built-in one: a file or an npm package
  --json         print one JSON object: {ok, ledger, chain_id, blocks, transactions} or {ok, ledger, row, problem}
  --help         this text

Exit code 0: all of it holds. 1: something does not.
`

export const command: Command = {
  name: 'verify',
  summary: 're-check a ledger file, hash by hash and signature by signature',
  help,
  async run(argv, io) {
    const flags = readFlags(argv, {
      command: 'aurex verify',
      flags: { engine: { type: 'string' }, json: { type: 'boolean' } },
      positionals: ['file'],
    })
    if (flags.help) {
      io.out(help)
      return exitCode.ok
    }
    const [path] = flags.positionals
    if (path === undefined) throw usageError('missing-argument', 'aurex verify: which ledger? aurex verify <file>')
    const report = await verify(path, flags.values.engine, io)
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
  return `${paint(io, 'green', 'sound')}: ${printable(ledger)}, chain ${chain_id}: ${blocks} blocks, ${transactions} transactions`
}

async function verify(path: string, engineName: string | undefined, io: Io): Promise<Report> {
  const storagePlugin = await resolvePlugin('sqlite', io.cwd)
  const opened = await setUp([entryOf(storagePlugin, { path, readonly: true })], undefined, io)
  try {
    const storage = opened.slots.storage!
    const text = storage.genesis()
    if (text === undefined)
      throw new AurexError('no-genesis', `${path}: the ledger is empty`, { exit: exitCode.config })
    const genesis = readGenesis(JSON.parse(text) as JsonObject, `the genesis in ${path}`)
    const damage = storageDamage(storage) ?? (await audit(storage, genesis, engineName, io))
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
    await opened.dispose()
  }
}

function storageDamage(storage: Storage): Damage | undefined {
  const what = storage.integrity()
  return what === undefined ? undefined : { row: 'the file itself', what }
}

async function audit(
  storage: Storage,
  genesis: Genesis,
  engineName: string | undefined,
  io: Io,
): Promise<Damage | undefined> {
  const plugin = await engineOf(genesis, engineName, io)
  const parameters = plugin.parameters === undefined ? {} : v.parse(plugin.parameters, genesis.parameters)
  // The engine gets the ledger that is checked, and a chance to judge: it seals nothing here.
  const given: LoadedPlugin = { ...storageStub, setup: () => storage }
  const engine = await setUp(
    [entryOf(given, {}), { ...entryOf(plugin, v.parse(plugin.config, {})), parameters }],
    genesis,
    io,
  )
  const progress = new Progress(io)
  try {
    const height = storage.head().header.index
    const steps = auditLedger({ storage, genesis, consensus: engine.slots.consensus!, signatures: true })
    let step = steps.next()
    for (; step.done !== true; step = steps.next()) {
      progress.show(step.value / height, `block ${step.value} of ${height}`)
      if (io.signal.aborted)
        throw new AurexError('interrupted', `stopped at block ${step.value} of ${height}; all sound up to there`)
    }
    return step.value
  } finally {
    progress.clear()
    await engine.dispose()
  }
}

async function engineOf(genesis: Genesis, engineName: string | undefined, io: Io): Promise<LoadedPlugin> {
  const name = engineName ?? genesis.consensus
  const plugin = await resolvePlugin(name, io.cwd).catch((error: unknown) => {
    throw new AurexError(
      'unknown-engine',
      `${messageOf(error)}; the chain's engine is ${genesis.consensus}: name its file with --engine`,
      {
        cause: error,
        exit: exitCode.config,
      },
    )
  })
  if (plugin.provides === 'consensus' && plugin.name === genesis.consensus) return plugin
  throw new AurexError(
    'wrong-engine',
    `--engine: expected the engine ${genesis.consensus}, got the plugin ${plugin.name}`,
    {
      exit: exitCode.usage,
    },
  )
}

const storageStub = {
  name: 'ledger',
  summary: 'the ledger that is checked',
  provides: 'storage' as const,
  needs: [],
  config: v.strictObject({}),
}

const entryOf = (plugin: LoadedPlugin, config: unknown): PluginEntry => ({ plugin, config, parameters: {} })

function setUp(plugins: readonly PluginEntry[], genesis: Genesis | undefined, io: Io): Promise<SetUp> {
  const nothing = (): void => undefined
  const complain = (message: string): void => io.err(`${printable(message)}\n`)
  const log: Log = { debug: nothing, info: nothing, warn: complain, error: complain }
  return setUpPlugins({
    plugins,
    bus: createBus({ clock: io.runtime.clock, mailboxFactsMax: defaultNodeLimits.mailbox_facts_max, report: nothing }),
    runtime: io.runtime,
    // Nothing is signed here, so any key serves.
    identity: keyPairOfPem(privatePemOf(io.runtime.random(32)), 'a key for this run'),
    genesis,
    node: { name: 'verify', dataDir: io.cwd, port: 0, version },
    limits: defaultNodeLimits,
    logFor: () => log,
  })
}
