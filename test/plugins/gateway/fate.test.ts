import { afterAll, beforeAll, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { decline } from '../../../core/errors.ts'
import type { TransactionStatus } from '../../../core/plugin.ts'
import { strongest } from '../../../plugins/gateway/fate.ts'
import { DeskWorld, included, purchase, taken } from './deskworld.ts'

let world: DeskWorld
beforeAll(async () => void (world = await DeskWorld.start({ nodes: 3 })))
afterAll(() => world.dispose())

const hash = 'f'.repeat(64)

function say(...fates: readonly (ReturnType<typeof included> | string)[]): void {
  for (const [place, fate] of fates.entries()) {
    world.nodes[place]!.fates.set(hash, typeof fate === 'string' ? { status: fate } : fate)
  }
}

test('where the node that is asked knows it, no other is asked', async () => {
  say('pending', 'pending', 'pending')
  const asked = () => world.nodes.flatMap(({ received }) => received).filter(({ tx_hash }) => tx_hash === hash).length
  const before = asked()
  expect(await world.desk.fate({ txHash: hash })).toEqual({
    status: 'pending',
    txHash: hash,
    blockIndex: undefined,
    confirmations: 0,
  })
  expect(asked()).toBe(before + 1)
})

test('the others are asked where it does not, and the strongest answer counts', async () => {
  say('unknown', 'unknown', included(4))
  for (let turn = 0; turn < 3; turn++) {
    const fate = await world.desk.fate({ txHash: hash })
    expect(fate).toEqual({ status: 'included', txHash: hash, blockIndex: 3, confirmations: 4 })
  }
})

test('a refusal that a node tells is passed on', async () => {
  say({ status: 'orphaned', code: 'not-owner', error: `sold${'!'.repeat(100_000)}` }, 'unknown', 'unknown')
  for (let turn = 0; turn < 3; turn++) {
    expect(await world.desk.fate({ txHash: hash })).toMatchObject({
      status: 'orphaned',
      code: 'not-owner',
      message: `sold${'!'.repeat(496)}`,
    })
  }
})

test('what nobody knows is unknown, and what is kept is pending at least', async () => {
  say('unknown', 'unknown', 'unknown')
  expect(await world.desk.fate({ txHash: hash })).toMatchObject({ status: 'unknown', txHash: hash })
  expect(await world.desk.fate({ txId: 'never' })).toMatchObject({ status: 'unknown', txHash: undefined })
  const kept = await taken(world.desk.submitPurchase(purchase()))
  for (const node of world.nodes) node.fates.set(kept.hash, { status: 'unknown' })
  expect(await world.desk.fate({ txId: 'order-1' })).toMatchObject({ status: 'pending', txHash: kept.hash })
  for (const node of world.nodes) node.fates.set(kept.hash, { status: 'orphaned' })
  expect(await world.desk.fate({ txId: 'order-1' })).toMatchObject({ status: 'orphaned' })
  for (const node of world.nodes) node.fates.set(kept.hash, included(2, 'final'))
  expect(await world.desk.fate({ txId: 'order-1' })).toMatchObject({ status: 'final', confirmations: 2 })
})

test('where no node answers, it says so', async () => {
  const alone = await DeskWorld.start({ nodes: 0 })
  expect(await alone.desk.fate({ txHash: hash })).toMatchObject({ status: 'unreachable' })
  await alone.dispose()
})

const block = { blockIndex: 1, blockHash: hash }
const weakestFirst: readonly (TransactionStatus | undefined)[] = [
  undefined,
  { status: 'unknown' },
  { status: 'unknown', refusal: decline('not-owner', 'sold') },
  { status: 'pending' },
  { status: 'orphaned' },
  { status: 'orphaned', refusal: decline('not-owner', 'sold') },
  { status: 'included', ...block, confirmations: 1 },
  { status: 'included', ...block, confirmations: 2 },
  { status: 'final', ...block, confirmations: 1 },
]

test('of two answers the strongest counts, whoever said it', () => {
  const place = fc.nat(weakestFirst.length - 1)
  fc.assert(
    fc.property(place, place, (a, b) => {
      expect(strongest(weakestFirst[a], weakestFirst[b])).toEqual(weakestFirst[Math.max(a, b)])
    }),
  )
})
