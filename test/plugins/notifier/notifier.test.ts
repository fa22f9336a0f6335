import { afterEach, describe, expect, test } from 'bun:test'
import { bunRuntime } from '../../../core/bun.ts'
import { AurexError, parseJson, readConfirmation, utf8Bytes, type JsonObject } from '../../../core/index.ts'
import { blockOn, branchOn, someTransaction } from '../../support/chainworld.ts'
import { makeKey } from '../../support/blocks.ts'
import { eventually } from '../../support/eventually.ts'
import { extend, freePort, metric, notify, record, released, shorts, type Listener } from './world.ts'

const { opened, listening, notifying, releasing } = released(afterEach)
const at = (...ports: number[]): { targets: string[] } => ({
  targets: ports.map((port) => `ndjson://127.0.0.1:${port}`),
})

describe('what is told', () => {
  test('every block from the first on, in order, with its transactions, signed by this node', async () => {
    const world = await opened(2)
    const transactions = [someTransaction(makeKey(3), { text: 'a line\nand "quotes"  ' }), someTransaction(makeKey(4))]
    const block = await extend(world, { transactions })
    const listener = await listening()
    await notifying(world, at(listener.port))
    await eventually(() => listener.heard.length === 3, 'three blocks are told')
    expect(shorts(listener)).toEqual(['confirmed 1', 'confirmed 2', 'confirmed 3'])
    const [last] = listener.heard.slice(-1) as [JsonObject]
    const { signature, public_key_pem, ...facts } = last
    expect(facts).toEqual({
      type: 'block_confirmation',
      block_index: 3,
      block_hash: block.current_hash,
      miner_id: block.miner_id,
      node_id: makeKey(1).nodeId,
      timestamp: block.timestamp,
      chain_id: world.genesis.rules.chainId,
      final: false,
      id: `${makeKey(1).nodeId}:3:applied:${block.current_hash.slice(0, 16)}`,
      sequence: 3,
      transactions: block.transactions.map((transaction, place) => ({
        ...transaction,
        tx_hash: world.storage.transactionsAt(3)[place]!.hash,
      })),
    } as never)
    expect(readConfirmation(last)).toMatchObject({ ok: true, value: { signer: { address: makeKey(1).address } } })
    expect(listener.raw.every((text) => text.indexOf('\n') === text.length - 1)).toBe(true)
    expect([typeof signature, public_key_pem]).toEqual(['string', makeKey(1).pem])
  })

  test('a new block at once when it is recorded, not a second later', async () => {
    const world = await opened(0)
    const listener = await listening()
    const running = await notifying(world, at(listener.port))
    await extend(world)
    await eventually(() => listener.heard.length === 1, 'it looks by itself')
    // Somewhere in a second's pause now.
    const began = performance.now()
    for (let blocks = 2; blocks <= 6; blocks++) {
      await extend(world)
      running.look()
      await eventually(() => listener.heard.length === blocks, 'it was told')
    }
    expect(performance.now() - began).toBeLessThan(2_500)
  })

  test('so many blocks deep, and what was undone before that is never told', async () => {
    const world = await opened(3)
    const listener = await listening()
    const running = await notifying(world, { ...at(listener.port), confirmations: 3 })
    await eventually(() => shorts(listener).includes('confirmed 1'), 'the first is three deep')
    const fork = world.chain.block(world.storage.headerAt(1)!.header.current_hash)!
    for (const block of branchOn(fork, 3, 'b')) await record(world, block)
    await extend(world)
    running.look()
    await eventually(() => shorts(listener).includes('confirmed 3'), 'the third is three deep')
    expect(shorts(listener)).toEqual(['confirmed 1', 'confirmed 2', 'confirmed 3'])
    expect(listener.heard.map(({ block_hash }) => block_hash)).toEqual(
      [1, 2, 3].map((height) => world.storage.headerAt(height)!.header.current_hash),
    )
  })

  test('a block that was undone after it was told, as orphaned, before what takes its place', async () => {
    const world = await opened(3)
    const undone = world.storage.headerAt(3)!.header
    const listener = await listening()
    const running = await notifying(world, at(listener.port))
    await eventually(() => listener.heard.length === 3, 'three blocks are told')
    const fork = world.chain.block(world.storage.headerAt(1)!.header.current_hash)!
    for (const block of branchOn(fork, 3, 'b')) await record(world, block)
    running.look()
    await eventually(() => listener.heard.length === 8, 'the other branch is told')
    expect(shorts(listener).slice(3)).toEqual(['orphaned 3', 'orphaned 2', 'confirmed 2', 'confirmed 3', 'confirmed 4'])
    expect(listener.heard[3]).toMatchObject({
      block_hash: undone.current_hash,
      timestamp: undone.timestamp,
      final: false,
    })
    expect(listener.heard[3]).not.toHaveProperty('transactions')
    const sequences = listener.heard.map(({ sequence }) => Number(sequence))
    expect(sequences).toEqual([...new Set(sequences)].toSorted((a, b) => a - b))
  })

  test('from now on only, where that is asked for, and whoever comes later gets everything from the start', async () => {
    const world = await opened(3)
    const [first, second] = [await listening(), await listening()]
    const running = await notify(world, { ...at(first.port), from: 'now' })
    await extend(world)
    running.look()
    await eventually(() => first.heard.length === 1, 'the next is told')
    await running.stop()
    await notifying(world, at(first.port, second.port))
    await eventually(() => second.heard.length === 4, 'the newcomer is told')
    expect([shorts(first), shorts(second)]).toEqual([
      ['confirmed 4'],
      ['confirmed 1', 'confirmed 2', 'confirmed 3', 'confirmed 4'],
    ])
  })

  test('everything to each of two URLs, though one program listens behind both: its ids show the doubles', async () => {
    const world = await opened(3)
    const listener = await listening()
    await notifying(world, { targets: [`ndjson://127.0.0.1:${listener.port}`, `ndjson://localhost:${listener.port}`] })
    await eventually(() => listener.heard.length === 6, 'both are told')
    expect(new Set(listener.heard.map(({ id }) => id)).size).toBe(3)
    expect(new Set(listener.raw).size).toBe(3)
  })
})

describe('whether it is heard', () => {
  test('threats row 27: the listener is down, the notifier ends and starts again meanwhile: all arrives in order', async () => {
    const world = await opened(3)
    const port = await freePort()
    const first = await notify(world, at(port))
    await eventually(() => first.lines.some(({ level }) => level === 'warn'), 'it cannot be told')
    await first.stop()
    await extend(world)
    const second = await notifying(world, at(port))
    await extend(world)
    await eventually(() => second.lines.length > 0, 'it still cannot')
    const listener = await listening(port)
    await eventually(() => listener.heard.length === 5, 'all is told')
    expect(shorts(listener)).toEqual([1, 2, 3, 4, 5].map((index) => `confirmed ${index}`))
  })

  test('what was taken is not told again after a restart, and what was not has the same bytes', async () => {
    const world = await opened(3)
    let takes = 2
    const listener: Listener = await listening(0, () => listener.heard.length < takes)
    const first = await notify(world, at(listener.port))
    await eventually(() => listener.heard.length === 2 && first.lines.length > 0, 'two are taken, the third is not')
    await first.stop()
    takes = 1_000
    await notifying(world, at(listener.port))
    await eventually(() => listener.heard.length >= 3, 'the third is taken')
    expect(shorts(listener)).toEqual(['confirmed 1', 'confirmed 2', 'confirmed 3'])
    // All again to somebody else, from the same ledger: byte by byte what the first one got.
    const another = await listening()
    await notifying(world, at(another.port))
    await eventually(() => another.raw.length === 3, 'somebody else is told')
    expect(another.raw).toEqual(listener.raw)
  })

  test('one target that is down keeps no other waiting', async () => {
    const world = await opened(4)
    const listener = await listening()
    const down = await freePort()
    const running = await notifying(world, at(down, listener.port))
    await eventually(() => listener.heard.length === 4, 'the other one is told')
    expect(metric(running, 'notifier_backlog_blocks', `ndjson://127.0.0.1:${down}`)).toBe(4)
    const deliveries = () => metric(running, 'notifier_deliveries_total', `ndjson://127.0.0.1:${listener.port}`)
    await eventually(() => deliveries() === 4, 'it knows that it was heard')
    expect(metric(running, 'notifier_backlog_blocks', `ndjson://127.0.0.1:${listener.port}`)).toBe(0)
    expect(metric(running, 'notifier_failures_total', `ndjson://127.0.0.1:${listener.port}`)).toBe(0)
    expect(metric(running, 'notifier_oldest_seconds', `ndjson://127.0.0.1:${down}`)).toBeGreaterThan(0)
    expect(metric(running, 'notifier_oldest_seconds', `ndjson://127.0.0.1:${listener.port}`)).toBe(0)
  })

  test('one line in the log when it begins to fail, one when it works again, however often it was tried', async () => {
    const world = await opened(2)
    const port = await freePort()
    const name = `ndjson://127.0.0.1:${port}`
    const running = await notifying(world, at(port))
    await eventually(() => (metric(running, 'notifier_failures_total', name) ?? 0) >= 5, 'it was tried five times')
    const listener = await listening(port)
    await eventually(() => listener.heard.length === 2, 'it is told')
    expect(running.lines.map(({ level, message }) => [level, message])).toEqual([
      [
        'warn',
        `${name} cannot be told (nothing is lost, it is tried again until it works): ` +
          `cannot connect to 127.0.0.1 port ${port}: Failed to connect; is anything listening there?`,
      ],
      ['info', `${name} takes what it is told again`],
    ])
    expect(running.lines.map(({ fields }) => fields?.['waiting'])).toEqual([2, 1])
  })

  test('a ledger that cannot be written for a while costs doubles, and nothing is lost', async () => {
    const world = await opened(3)
    let full = false
    const records = (owner: string) => {
      const real = world.storage.records(owner)
      const write: typeof real.write = (changes) => {
        if (full) throw new AurexError('storage-full', 'no room')
        real.write(changes)
      }
      return new Proxy(real, { get: (target, name) => (name === 'write' ? write : bound(target, name)) })
    }
    const storage = new Proxy(world.storage, {
      get: (target, name) => (name === 'records' ? records : bound(target, name)),
    })
    let took = 0
    const listener = await listening(0, () => {
      full = ++took >= 3 && took < 12
      return true
    })
    const running = await notifying({ storage, chain: world.chain }, at(listener.port))
    const freeing = setInterval(() => void (full = full && running.lines.length === 0), 20)
    await eventually(() => shorts(listener).includes('confirmed 3'), 'all is told')
    clearInterval(freeing)
    expect([...new Set(shorts(listener))]).toEqual(['confirmed 1', 'confirmed 2', 'confirmed 3'])
    expect(listener.heard.length).toBeGreaterThan(3)
    expect(new Set(listener.raw).size).toBe(3)
    expect(running.lines[0]?.message).toContain('no room')
  })

  test('a target that fails for a minute is a warning of the health check', async () => {
    const world = await opened(1)
    const port = await freePort()
    const real = bunRuntime()
    let offset = 0
    const runtime = { ...real, clock: { ...real.clock, monotonic: () => real.clock.monotonic() + offset } }
    const running = await notifying({ storage: world.storage, chain: world.chain, runtime }, at(port))
    const health = () =>
      running.contributed
        .all('health')
        .find(({ name }) => name === 'notifier:targets')!
        .check()
    await eventually(() => running.lines.length > 0, 'it fails')
    expect(health()).toEqual({ status: 'pass' })
    offset = 60_000
    expect(health()).toMatchObject({ status: 'warn', output: expect.stringContaining(`127.0.0.1:${port}: 1 waiting`) })
    const listener = await listening(port)
    await eventually(() => listener.heard.length === 1, 'it is told')
    await eventually(() => health().status === 'pass', 'it is well again')
  })

  test('a target that is named no more is said to be, and goes on where it was when it comes back', async () => {
    const world = await opened(2)
    const [first, second] = [await listening(), await listening()]
    const one = await notify(world, at(first.port))
    await eventually(() => first.heard.length === 2, 'the first is told')
    await one.stop()
    const two = await notify(world, at(second.port))
    expect(two.lines).toContainEqual({
      level: 'info',
      message: 'these were told before and are no targets now; named again, they go on where they were',
      fields: { targets: [`ndjson://127.0.0.1:${first.port}`] },
    })
    await extend(world)
    await eventually(() => second.heard.length === 3, 'the second is told')
    await two.stop()
    await notifying(world, at(first.port))
    await eventually(() => first.heard.length === 3, 'the first goes on')
    expect(shorts(first)).toEqual(['confirmed 1', 'confirmed 2', 'confirmed 3'])
  })
})

describe('its end', () => {
  test('comes within a second, though a listener reads and never answers, and a delivery waits', async () => {
    const world = await opened(1)
    let connections = 0
    const silent = await bunRuntime().listen('127.0.0.1', 0, { open: () => void connections++, data: () => {} })
    releasing(() => silent.stop())
    const down = await freePort()
    const running = await notify(world, { ...at(silent.port, down), answer_timeout: 60, retry_first: 60 })
    await eventually(() => connections === 1 && running.lines.length === 1, 'one is under way, one waits')
    const began = performance.now()
    await running.stop()
    expect(performance.now() - began).toBeLessThan(1_500)
    // It was not heard, so it is told again.
    const listener = await listening(down)
    await notifying(world, at(down))
    await eventually(() => listener.heard.length === 1, 'it is told')
  })
})

describe('the content', () => {
  test('of a block that was undone and dropped: what was noted of it, without transactions', async () => {
    const world = await opened(1)
    const lost = await extend(world, { transactions: [someTransaction()], key: makeKey(7) })
    const port = await freePort()
    const running = await notify(world, at(port))
    for (const block of branchOn(world.chain.block(world.storage.headerAt(1)!.header.current_hash)!, 2, 'b'))
      await record(world, block)
    await eventually(() => world.storage.records('notifier').count('undone/') === 1, 'it is noted')
    await running.stop()
    world.storage.pruneSide(1_000, 0, 0)
    expect(world.storage.header(lost.current_hash)).toBeUndefined()
    const listener = await listening(port)
    await notifying(world, at(port))
    await eventually(() => listener.heard.length === 5, 'all is told')
    expect(shorts(listener)).toEqual(['confirmed 1', 'confirmed 2', 'orphaned 2', 'confirmed 2', 'confirmed 3'])
    for (const message of listener.heard.slice(1, 3)) {
      expect(message).toMatchObject({ miner_id: makeKey(7).nodeId, timestamp: lost.timestamp })
      expect(message).not.toHaveProperty('transactions')
      expect(readConfirmation(message)).toMatchObject({ ok: true })
    }
  })

  test('of a block that was dropped before there was a notifier: well-formed, with what is known', async () => {
    const world = await opened(1)
    await extend(world, { key: makeKey(7) })
    for (const block of branchOn(world.chain.block(world.storage.headerAt(1)!.header.current_hash)!, 2, 'b'))
      await record(world, block)
    world.storage.pruneSide(1_000, 0, 0)
    const listener = await listening()
    await notifying(world, at(listener.port))
    await eventually(() => listener.heard.length === 5, 'all is told')
    expect(listener.heard[2]).toMatchObject({ miner_id: '', timestamp: '1970-01-01T00:00:00.000Z', block_index: 2 })
    for (const message of listener.heard) expect(readConfirmation(message)).toMatchObject({ ok: true })
  })

  test('of what others report, on a node without a chain, is passed on as it came', async () => {
    const world = await opened(2)
    const { storage } = world
    const body = '{"type": "block_confirmation","block_index":7,"id":"theirs","x":1.50}'
    storage.report([{ index: 7, hash: 'a'.repeat(64), body }], 'gateway', [])
    storage.report([{ index: 8, hash: 'b'.repeat(64), body: '{\n"block_index":8\n}' }], 'gateway', [])
    const listener = await listening()
    await notifying({ storage }, at(listener.port))
    await eventually(() => listener.heard.length === 2, 'both are told')
    expect(listener.raw).toEqual([`${body}\n`, '{"block_index":8}\n'])
    // And on a node with one it is nothing: the gateway of the same node tells of other nodes' chains.
    const own = await listening()
    await notifying(world, at(own.port))
    await eventually(() => own.heard.length === 2, 'its own are told')
    expect(shorts(own)).toEqual(['confirmed 1', 'confirmed 2'])
  })

  test('of a block of megabytes arrives whole, though its listener takes its time', async () => {
    const world = await opened(0)
    const transactions = Array.from({ length: 60 }, (_, n) => someTransaction(makeKey(n), { text: 'x'.repeat(60_000) }))
    await extend(world, { transactions })
    const pieces: Uint8Array[] = []
    const slow = await bunRuntime().listen('127.0.0.1', 0, {
      data(socket, bytes) {
        pieces.push(bytes.slice())
        socket.pause()
        setTimeout(() => socket.resume(), 5)
      },
      end: (socket) => socket.end(),
    })
    releasing(() => slow.stop())
    const running = await notifying(world, at(slow.port))
    const name = `ndjson://127.0.0.1:${slow.port}`
    await eventually(() => metric(running, 'notifier_deliveries_total', name) === 1, 'it is delivered')
    const text = Buffer.concat(pieces).toString()
    expect(text.length).toBeGreaterThan(3_600_000)
    expect(readConfirmation(JSON.parse(text) as JsonObject)).toMatchObject({ ok: true })
    expect(running.lines).toEqual([])
  })

  test('is one line of JSON that everybody reads alike, whatever stands in it', async () => {
    const world = await opened(0)
    const data = { text: '\u2028\u0000\r\n"\\', 'a\nkey': ['😀', -0, 1e21] }
    await record(world, blockOn(world.genesis.block, { transactions: [someTransaction(makeKey(2), data)] }))
    const listener = await listening()
    await notifying(world, at(listener.port))
    await eventually(() => listener.raw.length === 1, 'it is told')
    const read = parseJson(utf8Bytes(listener.raw[0]!))
    expect(read).toMatchObject({ ok: true, value: { transactions: [{ data: { text: data.text } }] } })
  })
})

const bound = (target: object, name: string | symbol): unknown => {
  const value: unknown = Reflect.get(target, name, target)
  return typeof value === 'function' ? (value.bind(target) as unknown) : value
}
