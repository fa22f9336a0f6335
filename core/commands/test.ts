import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { excerpt } from '../chain/json.ts'
import { AurexError, exitCode, messageOf } from '../errors.ts'
import { preload } from '../kit.ts'
import type { Command, Io } from './command.ts'
import { readFlags, usageError } from './flags.ts'

const help = `Runs the tests of a plugin of your own, as bun test does, with nothing
installed: aurex, aurex/testing and valibot are those of this program.

  aurex test ./my-engine.test.ts
  aurex test ./my-engine.test.ts --only 'out of turn'

Usage: aurex test <file> [--only <text>]

  <file>          its name ends in .test.ts
  --only <text>   only those tests whose name has this in it (a pattern)

aurex/testing has the suite that every engine must pass, consensusContract, and
what builds keys, headers and branches. aurex new consensus writes a file to
start from.
Exit code 0: all passed; 1: something did not; 75: interrupted.
`

export const command: Command = {
  name: 'test',
  summary: 'run the tests of a plugin of your own',
  help,
  async run(argv, io) {
    const flags = readFlags(argv, {
      command: 'aurex test',
      flags: { only: { type: 'string' } },
      positionals: ['file'],
    })
    if (flags.help) {
      io.out(help)
      return exitCode.ok
    }
    const [file] = flags.positionals
    if (file === undefined) throw usageError('missing-argument', 'aurex test: which file? aurex test ./NAME.test.ts')
    // Bun would find no test in it, and be content.
    if (!/[._](?:test|spec)\.[cm]?[jt]sx?$/.test(file)) {
      throw usageError('bad-value', `aurex test: expected a file of tests, as NAME.test.ts, got ${excerpt(file)}`)
    }
    const path = resolve(io.cwd, file)
    if (io.runtime.files.size(path) === undefined) {
      throw new AurexError('no-such-file', `aurex test: there is no file ${path}`, { exit: exitCode.usage })
    }
    return await runTests(path, flags.values.only, io)
  },
}

/** Bun's own runner, in a process of its own. Without the first flag it would fetch what a test imports and nobody installed. */
const bunFlags = ['test', '--no-install', '--preload', fileURLToPath(preload)]

function runTests(path: string, only: string | undefined, io: Io): Promise<number> {
  const { promise, resolve: ended, reject } = Promise.withResolvers<number>()
  const pattern = only === undefined ? [] : ['--test-name-pattern', only]
  const child = spawn(process.execPath, [...bunFlags, ...pattern, path], {
    cwd: io.cwd,
    env: { ...io.env, ...(io.isTerminal && io.env['NO_COLOR'] === undefined ? { FORCE_COLOR: '1' } : {}) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child.stdout.setEncoding('utf8').on('data', (text: string) => io.out(text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => io.err(text))
  const stop = (): void => void child.kill('SIGTERM')
  io.signal.addEventListener('abort', stop, { once: true })
  child.on('error', (cause) => reject(new AurexError('test-failed', `bun test: ${messageOf(cause)}`, { cause })))
  child.on('close', (code) => {
    io.signal.removeEventListener('abort', stop)
    if (io.signal.aborted) reject(interrupted())
    else ended(code === 0 ? exitCode.ok : exitCode.failure)
  })
  return promise
}

const interrupted = (): AurexError =>
  new AurexError('interrupted', 'aurex test: the tests did not end', { exit: exitCode.tryAgain })
