#!/usr/bin/env -S bun --no-install
// Without that flag Bun fetches a package that a plugin imports and nobody installed, and runs it.
import { bunRuntime, provideToPlugins } from './bun.ts'
import { AurexError, exitCode, messageOf, suggestion } from './errors.ts'
import type { Command } from './commands/command.ts'
import { printable, processIo } from './commands/terminal.ts'

// Literal imports: each command costs its start-up time only when it is the one that runs.
const commands: Record<string, () => Promise<{ readonly command: Command }>> = {
  node: () => import('./commands/node.ts'),
  tx: () => import('./commands/tx.ts'),
  status: () => import('./commands/status.ts'),
  key: () => import('./commands/key.ts'),
  genesis: () => import('./commands/genesis.ts'),
  config: () => import('./commands/config.ts'),
  verify: () => import('./commands/verify.ts'),
  peers: () => import('./commands/peers.ts'),
  vote: () => import('./commands/vote.ts'),
  votes: () => import('./commands/votes.ts'),
  why: () => import('./commands/why.ts'),
  evidence: () => import('./commands/evidence.ts'),
  signing: () => import('./commands/signing.ts'),
  new: () => import('./commands/new.ts'),
  test: () => import('./commands/test.ts'),
}

/** Runs one command; returns the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv
  if (name === '--version' || name === '-v') return print(`aurex ${await version()}\n`)
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') return print(await overview())
  const load = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (load === undefined) {
    const hint = suggestion(name, Object.keys(commands))
    throw new AurexError('unknown-command', `unknown command ${printable(name)}${hint || '; see: aurex --help'}`, {
      exit: exitCode.usage,
    })
  }
  const { command } = await load()
  const runtime = bunRuntime()
  // A plugin in a file of one's own imports `aurex` and `valibot` from this very program.
  provideToPlugins({ aurex: await import('./index.ts'), valibot: await import('valibot') })
  return await command.run(rest, processIo(runtime))
}

async function overview(): Promise<string> {
  const lines = await Promise.all(
    Object.entries(commands).map(async ([name, load]) => `  ${name.padEnd(9)} ${(await load()).command.summary}`),
  )
  return `aurex ${await version()}: a small ledger node in which everything but the core is a plugin

Usage: aurex <command> [flags]

${lines.join('\n')}

Each command explains itself: aurex <command> --help
`
}

async function version(): Promise<string> {
  return (await import('./version.ts')).version
}

/** At the latest after a second: somebody may hold the other end of our output and not read it. */
function exitWhenWritten(code: number): void {
  const exit = () => process.exit(code)
  bunRuntime().clock.after(1_000, exit)
  process.stdout.write('', () => process.stderr.write('', exit))
}

function print(text: string): number {
  process.stdout.write(text)
  return exitCode.ok
}

function complain(error: unknown): number {
  if (error instanceof AurexError) {
    process.stderr.write(`aurex: ${error.code}: ${printable(error.message)}\n`)
    return error.exit
  }
  // Ours to mend: whoever reports it needs the place.
  const trace = error instanceof Error ? (error.stack ?? error.message) : messageOf(error)
  process.stderr.write(`aurex: internal error, please report it: ${trace}\n`)
  return exitCode.failure
}

const argv = process.argv.slice(2)
const code = await main(argv).catch(complain)
process.exitCode = code
// A node has plugins: what one of them forgot to release must not keep a process that has nothing more to do.
if (argv[0] === 'node') exitWhenWritten(code)
