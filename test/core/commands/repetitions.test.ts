import { expect, test } from 'bun:test'
import { sha256Hex } from '../../../core/chain/canonical.ts'
import { Repetitions } from '../../../core/commands/repetitions.ts'

test('counts how often each came before, also while it grows', () => {
  const repetitions = new Repetitions()
  const plain = new Map<string, number>()
  for (let i = 0; i < 20_000; i++) {
    const hash = sha256Hex(String((i * 7919) % 9_000))
    expect(repetitions.count(hash)).toBe(plain.get(hash) ?? 0)
    plain.set(hash, (plain.get(hash) ?? 0) + 1)
  }
})

test('keeps apart what starts in the same slot', () => {
  const repetitions = new Repetitions()
  const hashes = [0, 1, 2].map((n) => `0000000${n}00000000`.padEnd(64, '0'))
  for (const hash of [...hashes, ...hashes]) repetitions.count(hash)
  expect(hashes.map((hash) => repetitions.count(hash))).toEqual([2, 2, 2])
})
