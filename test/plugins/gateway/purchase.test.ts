import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { readTransaction, verifyTransaction } from '../../../core/chain/transaction.ts'
import { readPurchase } from '../../../plugins/gateway/purchase.ts'
import { makeKey } from '../../support/blocks.ts'
import { DeskWorld, declined, gatewayKey, genesis, given, purchase, taken } from './deskworld.ts'

describe('the body of a purchase', () => {
  test('becomes the data that the chain records', () => {
    expect(readPurchase(purchase({ price: 12.34, note: 'not looked at' }))).toEqual({
      ok: true,
      value: {
        txId: 'order-1',
        sender: 'alice',
        data: {
          action: 'purchase',
          tx_id: 'order-1',
          asset_id: 'sku-7',
          asset_name: 'Blue lamp',
          price: '12.34',
          from: 'alice',
          to: 'shop@example.com',
          amount: '12.34',
          timestamp: '2026-11-21T10:00:00+01:00',
        },
      },
    })
  })

  const refusals: readonly [field: string, value: unknown, got: string][] = [
    ['tx_id', undefined, 'nothing'],
    ['tx_id', '', 'empty text'],
    ['tx_id', 7, '7'],
    ['tx_id', 'x'.repeat(129), '"xxxx'],
    ['tx_id', 'a\nb', '"a'],
    ['tx_id', 'a\u0000b', '"a'],
    ['buyer', null, 'null'],
    ['seller', ['shop'], 'an array'],
    ['asset_id', {}, 'an object'],
    ['asset_name', true, 'true'],
    ['timestamp', 1_700_000_000, '1700000000'],
    ['timestamp', 't'.repeat(129), '"ttt'],
    ['price', undefined, 'nothing'],
    ['price', '12.345678901', '"12.345678901"'],
    ['price', 12.345678901, '12.345678901'],
    ['price', 1e21, '1e+21'],
    ['price', 1e-7, '1e-7'],
    ['price', -1, '-1'],
    ['price', '1e2', '"1e2"'],
    ['price', '', 'empty text'],
    ['price', ' 1', '" 1"'],
    ['price', null, 'null'],
  ]
  test.each(refusals)('is refused for %s: %p', (field, value, got) => {
    const { [field]: _, ...rest } = purchase()
    const body = value === undefined ? rest : purchase({ [field]: value as never })
    const read = readPurchase(body)
    if (read.ok) throw new Error('taken')
    expect(read.code).toBe('bad-purchase')
    expect(read.detail).toStartWith(`${field}: expected `)
    expect(read.detail).toContain(`, got ${got}`)
  })

  test('is refused where the buyer is an address, which only its own key may sign for', () => {
    for (const buyer of [makeKey(3).address, makeKey(3).address.toUpperCase()]) {
      const read = readPurchase(purchase({ buyer }))
      expect(read).toMatchObject({ ok: false, code: 'bad-purchase' })
      expect(!read.ok && read.detail).toContain('submit_transaction')
    }
  })

  test('whatever it holds, it is refused by name or read', () => {
    const value = fc.oneof(fc.string({ unit: 'binary', maxLength: 200 }), fc.double(), fc.constant(null), fc.object())
    const body = fc.record(
      Object.fromEntries(
        Object.keys(purchase()).map((field) => [field, fc.oneof(fc.constant(purchase()[field]), value)]),
      ),
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(body, (it) => {
        const read = readPurchase(it as never)
        if (read.ok) expect(Object.keys(read.value.data)).toHaveLength(9)
        else
          expect([read.code, Object.keys(purchase()).some((field) => read.detail.startsWith(`${field}: `))]).toEqual([
            'bad-purchase',
            true,
          ])
      }),
    )
  })
})

describe('a purchase at the desk', () => {
  let world: DeskWorld
  beforeAll(async () => void (world = await DeskWorld.start({ nodes: 2 })))
  afterAll(() => world.dispose())

  test('is signed for the buyer with the key of the gateway, and given to every node once', async () => {
    const submission = await taken(world.desk.submitPurchase(purchase({ tx_id: 'p1' })))
    expect(submission).toMatchObject({ nodesReached: 2, nodesTotal: 2, message: '2 of 2 nodes took it' })
    const { transaction } = submission
    expect(transaction).toMatchObject({ sender: 'alice', public_key_pem: gatewayKey.pem })
    const read = readTransaction(transaction, genesis.rules)
    if (!read.ok) throw new Error(read.detail)
    expect(read.value.hash).toBe(submission.hash)
    expect(read.value.signer.address).toBe(gatewayKey.address)
    expect(verifyTransaction(read.value)).toEqual({ ok: true })
    for (const node of world.nodes)
      expect(given(node).filter(({ tx_id }) => tx_id === 'p1')).toEqual([transaction.data])
  })

  test('that comes again has the same answer, and another body under its tx_id is a conflict', async () => {
    const first = await taken(world.desk.submitPurchase(purchase({ tx_id: 'p2', price: 12.5 })))
    expect(await taken(world.desk.submitPurchase(purchase({ tx_id: 'p2', price: '12.5' })))).toEqual(first)
    expect(await declined(world.desk.submitPurchase(purchase({ tx_id: 'p2', price: '12.6' })))).toStartWith(
      `conflict: tx_id: another purchase has it, recorded as transaction ${first.hash}`,
    )
    const { known } = world.nodes[0]!
    expect([...known.values()].filter(({ transaction }) => transaction.data['tx_id'] === 'p2')).toHaveLength(1)
  })

  test('that comes twice at the same time is one record, and of two that differ one is a conflict', async () => {
    const bodies = ['1', '1', '2', '2', '1'].map((price) => purchase({ tx_id: 'p3', price }))
    const answers = await Promise.all(bodies.map((body) => world.desk.submitPurchase(body)))
    expect(answers.map((answer) => (answer.ok ? 'taken' : answer.code))).toEqual([
      'taken',
      'taken',
      'conflict',
      'conflict',
      'taken',
    ])
    for (const node of world.nodes) expect(given(node).filter(({ tx_id }) => tx_id === 'p3')).toHaveLength(1)
  })

  test('whose tx_id is freed by a refusal may come with another body', async () => {
    for (const node of world.nodes) {
      node.refuse = ({ data }) => (data['price'] === '666' ? { code: 'unaffordable', error: 'too poor' } : undefined)
    }
    const answers = ['666', '6'].map((price) => world.desk.submitPurchase(purchase({ tx_id: 'p4', price })))
    expect(await declined(answers[0]!)).toBe('unaffordable: too poor')
    expect(await taken(answers[1]!)).toMatchObject({ nodesReached: 2 })
    expect(world.records('tx/p4')).toHaveLength(1)
  })
})

test('row 25: of 1,000 purchases at once, a third of them repeated, each node is given each once and every one is recorded once', async () => {
  const world = await DeskWorld.start({ nodes: 3 })
  const bodies = Array.from({ length: 1_000 }, (_, n) => purchase({ tx_id: `order-${n % 667}`, buyer: `b${n % 50}` }))
  const sameBodies = bodies.map((body, n) => (n < 667 ? body : bodies[n - 667]!))
  const answers = await Promise.all(sameBodies.map((body) => taken(world.desk.submitPurchase(body))))
  expect(new Set(answers.map(({ hash }) => hash)).size).toBe(667)
  expect(answers.every(({ nodesReached }) => nodesReached === 3)).toBe(true)
  for (const node of world.nodes) {
    expect(given(node)).toHaveLength(667)
    expect(node.known.size).toBe(667)
  }
  expect(world.records('tx/')).toHaveLength(667)
  await world.dispose()
})
