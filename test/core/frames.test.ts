import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { frameBytesMax, frameOf, FrameReader } from '../../core/frames.ts'

const bodies = fc.array(fc.oneof(fc.uint8Array({ maxLength: 12 }), fc.uint8Array({ minLength: 300, maxLength: 900 })), {
  maxLength: 20,
})
const framed = (body: Uint8Array): Uint8Array =>
  Buffer.concat([Uint8Array.of(body.length >> 8, body.length & 0xff), body])

/** The same bytes in pieces. */
function* pieces(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  for (let [at, turn] = [0, 0]; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!
    yield bytes.subarray(at, at + size)
    at += size
  }
}

function readAll(reader: FrameReader): Uint8Array[] {
  const taken: Uint8Array[] = []
  for (let body = reader.next(); body !== undefined; body = reader.next()) taken.push(body)
  return taken
}

test('however the bytes are cut into pieces, the same bodies come out, and stay as they are', () => {
  fc.assert(
    fc.property(bodies, fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 5 }), (bodies, sizes) => {
      const reader = new FrameReader()
      const taken: Uint8Array[] = []
      // One piece of memory for all pushes, as a runtime may do.
      const shared = new Uint8Array(1_000)
      for (const piece of pieces(Buffer.concat(bodies.map(framed)), sizes)) {
        shared.set(piece)
        reader.push(shared.subarray(0, piece.length))
        taken.push(...readAll(reader))
      }
      expect(taken.map((body) => [...body])).toEqual(bodies.map((body) => [...body]))
      expect(reader.begunBytes).toBe(0)
    }),
  )
})

test('what is begun is told: half a prefix, a prefix, a part of a body', () => {
  const reader = new FrameReader()
  reader.push(Uint8Array.of(0x01))
  expect([reader.next(), reader.begunBytes, reader.announcedBytes]).toEqual([undefined, 1, undefined])
  reader.push(Uint8Array.of(0x02))
  expect([reader.next(), reader.begunBytes, reader.announcedBytes]).toEqual([undefined, 2, 258])
  reader.push(new Uint8Array(257))
  expect([reader.next(), reader.begunBytes]).toEqual([undefined, 259])
  reader.push(new Uint8Array(1))
  expect(reader.next()).toHaveLength(258)
})

test('a length of 0 is a body without bytes', () => {
  const reader = new FrameReader()
  reader.push(Uint8Array.of(0, 0, 0, 1, 7))
  expect(readAll(reader).map((body) => [...body])).toEqual([[], [7]])
})

test('the longest frame, byte by byte, takes no more time than its bytes', () => {
  const reader = new FrameReader()
  reader.push(Uint8Array.of(0xff, 0xff))
  const started = performance.now()
  for (let i = 0; i < frameBytesMax; i++) reader.push(Uint8Array.of(i & 0xff))
  expect(reader.next()).toHaveLength(frameBytesMax)
  // Copied as a whole with each byte it would be 2 GiB.
  expect(performance.now() - started).toBeLessThan(100)
})

test('what is longer than the prefix can say has no frame', () => {
  const around = '{"a":""}'.length
  const longest = frameOf({ a: 'x'.repeat(frameBytesMax - around) })
  expect(longest).toHaveLength(2 + frameBytesMax)
  expect([...longest!.subarray(0, 2)]).toEqual([0xff, 0xff])
  expect(frameOf({ a: 'x'.repeat(frameBytesMax - around + 1) })).toBeUndefined()
  // Bytes, not characters.
  expect(frameOf({ a: 'é'.repeat(frameBytesMax / 2) })).toBeUndefined()
})
