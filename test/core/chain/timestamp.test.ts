import { join } from 'node:path'
import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { formatTimestamp, parseTimestamp } from '../../../core/chain/timestamp.ts'

// Threats, row 10.

const good = [
  '2026-11-21T01:02:03.456Z',
  '2024-02-29T23:59:59.999Z',
  '1970-01-01T00:00:00.000Z',
  '2000-02-29T00:00:00.000Z',
]
const bad = [
  '2026-11-21T01:02:03.456', // no zone
  '2026-11-21T01:02:03.456+00:00',
  '2026-11-21T01:02:03.456+01:00',
  '2026-11-21T01:02:03.456-00:00',
  '2026-11-21 01:02:03.456Z',
  '2026-11-21t01:02:03.456z',
  '2026-11-21T01:02:03Z',
  '2026-11-21T01:02:03.4Z',
  '2026-11-21T01:02:03.4567Z',
  '2026-11-21T01:02:03,456Z',
  '2026-11-21T01:02Z',
  '2026-11-21',
  '20261121T010203.456Z',
  '+002026-11-21T01:02:03.456Z',
  '-000001-01-01T00:00:00.000Z',
  ' 2026-11-21T01:02:03.456Z',
  '2026-11-21T01:02:03.456Z\n',
  '2026-11-21T01:02:03.456ZZ',
  '٢٠٢٦-11-21T01:02:03.456Z',
  '2026-13-01T00:00:00.000Z', // impossible dates and times
  '2026-00-01T00:00:00.000Z',
  '2026-01-00T00:00:00.000Z',
  '2026-02-29T00:00:00.000Z',
  '2026-02-30T00:00:00.000Z',
  '2026-04-31T00:00:00.000Z',
  '1900-02-29T00:00:00.000Z',
  '2026-01-01T24:00:00.000Z',
  '2026-01-01T23:60:00.000Z',
  '2016-12-31T23:59:60.000Z', // a leap second
  '',
]

test.each(good)('a moment: %s', (text) => {
  const milliseconds = parseTimestamp(text)
  expect(milliseconds).toBeNumber()
  expect(formatTimestamp(milliseconds!)).toBe(text)
})

test.each(bad)('none: %j', (text) => expect(parseTimestamp(text)).toBeUndefined())

test('what is no text is no moment', () => {
  for (const value of [0, 1_700_000_000_000, null, undefined, new Date(0), [good[0]], {}]) {
    expect(parseTimestamp(value)).toBeUndefined()
  }
})

test('every millisecond from the year 0 to 9999 has one text', () => {
  const years = fc.date({ min: new Date('0000-01-01T00:00:00.000Z'), max: new Date('9999-12-31T23:59:59.999Z') })
  fc.assert(
    fc.property(fc.oneof(years), (date) => {
      fc.pre(!Number.isNaN(date.getTime()))
      expect(parseTimestamp(formatTimestamp(date.getTime()))).toBe(date.getTime())
    }),
  )
})

describe('the time zone of the machine has no say', () => {
  const source = join(import.meta.dir, '../../../core/chain/timestamp.ts')
  const program = `
    import { formatTimestamp, parseTimestamp } from ${JSON.stringify(source)}
    const texts = JSON.parse(process.env.TEXTS)
    const offset = new Date(2026, 6, 1).getTimezoneOffset()
    const read = texts.map((text) => parseTimestamp(text) ?? null)
    console.log(JSON.stringify({ offset, read, written: formatTimestamp(1795222923456) }))`
  // Spring forward in New York: 02:30 of 8 March 2026 does not exist there.
  const texts = [...good, '2026-03-08T02:30:00.000Z', '2026-11-01T01:30:00.000Z', ...bad]
  const expected = texts.map((text) => parseTimestamp(text) ?? null)

  test.each([
    ['UTC', 0],
    ['America/New_York', 240],
    ['Asia/Kathmandu', -345],
    ['Pacific/Kiritimati', -840],
  ])('%s', (zone, offset) => {
    const env = { ...process.env, TZ: zone, TEXTS: JSON.stringify(texts) }
    const child = Bun.spawnSync([process.execPath, '-e', program], { env })
    expect(child.stderr.toString()).toBe('')
    const written = '2026-11-21T01:02:03.456Z'
    expect(JSON.parse(child.stdout.toString())).toEqual({ offset: expect.any(Number), read: expected, written })
    expect(Math.abs((JSON.parse(child.stdout.toString()) as { offset: number }).offset)).toBe(Math.abs(offset))
  })
})
