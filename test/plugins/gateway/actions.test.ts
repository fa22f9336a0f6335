import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { AurexError, decline, found, frameOf } from '../../../core/index.ts'
import { FakeDesk, makeActions, silentLog, submission } from './serverrig.ts'

const bytes = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))

async function ask(message: unknown, desk = new FakeDesk(), parts: Parameters<typeof makeActions>[1] = {}) {
  return await makeActions(desk, parts).answer(bytes(message))
}

describe('health', () => {
  test('says what it is, its chain and its counts', async () => {
    expect(await ask({ action: 'health' })).toEqual({
      status: 'ok',
      service: 'gateway_server',
      chain_id: 'cd'.repeat(32),
      queued: 4,
      unsettled: 2,
      nodes: 3,
      connections: 1,
    })
  })

  test('a chain that is not known yet is null', async () => {
    expect(await ask({ action: 'health' }, new FakeDesk(), { chainId: () => undefined })).toMatchObject({
      chain_id: null,
    })
  })
})

describe('what cannot be understood is refused with a code, naming the field', () => {
  const cases: readonly [what: string, body: unknown, code: string, message: string][] = [
    ['no body', '', 'empty', 'the prefix, two bytes, says that the body has none; expected a JSON object'],
    ['an array', [], 'bad-request', 'the body: expected a JSON object'],
    ['null', 'null', 'bad-request', 'the body: expected a JSON object'],
    ['half an object', '{"action":', 'bad-json', 'not JSON'],
    ['a name twice', '{"action":"health","action":"health"}', 'bad-json', 'an object has the same name twice'],
    ['__proto__', '{"action":"health","__proto__":{}}', 'bad-json', 'the name __proto__ is not taken'],
    ['1e400', '{"action":"health","n":1e400}', 'bad-json', 'a number is too large for a double'],
    ['a lone surrogate', '{"action":"\\ud800"}', 'bad-json', 'a string has a lone surrogate'],
    ['no action', {}, 'bad-request', 'action: is missing; one of health, submit_transaction, submit_purchase'],
    ['an action that is no text', { action: 7 }, 'bad-request', 'action: expected a string'],
    ['a misspelt action', { action: 'helth' }, 'unknown-action', 'action: there is no helth; did you mean health?'],
    ['an action like no other', { action: 'x'.repeat(500) }, 'unknown-action', '; expected one of health'],
    ['an inherited name', { action: 'toString' }, 'unknown-action', 'action: there is no toString'],
    ['a misspelt type', { type: 'block_confirmaton' }, 'bad-request', 'did you mean block_confirmation?'],
    ['another type', { type: 'ping' }, 'bad-request', 'type: there is no ping; expected block_confirmation or'],
    ['no body of a purchase', { action: 'submit_purchase' }, 'bad-request', 'body: is missing'],
    [
      'a body that is text',
      { action: 'submit_transaction', body: '{}' },
      'bad-request',
      'body: expected a JSON object',
    ],
    [
      'a body that is null',
      { action: 'submit_transaction', body: null },
      'bad-request',
      'body: expected a JSON object',
    ],
    ['nothing to ask about', { action: 'transaction_status' }, 'bad-request', 'tx_hash: is missing; give it or tx_id'],
    ['a wrong hash', { action: 'transaction_status', tx_hash: 'AB' }, 'bad-request', 'tx_hash: expected 64 lowercase'],
    ['a number as tx_id', { action: 'transaction_status', tx_id: 7 }, 'bad-request', 'tx_id: expected a string'],
    ['both', { action: 'transaction_status', tx_id: '7', tx_hash: 'ab'.repeat(32) }, 'bad-request', 'not both'],
    ['a request_id of no use', { action: 'health', request_id: {} }, 'bad-request', 'request_id: expected a number'],
  ]
  for (const [what, body, code, message] of cases) {
    test(what, async () => {
      const answer = await ask(body)
      expect(answer).toMatchObject({ status: 'failed', code })
      expect(answer?.['message']).toContain(message)
    })
  }

  test('bad UTF-8, a byte order mark, deep nesting', async () => {
    const actions = makeActions(new FakeDesk())
    expect(await actions.answer(Uint8Array.of(0x7b, 0xff, 0x7d))).toMatchObject({ code: 'bad-utf8' })
    expect(await actions.answer(Buffer.from('\ufeff{"action":"health"}'))).toMatchObject({ code: 'bad-json' })
    expect(await actions.answer(Buffer.from('['.repeat(65_535)))).toMatchObject({ code: 'too-deep' })
  })

  test('threats row 22: whatever the bytes are, there is one answer of one kind, and no fault is logged', async () => {
    const faults: string[] = []
    const desk = new FakeDesk()
    desk.answer = () => decline('bad-transaction', 'no')
    const actions = makeActions(desk, { log: { ...silentLog, error: (message) => void faults.push(message) } })
    const check = async (body: Uint8Array): Promise<void> => {
      const answer = await actions.answer(body)
      expect(typeof answer!['status']).toBe('string')
      expect(frameOf(answer!)).toBeDefined()
    }
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), check))
    const anything = fc.jsonValue().map((value) => bytes(value))
    await fc.assert(fc.asyncProperty(anything, check))
    const field = fc.oneof(fc.jsonValue(), fc.constantFrom('health', 'submit_purchase', 'transaction_status', 'x'))
    const shaped = fc.record(
      { action: field, body: field, tx_hash: field, tx_id: field, type: field, request_id: field },
      { requiredKeys: [] },
    )
    await fc.assert(fc.asyncProperty(shaped.map(bytes), check), { numRuns: 300 })
    const naughty = JSON.parse(readFileSync(join(import.meta.dir, '../../vectors/blns/blns.json'), 'utf8')) as string[]
    for (const text of naughty) {
      await check(bytes({ action: text }))
      await check(bytes({ action: 'transaction_status', tx_id: text, request_id: 1 }))
    }
    expect(faults).toEqual([])
  })
})

describe('submissions', () => {
  const transaction = { sender: 'alice', data: { n: 1 }, signature: 's' }

  test('broadcast: how many nodes of how many took it', async () => {
    const desk = new FakeDesk()
    expect(await ask({ action: 'submit_transaction', body: transaction }, desk)).toEqual({
      status: 'broadcast',
      nodes_reached: 2,
      total_nodes: 3,
      message: '2 of 3 nodes took it',
      tx_hash: 'ab'.repeat(32),
    })
    expect(desk.asked).toEqual([transaction])
  })

  test('no node reached: it is queued', async () => {
    const desk = new FakeDesk()
    desk.answer = () => found(submission({ nodesReached: 0 }))
    for (const action of ['submit_transaction', 'submit_purchase']) {
      expect(await ask({ action, body: {} }, desk)).toMatchObject({ status: 'queued', nodes_reached: 0 })
    }
  })

  test('a purchase: submitted, with the transaction that was made of it', async () => {
    expect(await ask({ action: 'submit_purchase', body: { tx_id: 't1' }, request_id: 'r' })).toEqual({
      status: 'submitted',
      nodes_reached: 2,
      total_nodes: 3,
      message: '2 of 3 nodes took it',
      transaction: { ...submission().transaction },
      tx_hash: 'ab'.repeat(32),
      request_id: 'r',
    })
  })

  test('what the desk declines is failed, with its code', async () => {
    const desk = new FakeDesk()
    desk.answer = () => decline('conflict', 'tx_id: there is another purchase of this tx_id')
    expect(await ask({ action: 'submit_purchase', body: {} }, desk)).toEqual({
      status: 'failed',
      code: 'conflict',
      message: 'tx_id: there is another purchase of this tx_id',
    })
  })
})

describe('transaction_status', () => {
  test('by hash and by tx_id, with and without a block', async () => {
    const desk = new FakeDesk()
    expect(await ask({ action: 'transaction_status', tx_id: 'order-1' }, desk)).toEqual({
      status: 'unknown',
      tx_hash: null,
      tx_id: 'order-1',
      block_index: null,
      confirmations: 0,
    })
    const txHash = 'ef'.repeat(32)
    desk.what = { status: 'included', txHash, blockIndex: 7, confirmations: 3 }
    expect(await ask({ action: 'transaction_status', tx_hash: txHash }, desk)).toEqual({
      status: 'included',
      tx_hash: txHash,
      block_index: 7,
      confirmations: 3,
    })
    desk.what = {
      status: 'orphaned',
      txHash,
      blockIndex: undefined,
      confirmations: 0,
      code: 'not-owner',
      message: 'no',
    }
    expect(await ask({ action: 'transaction_status', tx_hash: txHash }, desk)).toMatchObject({
      code: 'not-owner',
      message: 'no',
    })
    expect(desk.asked).toEqual([{ txId: 'order-1' }, { txHash }, { txHash }])
  })
})

describe('faults of our own', () => {
  test('what the operator can mend has its code; anything else is internal, and logged', async () => {
    const logged: unknown[] = []
    const log = { ...silentLog, error: (_message: string, fields: unknown) => void logged.push(fields) }
    const desk = new FakeDesk()
    desk.answer = () => {
      throw new AurexError('storage-full', 'the disk is full')
    }
    const request = { action: 'submit_purchase', body: {}, request_id: 5 }
    expect(await ask(request, desk, { log })).toMatchObject({ status: 'failed', code: 'storage-full', request_id: 5 })
    desk.answer = () => {
      throw new TypeError('secret detail')
    }
    const answer = await ask(request, desk, { log })
    expect(answer).toMatchObject({ status: 'failed', code: 'internal' })
    expect(JSON.stringify(answer)).not.toContain('secret')
    expect(logged).toHaveLength(2)
  })
})

test('requests are counted by action and outcome, in words of ours alone', async () => {
  const actions = makeActions(new FakeDesk())
  for (const body of [
    { action: 'health' },
    { action: 'health' },
    { action: 'made-up' },
    { type: 'block_orphaned' },
    7,
  ]) {
    await actions.answer(bytes(body))
  }
  expect(actions.tallies()).toEqual([
    { action: 'health', outcome: 'ok', count: 2 },
    { action: 'unknown', outcome: 'unknown-action', count: 1 },
    { action: 'block_orphaned', outcome: 'taken', count: 1 },
    { action: 'none', outcome: 'bad-request', count: 1 },
  ])
})
