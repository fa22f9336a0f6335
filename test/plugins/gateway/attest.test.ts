import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readGenesis } from '../../../core/chain/genesis.ts'
import { attestTransaction, readTransaction, signTransaction } from '../../../core/chain/transaction.ts'
import { makeKey } from '../../support/blocks.ts'
import { DeskWorld, declined, gatewayKey, genesis, given, purchase, signed, taken } from './deskworld.ts'

const unsigned = { sender: 'alice', data: { action: 'data', n: 1 } }
const makeBelieve = [`SIG_node-1_${'a'.repeat(64)}`, 'SIG_', 'signature', `${'A'.repeat(86)}==`, 7, ['sig']]

describe('without the option attest', () => {
  let world: DeskWorld
  beforeAll(async () => void (world = await DeskWorld.start()))
  afterAll(() => world.dispose())

  test.each([[{}], [{ signature: '' }], [{ signature: null }]])('what is not signed is refused: %p', async (fields) => {
    expect(await declined(world.desk.submitTransaction({ ...unsigned, ...fields }))).toStartWith(
      'no-signature: signature: expected base64 of 64 bytes',
    )
  })

  test('row 5: a make-believe signature is refused, and no node hears of it', async () => {
    for (const signature of makeBelieve) {
      const body = { ...unsigned, public_key_pem: gatewayKey.pem, signature }
      expect(await declined(world.desk.submitTransaction(body))).toMatch(/^(bad-signature|bad-transaction): /)
    }
    expect(given(world.nodes[0]!)).toEqual([])
    expect(world.records('queue/')).toEqual([])
  })

  test('row 6: a signature for another chain or other data is refused', async () => {
    const other = signTransaction(makeKey(5), '0'.repeat(64), { action: 'data' })
    expect(await declined(world.desk.submitTransaction({ ...other }))).toStartWith('bad-signature: ')
    expect(await declined(world.desk.submitTransaction({ ...signed(), data: { action: 'other' } }))).toStartWith(
      'bad-signature: ',
    )
    expect(world.records('queue/')).toEqual([])
  })

  test('what is signed goes to the node as it came', async () => {
    const transaction = signed({ action: 'data', what: 'mine' }, 3)
    const submission = await taken(world.desk.submitTransaction({ ...transaction, note: 'not a field' }))
    expect(submission).toMatchObject({ nodesReached: 1, transaction })
    expect([...world.nodes[0]!.known.values()]).toContainEqual({ transaction, hash: submission.hash, block: undefined })
  })
})

describe('with the option attest', () => {
  let world: DeskWorld
  beforeAll(async () => void (world = await DeskWorld.start({ attest: true })))
  afterAll(() => world.dispose())

  test('what a name sends unsigned is signed for it', async () => {
    for (const [nonce, signature] of [undefined, '', null].entries()) {
      const body = { ...unsigned, nonce, ...(signature === undefined ? {} : { signature }) }
      const { transaction, hash, nodesReached } = await taken(world.desk.submitTransaction(body))
      expect(transaction).toEqual(attestTransaction(gatewayKey, genesis.rules.chainId, 'alice', unsigned.data, nonce))
      expect(readTransaction(transaction, genesis.rules)).toMatchObject({ value: { hash } })
      expect(nodesReached).toBe(1)
    }
  })

  test('row 5: a make-believe signature is refused all the same, and no node hears of it', async () => {
    const before = given(world.nodes[0]!).length
    for (const signature of makeBelieve) {
      for (const key of [{}, { public_key_pem: gatewayKey.pem }]) {
        const body = { ...unsigned, ...key, signature }
        expect(await declined(world.desk.submitTransaction(body))).toMatch(/^(bad-signature|bad-transaction): /)
      }
    }
    expect(given(world.nodes[0]!)).toHaveLength(before)
  })

  test('nobody is signed for who has a key of his own', async () => {
    const address = makeKey(4).address
    expect(await declined(world.desk.submitTransaction({ ...unsigned, sender: address }))).toStartWith('no-signature: ')
    expect(await declined(world.desk.submitTransaction({ ...unsigned, public_key_pem: makeKey(4).pem }))).toStartWith(
      'no-signature: ',
    )
  })

  test.each([
    [{ sender: 7, data: {} }, 'bad-transaction: sender'],
    [{ sender: '', data: {} }, 'bad-transaction: sender'],
    [{ sender: 'alice' }, 'bad-transaction: data'],
    [{ sender: 'alice', data: 'text' }, 'bad-transaction: data'],
    [{ sender: 'alice', data: {}, nonce: 0.5 }, 'bad-transaction: nonce'],
    [{ sender: 'alice', data: { text: 'x'.repeat(70_000) } }, 'too-large: '],
  ])('a field that is wrong is named: %#', async (body, refusal) => {
    expect(await declined(world.desk.submitTransaction(body))).toStartWith(refusal)
  })
})

const chainOf = (gateways: readonly string[]) =>
  readGenesis({ name: 'test', timestamp: '2026-01-01T00:00:00.000Z', consensus: 'instant', gateways }, 'test')

describe('a genesis that names gateways', () => {
  test('row 3: is not this one: it says so at the start and at the door, and sends nothing in its own name', async () => {
    const world = await DeskWorld.start({ nodes: 0, attest: true, genesis: chainOf([makeKey(8).address]) })
    expect(world.log).toMatchObject([{ message: 'purchases will be refused', fields: { code: 'not-a-gateway' } }])
    expect(await declined(world.desk.submitPurchase(purchase()))).toStartWith('not-a-gateway: the genesis names')
    expect(await declined(world.desk.submitTransaction(unsigned))).toContain(gatewayKey.address)
    expect(world.records('queue/')).toEqual([])
    const own = signTransaction(makeKey(5), world.genesis!.rules.chainId, { action: 'data' })
    expect(await taken(world.desk.submitTransaction({ ...own }))).toMatchObject({ nodesReached: 0 })
    await world.dispose()
  })

  test('this one among them: it signs', async () => {
    const world = await DeskWorld.start({ nodes: 0, genesis: chainOf([makeKey(8).address, gatewayKey.address]) })
    expect(world.log).toEqual([])
    expect(await taken(world.desk.submitPurchase(purchase()))).toMatchObject({ nodesReached: 0 })
    await world.dispose()
  })
})

test('while no chain is known nothing is taken, and what to do is told', async () => {
  const world = await DeskWorld.start({ nodes: 0, genesis: null })
  for (const answer of [world.desk.submitPurchase(purchase()), world.desk.submitTransaction({ ...signed() })]) {
    expect(await declined(answer)).toMatch(/^no-chain: .*--peers.*--genesis/)
  }
  world.genesis = chainOf([])
  world.tell('peer:joined')
  expect(world.log).toMatchObject([{ fields: { code: 'not-a-gateway' } }])
  await world.dispose()
})

test('records of one chain are not used for another', async () => {
  const world = await DeskWorld.start({ nodes: 0 })
  await taken(world.desk.submitPurchase(purchase()))
  world.genesis = chainOf([gatewayKey.address])
  await world.restart()
  expect(world.log).toMatchObject([{ message: 'nothing can be submitted', fields: { code: 'wrong-chain' } }])
  expect(await declined(world.desk.submitPurchase(purchase()))).toMatch(/^wrong-chain: .*--data-dir/)
  await world.dispose()
})
