import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'bun:test'
import { sha256, sha256Hex } from '../../core/chain/canonical.ts'

const lines = (file: string) => readFileSync(join(import.meta.dir, 'nist-sha256', file), 'latin1').split(/\r?\n/)
const values = (file: string, name: string) =>
  lines(file).flatMap((line) => (line.startsWith(`${name} = `) ? [line.slice(name.length + 3)] : []))

test.each([
  ['SHA256ShortMsg.rsp', 65],
  ['SHA256LongMsg.rsp', 64],
])('FIPS 180-4: %s, %d messages', (file, count) => {
  const lengths = values(file, 'Len').map(Number)
  const messages = values(file, 'Msg').map((hex, i) => Buffer.from(hex, 'hex').subarray(0, lengths[i]! / 8))
  const expected = values(file, 'MD')
  expect(expected).toHaveLength(count)
  expect(messages.map((message) => sha256Hex(message))).toEqual(expected)
  expect(messages.map((message) => Buffer.from(sha256(message)).toString('hex'))).toEqual(expected)
})

test('FIPS 180-4: Monte Carlo, 100 chains of 1,000', () => {
  let seed: Uint8Array = Buffer.from(values('SHA256Monte.rsp', 'Seed')[0]!, 'hex')
  const got: string[] = []
  for (let count = 0; count < 100; count++) {
    let last = [seed, seed, seed]
    for (let i = 0; i < 1000; i++) last = [last[1]!, last[2]!, sha256(Buffer.concat(last))]
    seed = last[2]!
    got.push(Buffer.from(seed).toString('hex'))
  }
  expect(got).toEqual(values('SHA256Monte.rsp', 'MD'))
})

test('text is hashed as its UTF-8', () => {
  expect(sha256Hex('é😀')).toBe(sha256Hex(Buffer.from('c3a9f09f9880', 'hex')))
})
