import type { Runtime } from '../runtime.ts'

/** What a command gets of the world. `terminal.ts` makes the real one. */
export interface Io {
  /** Prints to standard output, as it is: results, which another program may read. */
  out(text: string): void
  /** Prints to standard error, as it is: progress and complaints, for a person. */
  err(text: string): void
  /** Resolves when what was printed has been taken, so that a long output does not pile up in memory. */
  drained?(): Promise<void>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Relative paths start here. */
  readonly cwd: string
  /** Whether standard error is a terminal, where a line may be drawn again and coloured. */
  readonly isTerminal: boolean
  /** Width of the terminal, in characters. */
  readonly columns: number
  readonly runtime: Runtime
  /** Aborted by the first INT, TERM or HUP, with its name as the reason. */
  readonly signal: AbortSignal
  /** From now on the process outlives a reader that closed its pipe, and a file that may not grow. For servers. */
  outlive(): void
}

export interface Command {
  readonly name: string
  /** One line for the list of commands. */
  readonly summary: string
  /** One screen, examples first. */
  readonly help: string
  /** Returns the exit code. Throws `AurexError` for what the operator must mend. */
  run(argv: readonly string[], io: Io): Promise<number>
}

/** A moment by the runtime's clock; over at once when `signal` is aborted. */
export function pause(io: Pick<Io, 'runtime' | 'signal'>, milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    if (io.signal.aborted) return resolve()
    const over = () => {
      timer.cancel()
      io.signal.removeEventListener('abort', over)
      resolve()
    }
    const timer = io.runtime.clock.after(milliseconds, over)
    io.signal.addEventListener('abort', over)
  })
}
