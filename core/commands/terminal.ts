import { isatty } from 'node:tty'
import type { Runtime } from '../runtime.ts'
import type { Io } from './command.ts'

/**
 * The real terminal. The first INT, TERM or HUP aborts `signal`, so that the command can end in order; the second ends the
 * process at once.
 */
export function processIo(runtime: Runtime): Io {
  const { stdout, stderr } = process
  let outliving = false
  for (const stream of [stdout, stderr]) stream.on('error', (error) => outliving || endOnBrokenPipe(error))
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    drained: () => new Promise((resolve) => (stdout.writableNeedDrain ? stdout.once('drain', resolve) : resolve())),
    env: process.env,
    cwd: process.cwd(),
    isTerminal: isatty(2),
    columns: stderr.columns ?? 80,
    runtime,
    signal: interruption(),
    outlive: () => {
      outliving = true
      // Where a file may not grow (ulimit -f) this signal would end the process; with it caught the write fails instead.
      process.on('SIGXFSZ', () => undefined)
    },
  }
}

/** `aurex ... | head` closes our output: ends as SIGPIPE would, since not everything was done. */
function endOnBrokenPipe(error: Error & { code?: string }): void {
  if (error.code !== 'EPIPE') throw error
  process.exit(128 + 13)
}

function interruption(): AbortSignal {
  const controller = new AbortController()
  for (const [name, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(128 + number)
      controller.abort(name)
    })
  }
  return controller.signal
}

const escapes = { red: 31, green: 32, yellow: 33, dim: 2 } as const
type Colour = keyof typeof escapes

/** Text for standard error in a colour, where there is a terminal and NO_COLOR (no-color.org) is not set. */
export function paint(io: Pick<Io, 'isTerminal' | 'env'>, colour: Colour, text: string): string {
  return io.isTerminal && !io.env['NO_COLOR'] ? `\x1b[${escapes[colour]}m${text}\x1b[0m` : text
}

/** Control characters of text that came from outside, made visible: they could redraw a terminal or forge a line. */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`)

const redrawMilliseconds = 100
const barCharacters = 24

/** One line on standard error that is drawn over and over. Nothing at all where there is no terminal. */
export class Progress {
  readonly #io: Io
  #drawnAt = Number.NEGATIVE_INFINITY
  #shown = false

  constructor(io: Io) {
    this.#io = io
  }

  /** `part` of the whole, from 0 to 1. Drawn at most ten times a second. */
  show(part: number, text: string): void {
    const now = this.#io.runtime.clock.monotonic()
    if (!this.#io.isTerminal || now - this.#drawnAt < redrawMilliseconds) return
    this.#drawnAt = now
    this.#shown = true
    const whole = Math.min(1, Math.max(0, part))
    const done = Math.floor(whole * barCharacters)
    const bar = '█'.repeat(done) + '░'.repeat(barCharacters - done)
    const line = `${bar} ${String(Math.floor(whole * 100)).padStart(3)} %  ${text}`
    this.#io.err(`\r\x1b[2K${line.slice(0, Math.max(1, this.#io.columns - 1))}`)
  }

  /** Takes the line away, so that something else can be printed. */
  clear(): void {
    if (!this.#shown) return
    this.#shown = false
    this.#io.err('\r\x1b[2K')
  }
}
