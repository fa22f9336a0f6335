import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'bun:test'
import { canonicalJson } from '../../core/chain/canonical.ts'
import { parseJson } from '../../core/chain/json.ts'

// Threats, row 22: a coded refusal or one defined reading; never a crash, never two readings.

const folder = join(import.meta.dir, 'jsontestsuite', 'test_parsing')
const files = readdirSync(folder)
const read = (file: string) => parseJson(readFileSync(join(folder, file)))

/** Valid by RFC 8259, refused here: programs differ in which of two equal names they keep (RFC 7493, 2.3). */
const stricter: Record<string, string> = {
  'y_object_duplicated_key.json': 'bad-json',
  'y_object_duplicated_key_and_value.json': 'bad-json',
}

/** Where RFC 8259 leaves it open: how what is accepted is read, as canonical JSON. All others are refused. */
const readings: Record<string, string> = {
  'i_number_double_huge_neg_exp.json': '[0]',
  'i_number_real_underflow.json': '[0]',
  'i_number_too_big_neg_int.json': '[-1.2312312312312312e+29]',
  'i_number_too_big_pos_int.json': '[100000000000000000000]',
  'i_number_very_big_negative_int.json': '[-2.374623746732769e+47]',
}

/** Why the others are refused: overflow and lone surrogates (`bad-json`), nesting, bytes that are not UTF-8. */
const refusalOf = (file: string): string => {
  if (file === 'i_structure_500_nested_arrays.json') return 'too-deep'
  if (/i_string_(?!not_in_unicode).*(utf|UTF|iso_latin|overlong)/.test(file)) return 'bad-utf8'
  return file === 'i_string_not_in_unicode_range.json' ? 'bad-utf8' : 'bad-json'
}

test('all 318 files are there', () => {
  const count = (kind: string) => files.filter((file) => file.startsWith(kind)).length
  expect([count('y_'), count('n_'), count('i_')]).toEqual([95, 188, 35])
})

describe('y: accepted, and the same after a round trip', () => {
  test.each(files.filter((file) => file.startsWith('y_') && !(file in stricter)))('%s', (file) => {
    const first = read(file)
    if (!first.ok) throw new Error(`${first.code}: ${first.detail}`)
    const again = parseJson(Buffer.from(canonicalJson(first.value)))
    expect(again.ok && canonicalJson(again.value)).toBe(canonicalJson(first.value))
  })

  test.each(Object.entries(stricter))('%s is refused on purpose: %s', (file, code) => {
    expect(read(file)).toMatchObject({ ok: false, code, provable: true })
  })
})

describe('n: refused with a code', () => {
  test.each(files.filter((file) => file.startsWith('n_')))('%s', (file) => {
    const result = read(file)
    expect(result.ok).toBe(false)
    expect(['bad-json', 'bad-utf8', 'too-deep']).toContain(result.ok ? '' : result.code)
  })
})

describe('i: one defined reading, or a coded refusal', () => {
  test.each(files.filter((file) => file.startsWith('i_')))('%s', (file) => {
    const result = read(file)
    const text = readings[file]
    if (text === undefined) expect(result).toMatchObject({ ok: false, code: refusalOf(file) })
    else expect(result.ok && canonicalJson(result.value)).toBe(text)
  })
})
