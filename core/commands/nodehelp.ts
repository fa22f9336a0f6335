import { builtinNames } from '../builtin.ts'
import { describeKeys } from '../config.ts'
import { resolvePlugin } from '../load.ts'
import type { LoadedPlugin } from '../plugin.ts'
import type { Io } from './command.ts'

/** What `aurex node --help` prints: one screen of 80 columns and 40 lines that teaches the program. */
export async function nodeHelp(io: Pick<Io, 'cwd'>): Promise<string> {
  const plugins = await Promise.all(builtinNames.map((name) => resolvePlugin(name, io.cwd)))
  const found = Object.values(Object.groupBy(plugins, ({ provides }) => provides)).flatMap((group) => group ?? [])
  const own = describeKeys([]).filter(({ key }) => !key.includes('.') && key !== 'plugins')
  return `Starts a node: plugins on one ledger; with nothing given, a development chain.

  aurex node                                  answers on 127.0.0.1:13245
  aurex node --peers 192.0.2.1:13245          joins those that it knows, too
  aurex node --genesis genesis.toml           a chain of your own: aurex genesis
  aurex node --plugins ./mine.ts,tcp,sqlite   an engine of your own
  aurex node --plugins gateway,tcp,sqlite     for a shop; keeps no chain itself

  --plugins LIST       names, files, npm packages (pow,tcp,sqlite). Found:
${found.map((plugin, at) => pluginLine(plugin, found[at - 1])).join('')}${own.map(flagLine).join('')}  --difficulty N       of a development chain: leading zero hex digits (4)
  --<plugin>.<key>     any other key: aurex config --describe lists them
  --json               print one JSON line on stdout when the node is ready

Flags win over the environment (AUREX_POW_MINE), that over the file, that over
defaults: see aurex config. INT or TERM stops the node, a second one at once.
Exit codes: 64 command line, 69 port or 75 ledger in use, 78 config, 1 a fault.
`
}

/** The slot is named once for all that can fill it. */
function pluginLine({ name, summary, provides }: LoadedPlugin, before: LoadedPlugin | undefined): string {
  const slot = provides === before?.provides ? '' : provides
  return `    ${slot.padEnd(11)} ${name.padEnd(8)} ${summary}\n`
}

const placeholders: Readonly<Record<string, string>> = {
  config: 'FILE',
  data_dir: 'DIR',
  genesis: 'FILE',
  key: 'FILE',
  log_file: 'FILE',
  log_level: 'LEVEL',
}

function flagLine({ flag, key, type, default: value, summary }: ReturnType<typeof describeKeys>[number]): string {
  const shown = placeholders[key] ?? { number: 'N', list: 'LIST' }[type] ?? 'TEXT'
  return `  ${`${flag} ${shown}`.padEnd(20)} ${summary ?? ''}${value === '' ? '' : ` (${value})`}\n`
}
