import { createReadStream, statSync } from 'node:fs'
import { parse } from 'csv-parse/sync'
import { isObject, nestingMax, parseJsonText, type JsonObject } from '../chain/json.ts'
import { AurexError, exitCode, messageOf } from '../errors.ts'

/** One transaction's data, and where it stands. */
export interface Row {
  /** From 1: the line on which it begins. */
  readonly line: number
  readonly data: JsonObject
}

/** A file of rows that is being read. */
export interface Rows extends AsyncIterable<Row> {
  /** Size of the file. */
  readonly bytes: number
  /** So many bytes have been read. */
  bytesRead(): number
}

/** The largest transaction that a genesis may allow, and more than enough for a line that is refused by name. */
const rowBytesMax = 1024 * 1024

/**
 * Opens a file of rows, by its name: `.csv` (RFC 4180; the first row names the fields; values stay text, byte for
 * byte) or `.ndjson`, `.jsonl` (a JSON object a line). It is read as it is consumed, a chunk at a time. A byte order
 * mark and empty lines are skipped.
 *
 * Throws `bad-file` (exit 64) at once; `bad-row`, naming file, line and, where known, the column, on the way.
 */
export function openRows(path: string, shown: string = path): Rows {
  const read = readerFor(shown)
  let bytes: number
  try {
    const stat = statSync(path)
    if (!stat.isFile()) throw new Error('it is not a file')
    bytes = stat.size
  } catch (cause) {
    throw new AurexError('bad-file', `${shown}: cannot be read: ${messageOf(cause)}`, { cause, exit: exitCode.usage })
  }
  let bytesRead = 0
  async function* chunks(): AsyncGenerator<Uint8Array> {
    for await (const chunk of createReadStream(path) as AsyncIterable<Uint8Array>) {
      bytesRead += chunk.length
      yield chunk
    }
  }
  return { bytes, bytesRead: () => bytesRead, [Symbol.asyncIterator]: () => read(chunks(), shown) }
}

function readerFor(shown: string): typeof csvRows {
  if (/\.csv$/i.test(shown)) return csvRows
  if (/\.(ndjson|jsonl)$/i.test(shown)) return ndjsonRows
  throw new AurexError('bad-file', `${shown}: expected a name that ends in .csv, .ndjson or .jsonl`, {
    exit: exitCode.usage,
  })
}

/** Rows of a JSON object each. `file` is named in errors. */
export async function* ndjsonRows(chunks: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Row> {
  for await (const { line, text } of records(chunks, file, false)) {
    if (/^[ \t]*$/.test(text)) continue
    // The transaction stands around it: one level less is left.
    const value = parseJsonText(text, nestingMax - 1)
    if (!value.ok) throw badRow(file, line, value.detail)
    if (!isObject(value.value)) throw badRow(file, line, 'expected a JSON object')
    yield { line, data: value.value }
  }
}

/** Rows of comma-separated values, as objects of strings. `file` is named in errors. */
export async function* csvRows(chunks: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Row> {
  let names: readonly string[] | undefined
  for await (const { line, text } of records(chunks, file, true)) {
    const values = splitCsv(text, file, line, names)
    if (names === undefined) {
      names = checkedHeader(values, file, line)
      continue
    }
    if (values.length !== names.length) {
      throw badRow(file, line, `expected ${names.length} values as in the header, got ${values.length}`)
    }
    yield { line, data: Object.fromEntries(names.map((name, column) => [name, values[column]!])) }
  }
}

interface TextRecord {
  readonly line: number
  readonly text: string
}

const newline = 0x0a
const quote = 0x22

/**
 * Cuts bytes at newlines. Where `quoted`, a newline inside of quotes does not cut: in RFC 4180 that is one with an odd
 * number of quotes before it. We cut here and not in csv-parse so that lines are counted right whatever the line ends
 * are, bad UTF-8 is found instead of replaced, and no row can fill the memory.
 */
async function* records(chunks: AsyncIterable<Uint8Array>, file: string, quoted: boolean): AsyncGenerator<TextRecord> {
  let begun: Uint8Array[] = []
  let begunBytes = 0
  let first = true
  let line = 1 // where the record begins
  let linesWithin = 0
  let inQuotes = false
  const finish = (): TextRecord | undefined => {
    const text = decode(Buffer.concat(begun), file, line)
    const record = { line, text: withoutEnd(first ? withoutMark(text) : text) }
    line += linesWithin + 1
    ;[begun, begunBytes, linesWithin, inQuotes, first] = [[], 0, 0, false, false]
    return record.text === '' ? undefined : record
  }
  for await (const chunk of chunks) {
    let start = 0
    for (let i = 0; i < chunk.length; i++) {
      if (quoted && chunk[i] === quote) inQuotes = !inQuotes
      if (chunk[i] !== newline) continue
      if (inQuotes) {
        linesWithin++
        continue
      }
      begun.push(chunk.subarray(start, i))
      start = i + 1
      const record = finish()
      if (record !== undefined) yield record
    }
    begun.push(chunk.subarray(start))
    begunBytes += chunk.length - start
    if (begunBytes > rowBytesMax) throw tooLong(file, line, inQuotes)
  }
  const last = finish()
  if (last !== undefined) yield last
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decode(bytes: Uint8Array, file: string, line: number): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw badRow(file, line, 'it is not valid UTF-8; convert the file first, as with: iconv -t utf-8')
  }
}

const withoutMark = (text: string): string => (text.startsWith('\ufeff') ? text.slice(1) : text)
const withoutEnd = (text: string): string => (text.endsWith('\r') ? text.slice(0, -1) : text)

const tooLong = (file: string, line: number, inQuotes: boolean): AurexError =>
  badRow(
    file,
    line,
    inQuotes ? `a quote is not closed within ${rowBytesMax} bytes` : `the line is over ${rowBytesMax} bytes`,
  )

const csvOptions = { record_delimiter: '\n', relax_column_count: true }

function splitCsv(text: string, file: string, line: number, names: readonly string[] | undefined): string[] {
  try {
    return parse(text, csvOptions)[0] ?? []
  } catch (error) {
    const { code, column } = error as { code?: string; column?: number }
    const name = typeof column === 'number' ? (names?.[column] ?? String(column + 1)) : undefined
    throw badRow(file, line, csvFaults[code ?? ''] ?? messageOf(error), name)
  }
}

const csvFaults: Record<string, string> = {
  INVALID_OPENING_QUOTE: 'a quote inside of a value; put the value in quotes and double those inside',
  CSV_INVALID_CLOSING_QUOTE: 'text after a closing quote; double the quotes that belong to the value',
  CSV_QUOTE_NOT_CLOSED: 'a quote is never closed',
}

function checkedHeader(names: readonly string[], file: string, line: number): readonly string[] {
  const twice = names.find((name, column) => names.indexOf(name) !== column)
  if (twice !== undefined) throw badRow(file, line, `two columns have the name ${JSON.stringify(twice)}`)
  if (names.includes('__proto__')) throw badRow(file, line, 'the name __proto__ is not taken')
  if (names.some((name) => name.includes('\r'))) {
    throw badRow(file, line, 'lines end with a carriage return alone; convert them to newlines first')
  }
  return names
}

function badRow(file: string, line: number, what: string, column?: string): AurexError {
  const place = column === undefined ? `line ${line}` : `line ${line}, column ${column}`
  return new AurexError('bad-row', `${file}: ${place}: ${what}`)
}
