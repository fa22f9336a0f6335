import { expect, test } from 'bun:test'
import { storageContract } from '../contract/storage.ts'
import { Dice } from './dice.ts'
import { Disk } from './disk.ts'
import { Tally, type FaultKind } from './faults.ts'
import { JournalLedger } from './journal.ts'

storageContract('journal', () => {
  const disk = new Disk()
  const open = () => new JournalLedger(disk.open('/data/ledger'))
  return { storage: open(), reopen: open, close: () => {} }
})

const disk = (seed: number) => {
  const tally = new Tally<FaultKind>()
  const one: Disk = new Disk({ dice: new Dice(seed), tally, powerGoes: () => one.crash(true) })
  return { one, tally }
}

test('what was synced outlives every power cut, what was not is lost, torn or spoilt', () => {
  const left = new Set<string>()
  for (let seed = 0; seed < 200; seed++) {
    const { one } = disk(seed)
    const file = one.open('/f')
    file.append('durable\n')
    file.sync()
    file.append('in danger\n')
    one.crash(true)
    const text = one.open('/f').text()
    expect(text.startsWith('durable\n')).toBe(true)
    left.add(text.slice(8).replaceAll('\0', '?'))
  }
  expect(left).toContain('')
  expect(left).toContain('in danger\n')
  expect([...left].some((text) => text.includes('?'))).toBe(true)
  expect(left.size).toBeGreaterThan(10)
})

test('a process that ends without a power cut leaves what it wrote, and writes nothing more', () => {
  const { one } = disk(1)
  const file = one.open('/f')
  file.append('written')
  one.crash(false)
  file.append(' by the dead')
  file.sync()
  expect(one.open('/f').text()).toBe('written')
})

test('the power may go in the middle of a write', () => {
  const { one, tally } = disk(2)
  const file = one.open('/f')
  file.append('safe ')
  file.sync()
  one.cutPowerIn(1)
  file.append('gone or torn')
  file.append('by the dead')
  expect(one.open('/f').text().startsWith('safe ')).toBe(true)
  expect(tally.of('lost-write') + tally.of('torn-write')).toBe(1)
})

test('a file that was made is durable', () => {
  const { one } = disk(3)
  one.files().createText('/key', 'secret', 0o600)
  one.files().appendText('/bans', 'a\n', 0o600)
  one.crash(true)
  expect([one.files().readText('/key'), one.files().readText('/bans')]).toEqual(['secret', 'a\n'])
})
