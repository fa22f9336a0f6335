import { explain, originText, resolveConfig } from '../config.ts'
import { exitCode } from '../errors.ts'
import type { Command } from './command.ts'
import { paint, printable } from './terminal.ts'

const help = `Prints what a node started with the same flags would run with, and where each value comes from.

Usage: aurex config [--plugins LIST] [--config FILE] [any flag of aurex node] [--json]

  aurex config
  AUREX_POW_DIFFICULTY=3 aurex config --config config/pow.toml --port 13246

A flag wins over the environment (AUREX_PORT, AUREX_POW_DIFFICULTY), that over the file, that over the default.
What a genesis file decides nothing else can.

  --json   print one JSON object: {values: [{key, value, origin}], unused: [{name, origin}], chain_id}
  --help   this text
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
      ownFlags: { json: 'boolean' },
    })
    const values = explain(config)
    const unused = config.unused.map(({ name, origin }) => ({ name, origin: originText(origin) }))
    const chain_id = config.genesis?.rules.chainId
    if (config.own['json'] === true) {
      io.out(`${JSON.stringify({ values, unused, chain_id })}\n`)
      return exitCode.ok
    }
    const width = Math.max(...values.map(({ key }) => key.length))
    const valueWidth = Math.min(48, Math.max(...values.map(({ value }) => value.length)))
    for (const { key, value, origin } of values) {
      const line = `${key.padEnd(width)}  ${printable(value || '-').padEnd(valueWidth)}  ${printable(origin)}`
      io.out(`${origin === 'default' ? paint(io, 'dim', line) : line}\n`)
    }
    for (const { name, origin } of unused)
      io.out(`${printable(`${name}: not used, its plugin is not loaded (${origin})`)}\n`)
    if (chain_id !== undefined) io.out(`chain_id ${chain_id}\n`)
    return exitCode.ok
  },
}
