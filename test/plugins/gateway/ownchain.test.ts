// A gateway that is a node itself: its own chain is the only one that is asked.
import { expect, test } from 'bun:test'
import { openDesk } from '../../../plugins/gateway/opendesk.ts'
import { blockOn, chainWorld, someTransaction } from '../../support/chainworld.ts'
import { makeContext } from '../../support/context.ts'
import { eventually } from '../../support/eventually.ts'
import { declined, gatewayKey, hurried, purchase, taken } from './deskworld.ts'

test('a purchase is pending on this chain before it is answered, recorded with a block, and followed until it is deep', async () => {
  const world = await chainWorld()
  const { chain, storage } = world
  const { context, release } = makeContext({ use: {}, identity: gatewayKey, runtime: hurried.runtime! })
  const desk = openDesk({ context, storage, chain, options: { attest: false, settledConfirmations: 3 } })
  await desk.start()
  const { hash, transaction, nodesReached, nodesTotal } = await taken(desk.submitPurchase(purchase()))
  expect([nodesReached, nodesTotal]).toEqual([1, 1])
  expect(chain.status(hash)).toEqual({ status: 'pending' })
  expect([...storage.pending()].map((pending) => pending.hash)).toEqual([hash])
  expect(desk.counts()).toEqual({ queued: 0, unsettled: 1, nodes: 1 })
  expect(await desk.fate({ txId: 'order-1' })).toMatchObject({ status: 'pending', txHash: hash })

  let parent = blockOn(world.genesis.block, { transactions: [transaction] })
  expect(await chain.submitBlock(parent)).toEqual({ ok: true })
  expect(await desk.fate({ txHash: hash })).toMatchObject({ status: 'included', blockIndex: 1, confirmations: 1 })
  expect(await taken(desk.submitPurchase(purchase()))).toMatchObject({ hash, nodesReached: 1 })
  for (let n = 0; n < 2; n++) {
    parent = blockOn(parent)
    expect(await chain.submitBlock(parent)).toEqual({ ok: true })
  }
  await eventually(() => desk.counts().unsettled === 0, 'settled')
  expect(storage.records('gateway').count('queue/')).toBe(0)

  const foreign = { ...someTransaction(), data: { action: 'other' } }
  expect(await declined(desk.submitTransaction({ ...foreign }))).toStartWith('bad-signature: ')
  await desk.stop()
  await release()
  await world.dispose()
})
