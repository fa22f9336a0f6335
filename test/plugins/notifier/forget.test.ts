// A node without a chain passes on what others confirmed, and does not keep it for ever.
import { afterEach, expect, test } from 'bun:test'
import { bunRuntime } from '../../../core/bun.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { eventually } from '../../support/eventually.ts'
import { freePort, notify, type Notifying } from './world.ts'

const kept = 10_000
const reports = kept + 5
let running: Notifying | undefined
afterEach(async () => {
  await running?.stop()
  running = undefined
})

/** A ledger with so many reports, and up to where it was told to forget them. */
function told() {
  const storage = new MemoryLedger()
  const hash = 'ab'.repeat(32)
  storage.report(
    Array.from({ length: reports }, (_, index) => ({ index, hash, body: '{}' })),
    'gateway',
    [],
  )
  const forgotten: number[] = []
  const forget = storage.forgetReports.bind(storage)
  storage.forgetReports = (sequence) => {
    forgotten.push(sequence)
    forget(sequence)
  }
  // It looks every 5 s; here at once.
  const real = bunRuntime()
  const after = (milliseconds: number, run: () => void) =>
    real.clock.after(milliseconds === 5_000 ? 1 : milliseconds, run)
  return { storage, forgotten, runtime: { ...real, clock: { ...real.clock, after } } }
}

test('what every target was told is forgotten, but for the newest ten thousand', async () => {
  const { storage, forgotten, runtime } = told()
  const targets = [`ndjson://127.0.0.1:${await freePort()}`, `ndjson://127.0.0.1:${await freePort()}`]
  running = await notify({ storage, runtime }, { targets, from: 'now' })
  await eventually(() => forgotten.length > 0, 'it looks')
  expect(storage.outbox(0, 1)[0]?.sequence).toBe(reports - kept + 1)
  expect(storage.outboxEnd()).toBe(reports)
})

test('while one target is behind, nothing that it has not heard is forgotten', async () => {
  const { storage, forgotten, runtime } = told()
  const late = `ndjson://127.0.0.1:${await freePort()}`
  storage.records('notifier').write([[`cursor/${late}`, JSON.stringify({ sequence: 2, reported: 0, floor: 0 })]])
  const targets = [`ndjson://127.0.0.1:${await freePort()}`, late]
  running = await notify({ storage, runtime }, { targets, from: 'now' })
  await eventually(() => forgotten.length > 1, 'it looks')
  expect(storage.outbox(0, 1)[0]?.sequence).toBe(3)
})
