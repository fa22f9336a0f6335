// The road of a shop, end to end: a real day through a gateway, three ledgers that are read by other programs, and a
// server that is told.
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { removeFolder, temporaryFolder } from '../support/process.ts'
import { dayWithReturns, heightsInOrder, overtold, Shop, untold } from './shop.ts'

const folder = temporaryFolder()
/** 279 purchases and 28 returns, which the file of that day has none of. */
const file = dayWithReturns(folder, 10)
const lines = 279 + 28
let shop: Shop
beforeAll(async () => {
  shop = await Shop.open()
}, 60_000)
afterAll(async () => {
  await shop.close()
  removeFolder(folder)
}, 60_000)

test('every line of a day is taken', async () => {
  expect(await shop.play(file)).toMatchObject({ lines, taken: lines, refused: 0 })
}, 120_000)

test('each stands once in each of three ledgers, and every balance is right to the cent', async () => {
  await shop.settled(lines, 60_000)
  expect(shop.compare(file)).toMatchObject({ lines, differences: [] })
}, 120_000)

test('the listener was told of every block, in order, and of every purchase', () => {
  const blocks = shop.cluster.nodes[0]!.blocks()
  const told = shop.told()
  expect(untold(told, blocks)).toEqual([])
  expect(overtold(told, blocks)).toEqual([])
  expect(heightsInOrder(told, blocks)).toEqual(blocks.slice(1).map((_hash, at) => at + 1))
  const ids = told.flatMap(({ transactions = [] }) => transactions.map(({ data }) => data.tx_id))
  expect(new Set(ids).size).toBe(lines)
})

test('the same day again is answered and adds nothing', async () => {
  expect(await shop.play(file)).toMatchObject({ lines, taken: lines, refused: 0 })
  await shop.settled(lines, 60_000)
  expect(shop.compare(file)).toMatchObject({ lines, differences: [] })
}, 120_000)
