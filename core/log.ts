import { closeSync, openSync, writeSync } from 'node:fs'
import {
  compareLogLevel,
  getAnsiColorFormatter,
  getJsonLinesFormatter,
  getTextFormatter,
  type LogLevel as RecordLevel,
  type FormattedValues,
  type LogRecord,
  type TextFormatter,
} from '@logtape/logtape'
import { AurexError, exitCode, messageOf } from './errors.ts'

export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void
  info(message: string, fields?: Record<string, unknown>): void
  warn(message: string, fields?: Record<string, unknown>): void
  error(message: string, fields?: Record<string, unknown>): void
}

export const logLevels = ['debug', 'info', 'warning', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

export interface LogOptions {
  /** What is less important is not written. */
  readonly level: LogLevel
  /** Also written there, as JSON lines. Made with mode 0600 if it is not there, appended to if it is. */
  readonly file?: string | undefined
  /** Lines for a person; otherwise JSON, for programs. */
  readonly pretty: boolean
  /** Only of pretty lines. See `colorWanted`. */
  readonly color: boolean
  /** Milliseconds, wall clock. */
  readonly now: () => number
  /** Takes whole lines; standard error if not given. */
  readonly write?: (line: string) => void
}

export interface OpenLog {
  readonly log: (name: string) => Log
  /** Closes the file. What is logged afterwards is written to standard error alone. */
  readonly close: () => Promise<void>
}

/**
 * Opens a log of its own: nothing is shared with other logs in the process (LogTape's own registry of loggers would
 * be, so only its formatters are used). Throws `log-file-failed`.
 */
export function openLog(options: LogOptions): OpenLog {
  const write = options.write ?? writeToStderr
  const format = options.pretty ? prettyFormatter(options.color) : jsonFormatter
  const file = options.file === undefined ? undefined : openFile(options.file, write)
  const record = (name: string, level: RecordLevel, message: string, fields: Record<string, unknown> = {}) => {
    if (compareLogLevel(level, options.level) < 0) return
    const timestamp = options.now()
    const properties = plainFields(fields)
    const line = { category: [name], level, message: [message], rawMessage: message, timestamp, properties }
    write(format(line))
    file?.write(jsonFormatter(line))
  }
  return {
    log: (name) => ({
      debug: (message, fields) => record(name, 'debug', message, fields),
      info: (message, fields) => record(name, 'info', message, fields),
      warn: (message, fields) => record(name, 'warning', message, fields),
      error: (message, fields) => record(name, 'error', message, fields),
    }),
    close: async () => file?.close(),
  }
}

/** Colour on a terminal, unless the operator set NO_COLOR to anything (no-color.org). */
export const colorWanted = (env: Readonly<Record<string, string | undefined>>, isTerminal: boolean): boolean =>
  isTerminal && !env['NO_COLOR']

/** What may wait for a standard error that is not read; beyond that lines are dropped, and counted. */
const stderrBytesMax = 4 * 1024 * 1024
let droppedLines = 0

function writeToStderr(line: string): void {
  if (process.stderr.writableLength > stderrBytesMax) {
    droppedLines++
    return
  }
  const dropped = droppedLines
  droppedLines = 0
  process.stderr.write(dropped === 0 ? line : `${line}(${dropped} lines were dropped before: nobody read them)\n`)
}

function openFile(path: string, write: (line: string) => void) {
  let descriptor: number | undefined
  try {
    descriptor = openSync(path, 'a', 0o600)
  } catch (cause) {
    const message = `log_file: cannot write to ${path}: ${messageOf(cause)}; choose another with --log-file`
    throw new AurexError('log-file-failed', message, { cause, exit: exitCode.config })
  }
  let failed = false
  return {
    write(line: string) {
      if (descriptor === undefined) return
      try {
        writeSync(descriptor, line)
        failed = false
      } catch (error) {
        // A full disk must not end the node; saying it with every line would only fill the other log.
        if (!failed) write(`log_file ${escaped(path)}: not written: ${escaped(messageOf(error))}\n`)
        failed = true
      }
    },
    close() {
      if (descriptor !== undefined) closeSync(descriptor)
      descriptor = undefined
    },
  }
}

// ---- forms ----

const jsonLine: TextFormatter = getJsonLinesFormatter({ properties: 'flatten' })

/** JSON lets some characters be that programs take for the end of a line, and terminals for orders. */
const jsonFormatter: TextFormatter = (record) => `${escaped(jsonLine(record).trimEnd())}\n`

function prettyFormatter(color: boolean): TextFormatter {
  const options = { timestamp: 'time', format: prettyLine } as const
  return color ? getAnsiColorFormatter(options) : getTextFormatter(options)
}

/** `12:34:56.789 INF chain: block accepted height=3 hash=00ab` */
function prettyLine({ timestamp, level, record }: FormattedValues): string {
  const fields = Object.entries(record.properties).map(([key, value]) => ` ${escaped(key)}=${fieldText(value)}`)
  return `${timestamp} ${level} ${nameOf(record)}: ${escaped(String(record.rawMessage))}${fields.join('')}`
}

const nameOf = (record: LogRecord): string => escaped(record.category.join('.'))

function fieldText(value: unknown): string {
  if (isPlainError(value))
    return fieldText(value.code === undefined ? value.message : `${value.code}: ${value.message}`)
  if (typeof value !== 'string') return escaped(JSON.stringify(value) ?? 'undefined')
  return /^[^\s"=\\{}[\]]+$/.test(value) ? escaped(value) : escaped(JSON.stringify(value))
}

/** Text that stays on its line, and leaves the terminal and the order of its letters alone. */
const escaped = (text: string): string =>
  text.replace(
    /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu,
    (c) => shortEscapes[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
const shortEscapes: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

// ---- fields ----

const fieldCharactersMax = 4_096
const fieldItemsMax = 100
const fieldNestingMax = 6

/** The keys of the line itself. */
const lineKeys = new Set(['@timestamp', 'level', 'message', 'logger'])
/** As in `explain` of config.ts, and what else people call such things. */
const secretName = /(token|secret|password|passphrase|private_key)$/i
const secretText = /PRIVATE KEY-----/

/** Fields as plain, bounded JSON values, without secrets. Never throws: a log line is no reason to stop. */
function plainFields(fields: Record<string, unknown>): Record<string, unknown> {
  try {
    const named = Object.entries(fields).map(([key, value]) => [
      lineKeys.has(key) ? `field_${key}` : key,
      secretName.test(key) ? '***' : plain(value, 0),
    ])
    return Object.fromEntries(named)
  } catch (error) {
    return { unwritable: messageOf(error) }
  }
}

function plain(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return plainText(value)
  if (typeof value === 'bigint' || typeof value === 'symbol') return String(value)
  if (typeof value === 'function') return '(function)'
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth >= fieldNestingMax) return '…'
  if (value instanceof Error) return plainError(value)
  if (value instanceof Uint8Array) return plainText(Buffer.from(value).toString('hex'))
  if (value instanceof Date || value instanceof URL) return String(value)
  if (Array.isArray(value)) return value.slice(0, fieldItemsMax).map((item) => plain(item, depth + 1))
  const entries = Object.entries(value).slice(0, fieldItemsMax)
  return Object.fromEntries(entries.map(([key, item]) => [key, secretName.test(key) ? '***' : plain(item, depth + 1)]))
}

function plainText(text: string): string {
  if (secretText.test(text)) return '***'
  return text.length > fieldCharactersMax ? `${text.slice(0, fieldCharactersMax)}…` : text
}

interface PlainError {
  readonly message: string
  readonly code?: string
}

const isPlainError = (value: unknown): value is PlainError =>
  typeof value === 'object' &&
  value !== null &&
  'message' in value &&
  typeof value.message === 'string' &&
  Object.keys(value).every((key) => key === 'message' || key === 'code')

function plainError(error: Error): PlainError {
  const code = (error as { code?: unknown }).code
  const message = plainText(error.message)
  return typeof code === 'string' ? { message, code } : { message }
}
