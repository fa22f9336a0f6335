// Damage to the state in a real ledger file, put there by SQL as a disk or a person would.
import { Database } from 'bun:sqlite'
import { afterEach, describe, expect, test } from 'bun:test'
import { auditLedger } from '../../../core/chain/audit.ts'
import type { Application } from '../../../core/plugin.ts'
import { blockOn, chainWorld, someTransaction, type ChainWorld } from '../../support/chainworld.ts'
import { countersApplication, countersGenesis, CountersModel } from '../../support/counters.ts'

const genesis = countersGenesis()
const { chainId } = genesis.rules
const worlds: ChainWorld[] = []

afterEach(async () => {
  for (const world of worlds.splice(0)) await world.dispose()
})

const count = (counter: string, add: number) => someTransaction(undefined, { counter, add }, chainId)

/** Three blocks: `a` comes, changes, and goes again; `bank` loses in the second. */
async function recorded(): Promise<ChainWorld> {
  const world = await chainWorld({ application: countersApplication() })
  worlds.push(world)
  let model = CountersModel.opening()
  let block = genesis.block
  for (const transactions of [[count('a', 3)], [count('a', 2), count('bank', -40)], [count('a', -5), count('b', 1)]]) {
    model = model.after(transactions)!
    block = blockOn(block, { transactions, header: { state_root: model.root } })
    expect(await world.chain.submitBlock(block)).toEqual({ ok: true })
  }
  return world
}

function auditOf({ storage, engine }: ChainWorld, application: Application = countersApplication()) {
  const audit = auditLedger({ storage, genesis, consensus: engine, application, signatures: false })
  let step = audit.next()
  while (step.done !== true) step = audit.next()
  return step.value
}

function damage({ storage }: ChainWorld, sql: string): void {
  const database = new Database(storage.location)
  expect(database.run(sql).changes).toBe(1)
  database.close()
}

test('a sound ledger is sound, and is executed for that', async () => {
  const world = await recorded()
  let applied = 0
  const plain = countersApplication()
  const application: Application = {
    ...plain,
    apply: (...args) => {
      applied++
      return plain.apply(...args)
    },
  }
  expect(auditOf(world, application)).toBeUndefined()
  expect(applied).toBe(5)
})

describe('row 28: bytes changed in the state: the audit names the row', () => {
  test.each([
    ['a changed value', "UPDATE state_rows SET value = '4' WHERE key = 'a' AND height = 1", '"a" (block 1)', '3'],
    [
      'a value in the place of none',
      "UPDATE state_rows SET value = '1' WHERE key = 'a' AND height = 3",
      '"a" (block 3)',
      'none',
    ],
    ['a missing row', "DELETE FROM state_rows WHERE key = 'bank' AND height = 2", '"bank" (block 2)', 'missing'],
    [
      'a row too many',
      "INSERT INTO state_rows (key, height, value, is_first) VALUES ('bank', 3, '99', 0)",
      '"bank" (block 3)',
      'should not be there',
    ],
    [
      'a changed opening',
      "UPDATE state_rows SET value = '101' WHERE key = 'bank' AND height = 0",
      '"bank" (block 0)',
      '100',
    ],
    ['a missing opening', "DELETE FROM state_rows WHERE key = 'bank' AND height = 0", '"bank" (block 0)', 'missing'],
    [
      'an opening too many',
      "INSERT INTO state_rows (key, height, value, is_first) VALUES ('rich', 0, '1', 1)",
      '"rich" (block 0)',
      'should not be there',
    ],
  ])('%s', async (_what, sql, row, says) => {
    const world = await recorded()
    damage(world, sql)
    const found = auditOf(world)
    expect(found?.row).toBe(`state, key ${row}`)
    expect(found?.what).toContain(says)
  })

  test('a row above the head is one that the store itself finds', async () => {
    const world = await recorded()
    damage(world, "INSERT INTO state_rows (key, height, value, is_first) VALUES ('bank', 4, '99', 0)")
    expect(world.storage.integrity()).toContain('state_rows, height 4, key bank')
  })

  test('another application than the one that made the chain takes it for damage', async () => {
    const world = await recorded()
    const mean: Application = {
      ...countersApplication(),
      apply: () => ({ ok: false, code: 'no', detail: 'never', provable: false }),
    }
    const first = world.storage.transactionsAt(1)[0]!
    expect(auditOf(world, mean)).toEqual({
      row: `transactions, tx_hash ${first.hash} (block 1)`,
      what: 'counters does not take it: no: never',
    })
    const generous: Application = { ...countersApplication(), apply: () => ({ ok: true, value: [] }) }
    expect(auditOf(world, generous)).toMatchObject({ row: 'state, key "a" (block 1)' })
  })
})

test('a large block is executed a few transactions at a time, and may be undone meanwhile with those below it', async () => {
  const world = await chainWorld({ application: countersApplication() })
  worlds.push(world)
  const below = [count('b', 50)]
  const [a, b] = ['a', 'b'].map((counter) => Array.from({ length: 100 }, () => count(counter, 1)))
  let model = CountersModel.opening()
  let block = genesis.block
  for (const transactions of [below, [...a!, ...b!]]) {
    model = model.after(transactions)!
    block = blockOn(block, { transactions, header: { state_root: model.root } })
    expect(await world.chain.submitBlock(block)).toEqual({ ok: true })
  }
  const parts = { storage: world.storage, genesis, consensus: world.engine, signatures: false }
  const audit = auditLedger({ ...parts, application: countersApplication() })
  expect([audit.next(), audit.next()].map(({ value }) => value)).toEqual([1, 2])
  // In the middle of block 2, of whose `b` nothing was read yet.
  let side = genesis.block
  for (let i = 0; i < 3; i++) {
    side = blockOn(side)
    expect(await world.chain.submitBlock(side)).toEqual({ ok: true })
  }
  expect(world.chain.head().header.current_hash).toBe(side.current_hash)
  let step = audit.next()
  while (step.done !== true) step = audit.next()
  expect(step.value).toBeUndefined()
})
