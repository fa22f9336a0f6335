import { expect, test } from 'bun:test'
import { array, assert, integer, property, string } from 'fast-check'
import { Lines } from '../../../plugins/tcp/lines.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

function pull(lines: Lines): string[] {
  const out: string[] = []
  for (let line = lines.next(); line !== undefined; line = lines.next()) {
    if (line === 'too-large') return [...out, line]
    out.push(Buffer.from(line.message).toString())
  }
  return out
}

test('a message ends with a newline, with or without a return before it; blank lines are nothing', () => {
  const lines = new Lines(100)
  lines.push(bytes('{"a":1}\n{"b":2}\r\n\n\r\n  \t\n{"c"'))
  expect(pull(lines)).toEqual(['{"a":1}', '{"b":2}'])
  expect(lines.begunBytes).toBe(4)
  lines.push(bytes(':3}\n'))
  expect(pull(lines)).toEqual(['{"c":3}'])
  expect(lines.begunBytes).toBe(0)
})

test('however a stream is cut, the same messages come out', () => {
  const line = string({ unit: 'binary', maxLength: 30 }).map((text) => `x${text.replaceAll(/[\r\n]/g, '')}`)
  assert(
    property(array(line), array(integer({ min: 1, max: 9 }), { minLength: 1 }), (texts, sizes) => {
      const stream = bytes(texts.map((text) => `${text}\n`).join(''))
      const lines = new Lines(1_000)
      const got: string[] = []
      for (let [at, i] = [0, 0]; at < stream.length; at += sizes[i++ % sizes.length]!) {
        lines.push(stream.subarray(at, at + sizes[i % sizes.length]!))
        got.push(...pull(lines))
      }
      expect(got).toEqual(texts.map((text) => Buffer.from(bytes(text)).toString()))
    }),
  )
})

test('what is left when the stream ends is the last message', () => {
  const lines = new Lines(100)
  lines.push(bytes('one\ntwo'))
  expect(pull(lines)).toEqual(['one'])
  expect(Buffer.from(lines.rest()!).toString()).toBe('two')
  expect(lines.rest()).toBeUndefined()
})

test('a reader that stops pulling leaves the rest where it is', () => {
  const lines = new Lines(100)
  lines.push(bytes('one\ntwo\nthree'))
  expect(lines.next()).toEqual({ message: bytes('one') })
  expect(lines.begunBytes).toBe(0)
  lines.push(bytes('!\n'))
  expect(pull(lines)).toEqual(['two', 'three!'])
})

test('threats row 19: a message of the limit passes, one byte more is cut before it is kept', () => {
  const lines = new Lines(10)
  lines.push(bytes('0123456789\n'))
  expect(pull(lines)).toEqual(['0123456789'])
  lines.push(bytes('01234'))
  expect(pull(lines)).toEqual([])
  lines.push(bytes('567890\n'))
  expect(pull(lines)).toEqual(['too-large'])
  expect(lines.begunBytes).toBe(5)
  lines.push(new Uint8Array(1_000))
  expect(lines.begunBytes).toBe(5)
})

test('threats row 19: a quarter of a megabyte in pieces of one byte is not copied over and over', () => {
  const length = 256 * 1024
  const lines = new Lines(length)
  const piece = bytes('x')
  const start = performance.now()
  for (let i = 0; i < length; i++) {
    lines.push(piece)
    if (lines.next() !== undefined) throw new Error('a line without its end')
  }
  lines.push(bytes('\n'))
  expect(pull(lines)[0]?.length).toBe(length)
  // Copying all of it for each byte would move 32 GiB.
  expect(performance.now() - start).toBeLessThan(3_000)
})

test('an object without a newline is taken only when it is complete', () => {
  const complete = (text: string): string | undefined => {
    const lines = new Lines(1_000)
    lines.push(bytes(text))
    pull(lines)
    const taken = lines.takeComplete()
    expect(lines.begunBytes).toBe(taken === undefined ? bytes(text).length : 0)
    return taken && Buffer.from(taken).toString()
  }
  expect(complete('{"type":"ping"}')).toBe('{"type":"ping"}')
  expect(complete(' {"type":"ping"} \r')).toBe(' {"type":"ping"} \r')
  expect(complete('{"a":{"b":1}')).toBeUndefined()
  expect(complete('{"a":"}')).toBeUndefined()
  expect(complete('[{"a":1}')).toBeUndefined()
  expect(complete('"}')).toBeUndefined()
  expect(complete('17')).toBeUndefined()
  expect(new Lines(10).takeComplete()).toBeUndefined()
})
