import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { canonicalJson } from '../../../core/chain/canonical.ts'
import { excerpt, jsonFault, messageNestingMax, parseJson, parseJsonText } from '../../../core/chain/json.ts'

const nest = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
const code = (text: string, depthMax?: number) => {
  const read = parseJsonText(text, depthMax)
  return read.ok ? 'ok' : read.code
}

// Threats, row 22.
describe('nesting', () => {
  test('exactly as deep as allowed, and one more', () => {
    expect(code(nest(messageNestingMax))).toBe('ok')
    expect(code(nest(messageNestingMax + 1))).toBe('too-deep')
    expect(code(nest(32), 32)).toBe('ok')
    expect(code(nest(33), 32)).toBe('too-deep')
    expect(code('{"a":'.repeat(3) + '[]' + '}'.repeat(3), 4)).toBe('ok')
    expect(code('{"a":'.repeat(3) + '[]' + '}'.repeat(3), 3)).toBe('too-deep')
  })

  test('100,000 and 5,000,000 levels, closed or not, are counted and not followed', () => {
    expect(code(nest(100_000))).toBe('too-deep')
    expect(code('{"":'.repeat(100_000))).toBe('too-deep')
    expect(code('['.repeat(5_000_000))).toBe('too-deep')
  })

  test('brackets in strings do not count, and closing ones first lend nothing', () => {
    expect(code(JSON.stringify({ text: '[{'.repeat(1000), 'a"[[[\\': '\\"[[' }), 1)).toBe('ok')
    expect(code(`[]${']'.repeat(100)}${'['.repeat(100)}`)).toBe('bad-json')
  })
})

describe('one reading', () => {
  test.each(['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '[{"x":{"b":1,"c":2,"b":3}}]', '{"":1,"":1}', '{"1":1,"1":1}'])(
    'a name twice: %s',
    (text) =>
      expect(parseJsonText(text)).toMatchObject({
        ok: false,
        code: 'bad-json',
        detail: 'an object has the same name twice',
      }),
  )

  test('the same name in two objects, and colons in strings, are no doubles', () => {
    expect(code('[{"a":{"a":":"}},{"a":"{\\":\\":1}"}]')).toBe('ok')
  })

  test.each(['{"__proto__":1}', '{"a":[{"__proto__":{"admin":true}}]}', '{"\\u005f_proto__":1}'])('%s', (text) => {
    expect(code(text)).toBe('bad-json')
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined()
  })

  test.each(['constructor', 'toJSON', 'toString', 'hasOwnProperty', 'prototype', '__defineGetter__'])(
    'the name %s is one like any other',
    (name) => {
      const read = parseJsonText(`{"${name}":{"${name}":1}}`)
      expect(read.ok && canonicalJson(read.value)).toBe(`{"${name}":{"${name}":1}}`)
    },
  )

  test.each([
    '1e400',
    '-1e400',
    '[1e309]',
    '{"a":1e999999999}',
    'NaN',
    'Infinity',
    '-Infinity',
    '01',
    '1.',
    '+1',
    '0x1',
  ])('no number: %s', (text) => expect(code(text)).toBe('bad-json'))

  test.each([
    ['-0', '0'],
    ['[-0.0,0e5]', '[0,0]'],
    ['9007199254740993', '9007199254740992'],
    ['1e-400', '0'],
    ['1.0', '1'],
    ['100E-2', '1'],
    ['1e21', '1e+21'],
  ])('%s is the double %s', (text, canonical) => {
    const read = parseJsonText(text)
    expect(read.ok && canonicalJson(read.value)).toBe(canonical)
  })

  test.each(['"\\ud800"', '"\\udc00\\ud800"', '{"\\ud800":1}', '["a\\udfffb"]'])('a lone surrogate: %s', (text) => {
    expect(code(text)).toBe('bad-json')
  })

  test('a pair that is escaped is the character', () => {
    const read = parseJsonText('"\\ud83d\\ude00"')
    expect(read.ok && read.value).toBe('😀')
  })
})

describe('bytes', () => {
  test.each([
    ['ff', 'a byte that never occurs'],
    ['22c022', 'half of two'],
    ['22e28222', 'two thirds of three'],
    ['22eda08022', 'a surrogate'],
    ['22c08022', 'an overlong NUL'],
    ['22f490808022', 'beyond U+10FFFF'],
    ['fffe5b005d00', 'UTF-16'],
  ])('not UTF-8: %s, %s; the next message is read as if nothing had been', (hex) => {
    expect(parseJson(Buffer.from(hex, 'hex'))).toMatchObject({ ok: false, code: 'bad-utf8' })
    expect(parseJson(Buffer.from('"é"'))).toEqual({ ok: true, value: 'é' })
  })

  test('a byte order mark is not JSON (RFC 8259, 8.1), nor is nothing', () => {
    expect(parseJson(Buffer.from('efbbbf7b7d', 'hex'))).toMatchObject({ ok: false, code: 'bad-json' })
    for (const text of ['', ' ', '\n']) expect(code(text)).toBe('bad-json')
  })

  test('any bytes: an answer, never a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const read = parseJson(bytes)
        expect(read.ok || ['bad-utf8', 'bad-json', 'too-deep'].includes(read.code)).toBe(true)
      }),
    )
  })
})

describe('properties', () => {
  const json = fc.jsonValue({ noUnicodeString: false, stringUnit: 'binary', maxDepth: 4 })

  test('what JSON.parse reads is read the same, or faulted', () => {
    fc.assert(
      fc.property(json, (value) => {
        const text = JSON.stringify(value)
        const read = parseJsonText(text)
        if (read.ok) expect(read.value).toEqual(JSON.parse(text))
        expect(read.ok).toBe(jsonFault(JSON.parse(text), messageNestingMax) === undefined)
      }),
      { numRuns: 500 },
    )
  })

  test('any text, and any text with one character changed: an answer, and one that JSON.parse agrees with', () => {
    const text = fc.tuple(json, fc.nat(), fc.constantFrom('"', '\\', '{', ']', ':', ',', '\u0000', '0', 'e'))
    fc.assert(
      fc.property(text, ([value, at, character]) => {
        const good = JSON.stringify(value)
        const place = at % good.length
        const changed = good.slice(0, place) + character + good.slice(place + 1)
        const read = parseJsonText(changed)
        if (read.ok) expect(JSON.parse(changed)).toEqual(read.value)
      }),
      { numRuns: 1000 },
    )
  })

  test('what has no fault has a canonical form, which is read back', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withNullPrototype: true, withSparseArray: true }), (value) => {
        if (jsonFault(value, 32) !== undefined) return
        const read = parseJsonText(canonicalJson(value))
        expect(read.ok && canonicalJson(read.value)).toBe(canonicalJson(value))
      }),
      { numRuns: 500 },
    )
  })
})

test('a fault in what did not come from parseJson: cycles, bigints, holes', () => {
  const cycle: Record<string, unknown> = {}
  cycle['self'] = cycle
  expect(jsonFault(cycle, 32)).toMatchObject({ code: 'too-deep' })
  for (const value of [1n, Symbol('s'), () => 1, undefined, [undefined], Number.NaN, { a: Infinity }, '\ud800']) {
    expect(jsonFault(value, 32)).toMatchObject({ ok: false, code: 'bad-json' })
  }
  expect(jsonFault({ a: undefined }, 1)).toBeUndefined()
  expect(jsonFault('scalar', 0)).toBeUndefined()
})

// Threats, row 32.
test('an excerpt is short and of one line', () => {
  expect(excerpt('a\nb\r\u001b[31m\u2028"')).toBe('a\\u000ab\\u000d\\u001b[31m\\u2028"')
  expect(excerpt('x'.repeat(1_000_000))).toHaveLength(65)
  expect(excerpt('\ud800').isWellFormed()).toBe(true)
})
