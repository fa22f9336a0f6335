import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { canonicalJson, isHash, sha256Hex, utf8Bytes, zeroHash } from '../../../core/chain/canonical.ts'

test('canonical JSON does not depend on the order of names, and is its own canonical form', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue()), (value) => {
      const entries = Object.entries(value).toReversed()
      const text = canonicalJson(value)
      expect(canonicalJson(Object.fromEntries(entries))).toBe(text)
      expect(canonicalJson(JSON.parse(text))).toBe(text)
    }),
  )
})

test('names are ordered by UTF-16 code units, integers among them too', () => {
  expect(canonicalJson({ '\ufb33': 1, '😀': 2, b: 3, a: 4, '10': 5, '9': 6 })).toBe(
    '{"10":5,"9":6,"a":4,"b":3,"😀":2,"\ufb33":1}',
  )
})

test.each([Number.NaN, Infinity, '\ud800', { '\udfff': 1 }, [-Infinity], undefined, 1n])(
  'what JSON cannot say throws (%#)',
  (value) => expect(() => canonicalJson(value)).toThrow(),
)

test('a hash is 64 lowercase hex digits and nothing else', () => {
  expect(isHash(zeroHash) && isHash(sha256Hex(''))).toBe(true)
  const good = sha256Hex('')
  for (const bad of [good.toUpperCase(), good.slice(1), `${good}0`, `${good}\n`, ` ${good}`, 0, null, [good], '']) {
    expect(isHash(bad)).toBe(false)
  }
})

test('text becomes its UTF-8, without a mark', () => {
  expect(Buffer.from(utf8Bytes('\ufeffé😀')).toString('hex')).toBe('efbbbfc3a9f09f9880')
})
