// The road of a shop, end to end: a real day through a gateway, three ledgers that are read by other programs, and a
// server that is told.
import { expect, test } from 'bun:test'
import { heightsInOrder, overtold, untold, useShop } from './shop.ts'

const day = useShop()
const { file, lines } = day

test('every line of a day is taken', async () => {
  expect(await day.shop.play(file)).toMatchObject({ lines, taken: lines, refused: 0 })
}, 120_000)

test('each stands once in each of three ledgers, and every balance is right to the cent', async () => {
  await day.shop.settled(lines, 60_000)
  expect(day.shop.compare(file)).toMatchObject({ lines, differences: [] })
}, 120_000)

test('the listener was told of every block, in order, and of every purchase', () => {
  const blocks = day.shop.cluster.nodes[0]!.blocks()
  const told = day.shop.told()
  expect(untold(told, blocks)).toEqual([])
  expect(overtold(told, blocks)).toEqual([])
  expect(heightsInOrder(told, blocks)).toEqual(blocks.slice(1).map((_hash, at) => at + 1))
  const ids = told.flatMap(({ transactions = [] }) => transactions.map(({ data }) => data.tx_id))
  expect(new Set(ids).size).toBe(lines)
})

test('the same day again is answered and adds nothing', async () => {
  expect(await day.shop.play(file)).toMatchObject({ lines, taken: lines, refused: 0 })
  await day.shop.settled(lines, 60_000)
  expect(day.shop.compare(file)).toMatchObject({ lines, differences: [] })
}, 120_000)
