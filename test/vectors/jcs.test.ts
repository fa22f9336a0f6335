import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'bun:test'
import { canonicalJson } from '../../core/chain/canonical.ts'
import { parseJson } from '../../core/chain/json.ts'

const folder = join(import.meta.dir, 'jcs')
const names = readdirSync(join(folder, 'input')).map((file) => file.replace('.json', ''))

test('all six pairs are there', () => {
  expect(names.toSorted()).toEqual(['arrays', 'french', 'structures', 'unicode', 'values', 'weird'])
})

test.each(names)('RFC 8785: %s', (name) => {
  const read = parseJson(readFileSync(join(folder, 'input', `${name}.json`)))
  if (!read.ok) throw new Error(read.detail)
  const text = canonicalJson(read.value)
  const hex = readFileSync(join(folder, 'outhex', `${name}.txt`), 'latin1').replaceAll(/\s/g, '')
  expect(text).toBe(readFileSync(join(folder, 'output', `${name}.json`), 'utf8'))
  expect(Buffer.from(text).toString('hex')).toBe(hex)
})

interface Numbers {
  readonly static_u64_hex: readonly string[]
  readonly sha256_of_first_n_lines: readonly { lines: number; sha256: string; bytes: number }[]
}
const numbers = JSON.parse(readFileSync(join(folder, 'es6-numbers.json'), 'utf8')) as Numbers

/** The file's `rule`: the seeds, 2,000 of the smallest normal doubles, then words of a SHA-256 chain. */
function* doubles(): Generator<bigint> {
  for (const hex of numbers.static_u64_hex) yield BigInt(`0x${hex}`)
  for (let i = 0n; i < 2000n; i++) yield 0x0010000000000000n + i
  for (let link: Uint8Array = new Uint8Array(32); ;) {
    link = createHash('sha256').update(link).digest()
    const words = new DataView(link.buffer, link.byteOffset, 32)
    for (let at = 0; at < 32; at += 8) yield words.getBigUint64(at, true)
  }
}

function textsOfDoubles(count: number): Generator<string> {
  const view = new DataView(new ArrayBuffer(8))
  return (function* () {
    let at = 0
    for (const bits of doubles()) {
      view.setBigUint64(0, bits)
      const double = view.getFloat64(0)
      const isSeed = at < numbers.static_u64_hex.length
      if (!isSeed && (double === 0 || !Number.isFinite(double))) continue
      yield `${bits.toString(16)},${canonicalJson(double)}\n`
      if (++at === count) return
    }
  })()
}

test('ES6 numbers: the checksums of the first 1,000, 10,000, 100,000 and 1,000,000', () => {
  const expected = numbers.sha256_of_first_n_lines.filter(({ lines }) => lines <= 1_000_000)
  const hash = createHash('sha256')
  const got: typeof expected = []
  let lines = 0
  let bytes = 0
  let waiting = ''
  for (const line of textsOfDoubles(1_000_000)) {
    waiting += line
    bytes += line.length
    if (++lines % 1000 !== 0) continue
    hash.update(waiting)
    waiting = ''
    if (expected.some((row) => row.lines === lines)) got.push({ lines, sha256: hash.copy().digest('hex'), bytes })
  }
  expect(numbers.static_u64_hex).toHaveLength(168)
  expect(got).toEqual(expected)
})
