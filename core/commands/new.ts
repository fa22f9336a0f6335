import { isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AurexError, exitCode, messageOf, suggestion } from '../errors.ts'
import { template, templateName } from '../kit.ts'
import { nameFault } from '../resolve.ts'
import type { Command, Io } from './command.ts'
import { readFlags, usageError } from './flags.ts'
import { programOf } from './program.ts'

const help = `Starts a plugin of your own: a small one that works, its test, and a config that
runs it. Every line of it is explained, and is yours to change.

  aurex new consensus my-engine
  aurex new consensus my-engine --dir engines

Usage: aurex new consensus <name> [--dir <folder>] [--json]

  <name>           small letters, digits and dashes; headers and genesis bear it
  --dir <folder>   where the files go (here); what is there already is kept
  --json           prints one JSON object: {name, files}

It writes <name>.ts, an engine whose authorities take turns; <name>.test.ts,
which runs the suite of every engine on it; <name>.toml, to start a node with.
Nothing needs to be installed beside them: this program brings what they import.
`

export const command: Command = {
  name: 'new',
  summary: 'start a plugin of your own: an engine, its test, a config',
  help,
  async run(argv, io) {
    const flags = readFlags(argv, {
      command: 'aurex new',
      flags: { dir: { type: 'string' }, json: { type: 'boolean' } },
      positionals: ['consensus', 'name'],
    })
    if (flags.help) {
      io.out(help)
      return exitCode.ok
    }
    const [kind, name] = flags.positionals
    if (kind !== 'consensus') throw notAKind(kind)
    if (name === undefined) throw usageError('missing-argument', 'aurex new consensus: what is it called? Add a name')
    const fault = nameFault(name)
    if (fault !== undefined) throw usageError('bad-name', `aurex new: ${fault}`)
    const files = write(name, flags.values.dir ?? '.', io)
    io.out(flags.values.json ? `${JSON.stringify({ name, files })}\n` : nextText(files, io))
    return exitCode.ok
  },
}

function notAKind(kind: string | undefined): AurexError {
  const got = kind === undefined ? '' : `, got ${JSON.stringify(kind)}`
  const advice = suggestion(kind ?? '', ['consensus']) || '; as in: aurex new consensus my-engine'
  return usageError('bad-value', `aurex new: expected consensus${got}${advice}`)
}

const endings = ['.ts', '.test.ts', '.toml'] as const

/** Returns the paths as they were asked for. */
function write(name: string, folder: string, io: Io): string[] {
  const { files } = io.runtime
  const shown = endings.map((ending) => join(folder, `${name}${ending}`))
  const paths = shown.map((path) => resolve(io.cwd, path))
  try {
    const taken = paths.findIndex((path) => files.size(path) !== undefined)
    if (taken >= 0) throw exists(shown[taken]!)
    if (files.size(resolve(io.cwd, folder)) === undefined) files.makeDirectory(resolve(io.cwd, folder))
    endings.forEach((ending, at) => files.createText(paths[at]!, textOf(name, ending, io), 0o644))
  } catch (cause) {
    if (cause instanceof AurexError) throw cause
    const message = `${folder}: cannot be written to: ${messageOf(cause)}; choose another folder with --dir`
    throw new AurexError('file-failed', message, { cause })
  }
  return shown
}

const exists = (path: string): AurexError =>
  usageError(
    'file-exists',
    `${path}: there is a file already, which is kept; choose another name, or a folder with --dir`,
  )

/** The template in the name of the new one. */
function textOf(name: string, ending: string, io: Io): string {
  const path = fileURLToPath(new URL(`${templateName}${ending}`, template))
  const text = io.runtime.files.readText(path)
  if (text === undefined) throw new AurexError('kit-missing', `${path}: is missing; install aurex again`)
  return text.replaceAll(templateName, name)
}

function nextText(files: readonly string[], io: Io): string {
  const [engine, test, config] = files.map((path) => (isAbsolute(path) || path.startsWith('.') ? path : `./${path}`))
  const program = programOf(io)
  return `written: ${files.join(', ')}
next:    ${program} test ${test}
         ${program} node --config ${config}
         ${program} genesis --name lab --consensus ${engine} --authorities <addresses> --out lab.toml
`
}
