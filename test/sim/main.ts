// A network in one process: bun run sim --help
import * as valibot from 'valibot'
import { provideToPlugins } from '../../core/bun.ts'
import { AurexError, exitCode } from '../../core/errors.ts'
import * as aurex from '../../core/index.ts'
import { help, readOptions } from './options.ts'
import { reportText } from './report.ts'
import { Simulation } from './simulation.ts'

async function main(argv: readonly string[]): Promise<number> {
  // An engine in a file of one's own imports `aurex` and `valibot` from this very program.
  provideToPlugins({ aurex, valibot })
  const options = await readOptions(argv, process.cwd())
  if (options === undefined) {
    print(help)
    return exitCode.ok
  }
  const { plan, engine, verbose } = options
  const say = (seconds: number, what: string) => print(`${seconds.toFixed(3).padStart(10)}  ${what}\n`)
  const outcome = await new Simulation({ plan, engine, ...(verbose ? { say } : {}) }).run()
  const command = ['bun run sim', ...argv.filter((one) => one !== '--verbose'), '--verbose'].join(' ')
  print(reportText(outcome, command))
  return outcome.broken === undefined ? exitCode.ok : exitCode.failure
}

const print = (text: string): void => void process.stdout.write(text)

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  if (!(error instanceof AurexError)) throw error
  process.stderr.write(`sim: ${error.code}: ${error.message}\n`)
  // Nothing else is thrown as such: whatever is wrong stands on the command line.
  return exitCode.usage
})
