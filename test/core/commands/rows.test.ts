import { afterAll, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { csvRows, ndjsonRows, openRows, type Row } from '../../../core/commands/rows.ts'
import { AurexError } from '../../../core/errors.ts'
import { testIo } from './testio.ts'

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}

/** The rows of a file, and the same again when it comes a byte at a time. */
async function read(reader: typeof csvRows, content: string | Uint8Array): Promise<Row[]> {
  const bytes = Buffer.from(content)
  const whole = await Array.fromAsync(reader(pieces(bytes, 1 << 16), 'f'))
  expect(await Array.fromAsync(reader(pieces(bytes, 1), 'f'))).toEqual(whole)
  return whole
}

async function faultOf(reader: typeof csvRows, content: string | Uint8Array): Promise<[Row[], AurexError]> {
  const rows: Row[] = []
  try {
    for await (const row of reader(pieces(Buffer.from(content), 7), 'f.csv')) rows.push(row)
  } catch (error) {
    if (error instanceof AurexError) return [rows, error]
    throw error
  }
  throw new Error('expected an AurexError')
}

describe('csv', () => {
  test.each([
    ['plain', 'a,b\n1,2\n', [{ line: 2, data: { a: '1', b: '2' } }]],
    ['values stay as they are', 'a,b\n 01 ,1e3', [{ line: 2, data: { a: ' 01 ', b: '1e3' } }]],
    ['quotes and commas', 'a,b\n"x, ""y""",""\n', [{ line: 2, data: { a: 'x, "y"', b: '' } }]],
    [
      'newlines in a value, and the lines after it',
      'a,b\r\n1,"x\r\ny\nz"\r\n3,4\r\n',
      [
        { line: 2, data: { a: '1', b: 'x\r\ny\nz' } },
        { line: 5, data: { a: '3', b: '4' } },
      ],
    ],
    ['a byte order mark', '\ufeffa\nb\n', [{ line: 2, data: { a: 'b' } }]],
    ['a byte order mark before a quote', '\ufeff"a"\nb\n', [{ line: 2, data: { a: 'b' } }]],
    ['an empty file', '', []],
    ['only a mark', '\ufeff', []],
    ['a header alone', 'a,b\n', []],
    ['a header without its newline', 'a,b', []],
    [
      'empty lines',
      'a,b\n\n1,2\r\n\r\n\n3,4\n\n',
      [
        { line: 3, data: { a: '1', b: '2' } },
        { line: 6, data: { a: '3', b: '4' } },
      ],
    ],
    ['text beyond ASCII', 'näme\nKäse €😀\n', [{ line: 2, data: { näme: 'Käse €😀' } }]],
    ['a column without a name', ',b\n0,x\n', [{ line: 2, data: { '': '0', b: 'x' } }]],
  ])('%s', async (_what, content, rows) => {
    expect(await read(csvRows, content)).toEqual(rows)
  })

  test.each([
    ['a ragged line', 'a,b\n1,2\n3\n', 1, 'f.csv: line 3: expected 2 values as in the header, got 1'],
    ['too many values', 'a,b\n1,2,3\n', 0, 'line 2: expected 2 values as in the header, got 3'],
    ['a quote that stays open', 'a,b\n1,2\n3,"x\ny\n', 1, 'line 3, column b: a quote is never closed'],
    ['text after a quote', 'a,b\n"x"y,2\n', 0, 'line 2, column a: text after a closing quote'],
    ['a quote inside', 'a,b\n1,2\n3,5" pipe\n', 1, 'line 3, column b: a quote inside of a value'],
    ['a name twice', 'a,a\n1,2\n', 0, 'line 1: two columns have the name "a"'],
    ['a name that is not taken', '__proto__\n1\n', 0, 'line 1: the name __proto__'],
    ['bare carriage returns', 'a,b\r1,2\r', 0, 'line 1: lines end with a carriage return alone'],
    ['bytes that are not UTF-8', Buffer.from('a\nb\nc\xff\n', 'latin1'), 1, 'line 3: it is not valid UTF-8'],
  ])('%s is an error that says where; what came before is there', async (_what, content, before, text) => {
    const [rows, fault] = await faultOf(csvRows, content)
    expect(rows).toHaveLength(before)
    expect(fault.code).toBe('bad-row')
    expect(fault.message).toContain(text)
  })

  test('a quote that is never closed does not fill the memory', async () => {
    const [rows, fault] = await faultOf(csvRows, `a\n1\n"${'x\n'.repeat(1_000_000)}`)
    expect(rows).toHaveLength(1)
    expect(fault.message).toContain('line 3: a quote is not closed within 1048576 bytes')
  })

  test('whatever is written in quotes is read back, byte for byte', async () => {
    const field = fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed())
    const table = fc.array(fc.tuple(field, field), { maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(table, fc.constantFrom('\n', '\r\n'), async (rows, end) => {
        const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
        const text = [['a', 'b'], ...rows].map((row) => row.map(quoted).join(',') + end).join('')
        const read = await Array.fromAsync(csvRows(pieces(Buffer.from(text), 3), 'f'))
        expect(read.map(({ data }) => [data['a'], data['b']])).toEqual(rows)
      }),
      { numRuns: 50 },
    )
  })
})

describe('ndjson', () => {
  test('an object a line; empty lines and a missing last newline do not matter', async () => {
    expect(await read(ndjsonRows, '\ufeff{"a":1}\r\n\n  \n{"b":"x\\ny"}')).toEqual([
      { line: 1, data: { a: 1 } },
      { line: 4, data: { b: 'x\ny' } },
    ])
  })

  test.each([
    ['not JSON', '{"a":1}\n{"a":\n', 1, 'line 2: not JSON'],
    ['not an object', '[1]\n', 0, 'line 1: expected a JSON object'],
    ['a name twice', '{"a":1,"a":2}\n', 0, 'same name twice'],
    ['too deep', `{"a":${'['.repeat(31)}${']'.repeat(31)}}\n`, 0, 'nesting of 32'],
    ['too long', `{"a":"${'x'.repeat(1_100_000)}"}\n`, 0, 'the line is over 1048576 bytes'],
  ])('%s is an error', async (_what, content, before, text) => {
    const [rows, fault] = await faultOf(ndjsonRows, content)
    expect(rows).toHaveLength(before)
    expect(fault.message).toContain(text)
  })
})

describe('openRows', () => {
  const io = testIo()
  afterAll(() => io.remove())

  test('reads by the name and counts the bytes', async () => {
    const rows = openRows(`${io.cwd}/${io.file('x.CSV', 'a\n1\n')}`)
    expect(rows.bytes).toBe(4)
    expect(await Array.fromAsync(rows)).toEqual([{ line: 2, data: { a: '1' } }])
    expect(rows.bytesRead()).toBe(4)
  })

  test.each(['missing.csv', 'x.txt', '.'])('%s is a usage error', (name) => {
    expect(() => openRows(`${io.cwd}/${name}`, name)).toThrow(name)
  })
})
