import { expect, test } from 'bun:test'
import { adding, genesis, makeChain, storageContract, storedAt } from '../contract/storage.ts'
import { Dice } from './dice.ts'
import { Disk } from './disk.ts'
import { Tally, type FaultKind } from './faults.ts'
import { JournalLedger } from './journal.ts'

storageContract('journal', () => {
  const disk = new Disk()
  const open = () => new JournalLedger(disk.open('/data/ledger'))
  return { storage: open(), reopen: open, close: () => {} }
})

const chain = makeChain(genesis.block, 2, 0n)
const beside = makeChain(genesis.block, 1, 0n, 7)[0]!.block
const signed = (height: number) => [{ owner: 'signing', changes: [['block', `[${height}]`]] as const }]

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

test('after a power cut in the middle of a write, a block and its records are both there or neither', () => {
  const left = new Set<string>()
  for (let seed = 0; seed < 150; seed++) {
    const { one } = disk(seed)
    const open = () => new JournalLedger(one.open('/data/ledger'))
    const dying = open()
    dying.begin(genesis, genesis.block, storedAt)
    one.cutPowerIn(1 + (seed % 9))
    dying.commit({ ...adding(chain[0]!), records: signed(1), final: 1 })
    dying.keepSide(beside, 1n, [], [...signed(2), { owner: 'poa', changes: [['gone', undefined]] }])
    dying.commit(adding(chain[1]!))
    dying.finalize(2)
    const after = open()
    const head = after.head().header.index
    const tips = after.sideTips().length
    const record = after.records('signing').get('block')
    expect(`${seed}: ${record}`).toBe(`${seed}: ${tips === 1 ? '[2]' : head === 1 ? '[1]' : undefined}`)
    expect([0, 1, 2]).toContain(after.finalHeight())
    expect(`${seed}: ${after.finalHeight() >= Math.min(head, 1)}`).toBe(`${seed}: true`)
    expect(after.finalHeight()).toBeLessThanOrEqual(head)
    left.add(`${head} ${tips} ${after.finalHeight()}`)
    // And what is left is a ledger that goes on.
    after.finalize(head)
    expect(open().finalHeight()).toBe(head)
  }
  expect([...left].toSorted()).toEqual(['0 0 0', '1 0 1', '1 1 1', '2 1 1', '2 1 2'])
})

test('a file that was made is durable', () => {
  const { one } = disk(3)
  one.files().createText('/key', 'secret', 0o600)
  one.files().appendText('/bans', 'a\n', 0o600)
  one.crash(true)
  expect([one.files().readText('/key'), one.files().readText('/bans')]).toEqual(['secret', 'a\n'])
})
