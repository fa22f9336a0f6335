import { describeKeys, explain, originText, resolveConfig, type ResolvedConfig } from '../config.ts'
import { exitCode } from '../errors.ts'
import type { Command, Io } from './command.ts'
import { paint, printable } from './terminal.ts'

const help = `Prints what a node started with the same flags would run with, and where each
value comes from.

  aurex config
  aurex config --describe
  AUREX_POW_DIFFICULTY=3 aurex config --config config/pow.toml --port 13246
  aurex config --plugins ./mine.ts,tcp,sqlite --describe

Usage: aurex config [--describe] [--json] [any flag of aurex node]

  --describe   print instead what each key means, and how it is set
  --json       print one JSON object: {values: [{key, value, origin}],
               unused: [{name, origin}], chain_id}; with --describe one array:
               [{key, type, default, description, flag, variable}]

A flag (--pow.difficulty 3) wins over the environment (AUREX_POW_DIFFICULTY=3),
that over the file (difficulty = 3 in the table [pow]), that over the default.
What a genesis file decides nothing else can.
`

export const command: Command = {
  name: 'config',
  summary: 'show every setting, its value and where it comes from',
  help,
  async run(argv, io) {
    if (argv.includes('--help') || argv.includes('-h')) {
      io.out(help)
      return exitCode.ok
    }
    const config = await resolveConfig({
      argv,
      env: io.env,
      cwd: io.cwd,
      readText: (path) => io.runtime.files.readText(path),
      ownFlags: { json: 'boolean', describe: 'boolean' },
    })
    const json = config.own['json'] === true
    if (config.own['describe'] === true) describe(config, json, io)
    else show(config, json, io)
    return exitCode.ok
  },
}

function show(config: ResolvedConfig, json: boolean, io: Io): void {
  const values = explain(config)
  const unused = config.unused.map(({ name, origin }) => ({ name, origin: originText(origin) }))
  const chain_id = config.genesis?.rules.chainId
  if (json) return io.out(`${JSON.stringify({ values, unused, chain_id })}\n`)
  const width = Math.max(...values.map(({ key }) => key.length))
  const valueWidth = Math.min(48, Math.max(...values.map(({ value }) => value.length)))
  for (const { key, value, origin } of values) {
    const line = `${key.padEnd(width)}  ${printable(value || '-').padEnd(valueWidth)}  ${printable(origin)}`
    io.out(`${origin === 'default' ? paint(io, 'dim', line) : line}\n`)
  }
  for (const { name, origin } of unused)
    io.out(`${printable(`${name}: not used, its plugin is not loaded (${origin})`)}\n`)
  if (chain_id !== undefined) io.out(`chain_id ${chain_id}\n`)
}

function describe({ plugins }: ResolvedConfig, json: boolean, io: Io): void {
  const keys = describeKeys(plugins.map(({ plugin }) => plugin))
  if (json) {
    const rows = keys.map(({ summary, ...key }) => ({ ...key, description: summary }))
    return io.out(`${JSON.stringify(rows)}\n`)
  }
  for (const { key, flag, variable, type, default: value, summary } of keys) {
    io.out(`${printable(`${key} (${type}${value === '' ? '' : `, ${value}`})`)}\n`)
    if (summary !== undefined) io.out(`    ${printable(summary)}\n`)
    io.out(`${paint(io, 'dim', `    ${flag}  ${variable}`)}\n`)
  }
}
