// A ledger of a chain with an application, re-checked offline.
import { Database } from 'bun:sqlite'
import { afterEach, beforeAll, beforeEach, expect, test } from 'bun:test'
import * as valibot from 'valibot'
import { provideToPlugins } from '../../../core/bun.ts'
import { command } from '../../../core/commands/verify.ts'
import * as aurex from '../../../core/index.ts'
import { blockOn, chainWorld, someTransaction, type ChainWorld } from '../../support/chainworld.ts'
import { countersApplication, countersGenesis, CountersModel } from '../../support/counters.ts'
import { failure, testIo, type TestIo } from './testio.ts'

let io: TestIo
let world: ChainWorld
beforeAll(() => provideToPlugins({ aurex, valibot }))
beforeEach(async () => {
  io = testIo()
  world = await chainWorld({ application: countersApplication() })
  const { block } = countersGenesis()
  const transactions = [someTransaction(undefined, { counter: 'a', add: 3 }, block.chain_id)]
  const model = CountersModel.opening().after(transactions)!
  const made = blockOn(block, { transactions, header: { state_root: model.root } })
  expect(await world.chain.submitBlock(made)).toEqual({ ok: true })
})
afterEach(async () => {
  await world.dispose()
  io.remove()
})

const counters = `
import { definePlugin, found } from 'aurex'
import * as v from 'valibot'
export default definePlugin({
  name: 'NAME',
  summary: 'counters',
  provides: 'application',
  needs: [],
  config: v.strictObject({}),
  setup: () => ({
    id: 'NAME',
    opening: () => [{ key: 'bank', value: '100' }],
    apply: ({ data }, state) =>
      found([{ key: data.counter, value: String(Number(state.get(data.counter) ?? '0') + data.add) }]),
  }),
})
`

const damage = (sql: string): void => {
  const database = new Database(world.storage.location)
  database.run(sql)
  database.close()
}

test('executes every block with the application that is named on the command line', async () => {
  io.file('counters.ts', counters.replaceAll('NAME', 'counters'))
  const { location } = world.storage
  expect(await command.run([location, '--application', './counters.ts'], io)).toBe(0)
  expect(io.stdout).toContain('1 block, 1 transaction\n')
  damage("UPDATE state_rows SET value = '4' WHERE key = 'a'")
  io.stdout = ''
  expect(await command.run([location, '--application', './counters.ts', '--json'], io)).toBe(1)
  expect(JSON.parse(io.stdout)).toMatchObject({
    ok: false,
    row: 'state, key "a" (block 1)',
    problem: 'expected "3", got "4"',
  })
})

test('row 28: a row of the state above the last block is named', async () => {
  io.file('counters.ts', counters.replaceAll('NAME', 'counters'))
  damage("INSERT INTO state_rows (key, height, value, is_first) VALUES ('bank', 2, '1000', 0)")
  expect(await command.run([world.storage.location, '--application', './counters.ts'], io)).toBe(1)
  expect(io.stdout).toContain('state_rows, height 2, key bank')
})

test('the name of an application that stands in a ledger runs no code', async () => {
  const { location } = world.storage
  const unknown = await failure(command.run([location], io))
  expect(unknown).toMatchObject({ code: 'unknown-application', exit: 78 })
  expect(unknown.message).toMatch(/^the application counters is not built in; .*--application$/)
  io.file('other.ts', counters.replaceAll('NAME', 'other'))
  for (const other of ['./other.ts', 'pow']) {
    const wrong = await failure(command.run([location, '--application', other], io))
    expect(wrong).toMatchObject({ code: 'wrong-application', exit: 64 })
  }
})
