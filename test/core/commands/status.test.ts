import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { JsonObject } from '../../../core/chain/json.ts'
import { command } from '../../../core/commands/status.ts'
import { FakeGateway } from './fakegateway.ts'
import { FakeNode } from './fakenode.ts'
import { failure, hastyRuntime, testIo, type TestIo } from './testio.ts'

let io: TestIo
let node: FakeNode
beforeEach(async () => {
  io = testIo()
  node = await FakeNode.start(hastyRuntime())
})
afterEach(() => {
  node.stop()
  io.remove()
})

const hash = 'a'.repeat(64)
const block = { block_index: 7, block_hash: 'b'.repeat(64), confirmations: 3 }
const status = (...argv: string[]) => command.run([...argv, '--node', node.address], io)

describe('of a transaction', () => {
  test.each<[JsonObject, string[], number, string]>([
    [{ status: 'pending' }, [], 75, 'pending   it is kept and waits for a block\n'],
    [{ status: 'included', ...block }, [], 0, 'included  it is in block 7, 3 confirmations\n'],
    [{ status: 'included', ...block }, ['--confirmations', '3'], 0, 'included  it is in block 7, 3 confirmations\n'],
    [{ status: 'included', ...block }, ['--confirmations', '4'], 75, 'it is in block 7, 3 confirmations of 4\n'],
    [{ status: 'final', ...block }, ['--confirmations', '4'], 0, 'final     it is in block 7, which can no longer be'],
    [{ status: 'orphaned' }, [], 75, 'orphaned  its block was undone; it waits for another\n'],
    [{ status: 'orphaned', code: 'conflict', error: 'sold' }, [], 1, 'not be recorded again: conflict: sold\n'],
    [{ status: 'unknown' }, [], 1, 'unknown   nobody there has had it'],
    [{ status: 'unknown', code: 'conflict', error: '\u001b[1m' }, [], 1, 'be recorded: conflict: \\u{1b}[1m\n'],
  ])('%j with %j: exit code %d', async (answer, flags, code, text) => {
    node.fates.set(hash, answer)
    expect(await status(hash, ...flags)).toBe(code)
    expect(io.stdout).toContain(text)
    expect(io.stdout).toContain(`id        ${hash}\n`)
    io.stdout = ''
    expect(await status(hash, ...flags, '--json')).toBe(code)
    expect(JSON.parse(io.stdout)).toEqual({ tx_hash: hash, ...answer })
  })

  test('--wait waits for its block, for as many as are enough, and for no longer', async () => {
    const told: JsonObject[] = [
      { status: 'unknown' },
      { status: 'pending' },
      { status: 'orphaned' },
      { status: 'included', ...block, confirmations: 1 },
      { status: 'included', ...block, confirmations: 2 },
      { status: 'included', ...block, confirmations: 9 },
    ]
    node.before = ({ type }) => {
      if (type === 'transaction_status') node.fates.set(hash, told.shift()!)
      return true
    }
    expect(await status(hash, '--wait', '--confirmations', '2')).toBe(0)
    expect(told).toHaveLength(1)
    expect(io.stdout).toContain('it is in block 7, 2 confirmations\n')
  })

  test('--wait ends at a refusal, and gives up what nobody knows', async () => {
    node.fates.set(hash, { status: 'unknown', code: 'conflict', error: 'sold' })
    expect(await status(hash, '--wait')).toBe(1)
    node.fates.set(hash, { status: 'unknown' })
    expect(await status(hash, '--wait', '--timeout', '0')).toBe(1)
  })

  test('--wait outlives a connection that is lost; INT ends it', async () => {
    let asked = 0
    node.loses = ({ type }) => type === 'transaction_status' && ++asked === 1
    node.before = ({ type }) => {
      if (type === 'transaction_status')
        node.fates.set(hash, asked === 0 ? { status: 'pending' } : { status: 'included', ...block })
      return true
    }
    expect(await status(hash, '--wait')).toBe(0)
    expect(node.connections).toBe(2)
    node.before = () => {
      node.fates.set(hash, { status: 'pending' })
      io.controller.abort()
      return true
    }
    expect(await failure(status(hash, '--wait'))).toMatchObject({ code: 'interrupted', exit: 75 })
  })

  test.each([
    [['abc'], 'bad-value', 'expected a transaction'],
    [[hash.toUpperCase()], 'bad-value', '64 lowercase hex digits'],
    [['order-7'], 'bad-value', '--gateway host:port'],
    [[hash, 'more'], 'unexpected-argument', 'more'],
    [[hash, '--gateway', '127.0.0.1'], 'bad-value', 'not both'],
    [['--wait'], 'missing-argument', '--wait'],
    [['--confirmations', '2'], 'missing-argument', '--confirmations'],
    [[hash, '--confirmations', '0'], 'bad-value', '--confirmations'],
    [[hash, '--wiat'], 'unknown-flag', '--wait'],
  ])('%j is a usage error, and nothing is sent', async (argv, code, text) => {
    const failed = await failure(status(...argv))
    expect(failed).toMatchObject({ code, exit: 64 })
    expect(failed.message).toContain(text)
    expect(node.connections).toBe(0)
  })

  test('where no node is, exit code 69 and the address', async () => {
    node.stop()
    expect(await failure(status(hash))).toMatchObject({ code: 'node-unreachable', exit: 69 })
    expect(await failure(status())).toMatchObject({ code: 'node-unreachable', exit: 69 })
  })
})

describe('of a node', () => {
  const chain = { chain_id: hash, height: 12, head: block.block_hash, pending: 3, peers: 2, syncing: true }

  test('tells chain, height, peers, health and an aligned table of metrics', async () => {
    node.said = {
      ...chain,
      health: [
        { name: 'notifier:targets', status: 'warn', output: 'ndjson://127.0.0.1:1 is down' },
        { name: 'disk', status: 'pass' },
      ],
      metrics: [
        { name: 'notifier_backlog_blocks', labels: { target: 'ndjson://127.0.0.1:1' }, value: 4 },
        { name: 'up', labels: {}, value: 1 },
      ],
    }
    expect(await status()).toBe(0)
    expect(io.stdout).toBe(`node     fake, full, aurex 0.0.0
node id  fake
chain    ${hash}
height   12
head     ${block.block_hash}
pending  3
peers    2
syncing  yes

health
  warn  notifier:targets: ndjson://127.0.0.1:1 is down
  pass  disk

metrics
  notifier_backlog_blocks{target="ndjson://127.0.0.1:1"}  4
  up                                                      1
`)
  })

  test('that has no chain says so; one with a part that failed is exit code 1', async () => {
    node.said = { node_type: 'gateway', health: [{ name: 'desk', status: 'fail', output: 'no \u001b room' }] }
    expect(await status()).toBe(1)
    expect(io.stdout).toMatch(/^chain {4}none$/m)
    expect(io.stdout).not.toContain('height')
    expect(io.stdout).toContain('fail  desk: no \\u{1b} room\n')
  })

  test('--json is what the node said', async () => {
    node.said = chain
    await status('--json')
    expect(JSON.parse(io.stdout)).toMatchObject({ type: 'node_status', ...chain })
  })
})

describe('at a gateway', () => {
  let gateway: FakeGateway
  beforeEach(async () => {
    gateway = await FakeGateway.start(hastyRuntime())
  })
  afterEach(() => gateway.stop())
  const asked = (...argv: string[]) => command.run([...argv, '--gateway', gateway.address], io)

  test('asks by hash or by tx_id', async () => {
    gateway.answer = { status: 'included', block_index: 7, confirmations: 3, tx_hash: hash }
    expect(await asked(hash)).toBe(0)
    expect(await asked('order-7', '--json')).toBe(0)
    expect(gateway.received).toEqual([
      { action: 'transaction_status', tx_hash: hash },
      { action: 'transaction_status', tx_id: 'order-7' },
    ])
    expect(JSON.parse(io.stdout.split('\n').at(-2)!)).toEqual({ tx_id: 'order-7', ...gateway.answer })
  })

  test('tells a refusal, and what the gateway itself refuses', async () => {
    gateway.answer = { status: 'unknown', code: 'conflict', message: 'sold', confirmations: 0 }
    expect(await asked('order-7')).toBe(1)
    expect(io.stdout).toContain('refused   it will not be recorded: conflict: sold\n')
    gateway.answer = { status: 'failed', code: 'bad-request', message: 'tx_id: too long' }
    const failed = await failure(asked('order-7'))
    expect(failed).toMatchObject({ code: 'gateway-refused', exit: 69 })
    expect(failed.message).toContain('bad-request: tx_id: too long')
    gateway.answer = { status: 'maybe' }
    expect(await failure(asked('order-7'))).toMatchObject({ code: 'bad-answer', exit: 69 })
  })

  test('--wait asks again, also where the connection breaks', async () => {
    let asks = 0
    gateway.before = () => {
      gateway.answer = ++asks < 3 ? { status: 'pending' } : { status: 'included', block_index: 1, confirmations: 1 }
      return asks !== 2 // the second is not answered: the connection ends
    }
    expect(await asked('order-7', '--wait')).toBe(0)
    expect(asks).toBe(3)
  })

  test('while the gateway reaches no node, that is no word about the transaction: --wait asks again, otherwise 69', async () => {
    gateway.answer = { status: 'failed', code: 'unreachable', message: 'no node answers at the moment' }
    expect(await failure(asked('order-7'))).toMatchObject({ code: 'nodes-unreachable', exit: 69 })
    let asks = 0
    gateway.before = () => {
      if (++asks === 3) gateway.answer = { status: 'included', block_index: 1, confirmations: 1 }
      return true
    }
    expect(await asked('order-7', '--wait')).toBe(0)
    expect(asks).toBe(3)
  })

  test('its own state is told line by line', async () => {
    gateway.answer = { status: 'ok', service: 'gateway_server', queued: 2 }
    expect(await asked()).toBe(0)
    expect(gateway.received).toEqual([{ action: 'health' }])
    expect(io.stdout).toBe('status   ok\nservice  gateway_server\nqueued   2\n')
  })

  test('where none listens, or something else does', async () => {
    gateway.answer = undefined
    expect(await failure(asked('order-7'))).toMatchObject({ code: 'connection-lost', exit: 69 })
    const { address } = gateway
    gateway.stop()
    const failed = await failure(command.run(['order-7', '--gateway', address], io))
    expect(failed).toMatchObject({ code: 'gateway-unreachable', exit: 69 })
    expect(failed.message).toContain(address)
  })
})
