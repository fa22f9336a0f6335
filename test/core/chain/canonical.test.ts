import { expect, test } from 'bun:test'
import canonicalize from 'canonicalize'
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

/** The text, or that there is none. */
const outcome = (write: () => string | undefined): string => {
  try {
    return write() ?? 'nothing'
  } catch {
    return 'nothing'
  }
}

test('it is byte for byte what the reference implementation writes, and throws where that does', () => {
  // Names that sort one way as integers, one as texts, one as code points; prototypes' names; surrogates on their own.
  const names = fc.oneof(
    fc.constantFrom(
      '10',
      '9',
      '01',
      '-1',
      '',
      'a',
      'A',
      '__proto__',
      'toJSON',
      'constructor',
      '\\ud800',
      '\ufb33',
      '😀',
    ),
    fc.string({ unit: 'binary', maxLength: 3 }),
  )
  const { value: values } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      names,
      fc.double(),
      fc.integer(),
      fc.constantFrom<unknown>(null, true, false, -0, 1e21, undefined, '\ud800', '\\udc00', new Date(0), new Number(1)),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.array(fc.tuple(names, tie('value')), { maxLength: 5 }).map((members) => Object.fromEntries(members)),
      fc.dictionary(names, tie('value'), { maxKeys: 4, noNullPrototype: false }),
    ),
  }))
  fc.assert(
    fc.property(values, (value) => {
      expect(outcome(() => canonicalJson(value))).toBe(outcome(() => canonicalize(value)))
    }),
    { numRuns: 3_000 },
  )
})

test('a value is left as it is, however deep its names are out of order', () => {
  const value = { a: { y: 1, x: [{ d: 1, c: 2 }] }, b: 1 }
  const before = JSON.stringify(value)
  expect(canonicalJson(value)).toBe('{"a":{"x":[{"c":2,"d":1}],"y":1},"b":1}')
  expect(JSON.stringify(value)).toBe(before)
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
