// Connections between nodes on real sockets.
import { afterEach, expect, test } from 'bun:test'
import { bunRuntime } from '../../../core/bun.ts'
import { until } from './bench.ts'
import { startTransport, Visitor, type TransportOptions } from './transport.ts'

const MiB = 1024 * 1024
const faults: unknown[] = []
const runtime = bunRuntime({ onFault: (error) => faults.push(error) })
const stops: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
  expect(faults.splice(0)).toEqual([])
})

async function start(options: TransportOptions = {}) {
  const node = await startTransport(runtime, options)
  stops.push(node.stop)
  return node
}

async function peers() {
  const [a, b] = [await start(), await start()]
  let near: Visitor | undefined
  await a.transport.dial!('127.0.0.1', b.port, (connection) => (near = new Visitor(connection)))
  await until(() => b.visitors.length === 1)
  const far = b.visitors[0]!
  near!.connection.promote()
  far.connection.promote()
  return { a, b, near: near!, far }
}

test('threats row 21: two peers with 15 MiB for each other, both reading, get all of it', async () => {
  const { near, far } = await peers()
  for (let i = 0; i < 15; i++) {
    near.connection.send({ type: 'bulk', i, text: 'x'.repeat(MiB) })
    far.connection.send({ type: 'bulk', i, text: 'x'.repeat(MiB) })
  }
  await until(() => near.messages.length === 15 && far.messages.length === 15)
  expect(near.messages.map(({ i }) => i)).toEqual([...Array(15).keys()])
})

test('who accepts throws: nothing stays open on either side', async () => {
  const [a, b] = [await start(), await start()]
  const dialled = a.transport.dial!('127.0.0.1', b.port, () => {
    throw new Error('thrown by who accepts')
  })
  expect(await dialled.catch((error: Error) => error.message)).toBe('thrown by who accepts')
  await until(() => b.visitors.length === 1 && b.visitors[0]!.isClosed)
})

test('nobody listens: connect-failed', async () => {
  const [a, b] = [await start(), await start()]
  await b.stop()
  const dialled = a.transport.dial!('127.0.0.1', b.port, (connection) => new Visitor(connection))
  expect(await dialled.catch((error: { code: string }) => error.code)).toBe('connect-failed')
})

test('at the end the other side gets what was sent last, and is closed', async () => {
  const { a, near, far } = await peers()
  near.connection.send({ type: 'last words' })
  await a.stop()
  await until(() => far.isClosed)
  expect(far.messages).toEqual([{ type: 'last words' }])
})

test.each(['0.0.0.0', '::'])('%s is what a node that listens there tells', async (host) => {
  const node = await start({ host })
  expect(node.transport.address()).toEqual({ host, port: node.port })
  const other = await start()
  await other.transport.dial!('127.0.0.1', node.port, (connection) => new Visitor(connection))
  await until(() => node.visitors.length === 1)
  expect(node.visitors[0]!.connection.remoteHost).toBe('127.0.0.1')
})
