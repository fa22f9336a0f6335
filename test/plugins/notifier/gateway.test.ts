// What a gateway is told, by a small one of our own on a real socket: it keeps what it takes, and fails as it is told to.
import { afterEach, describe, expect, test } from 'bun:test'
import { createServer, type Socket } from 'node:net'
import { readConfirmation, type JsonObject, type Transaction } from '../../../core/index.ts'
import { idOf, someTransaction, type ChainWorld } from '../../support/chainworld.ts'
import { makeKey } from '../../support/blocks.ts'
import { eventually } from '../../support/eventually.ts'
import { extend, inShort, metric, notify, worldOf, type Notifying } from './world.ts'

const releases: (() => unknown)[] = []
afterEach(async () => {
  for (const release of releases.splice(0).toReversed()) await release()
})

type Behaviour = (socket: Socket, message: JsonObject, taken: JsonObject[]) => void

const answer = (socket: Socket, message: object | string, pieces = false): void => {
  const body = Buffer.from(typeof message === 'string' ? message : JSON.stringify(message))
  const frame = Buffer.concat([Buffer.from([body.length >> 8, body.length & 0xff]), body])
  if (!pieces) return void socket.write(frame)
  for (const byte of frame) socket.write(Buffer.from([byte]))
}

const health = { status: 'ok', service: 'gateway_server', chain_id: 'x'.repeat(64) }
const proper: Behaviour = (socket, message, taken) => {
  if (message['action'] === 'health') answer(socket, health)
  else taken.push(message)
}

async function fakeGateway(behaviour: () => Behaviour) {
  const taken: JsonObject[] = []
  let connections = 0
  const server = createServer((socket) => {
    connections++
    let held: Buffer = Buffer.alloc(0)
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => {
      held = Buffer.concat([held, bytes])
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE()) {
        const end = 2 + held.readUInt16BE()
        const message = JSON.parse(held.subarray(2, end).toString()) as JsonObject
        held = held.subarray(end)
        behaviour()(socket, message, taken)
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  releases.push(() => server.close())
  const { port } = server.address() as { port: number }
  return { taken, connections: () => connections, target: `gateway://127.0.0.1:${port}` }
}

const opened = async (blocks: number): Promise<ChainWorld> => {
  const world = await worldOf(blocks)
  releases.push(() => world.dispose())
  return world
}
const notifying = async (world: ChainWorld, target: string, config: object = {}): Promise<Notifying> => {
  const running = await notify(world, { targets: [target], ...config })
  releases.push(() => running.stop())
  return running
}
const deliveries = (running: Notifying, target: string) => metric(running, 'notifier_deliveries_total', target)
const failures = (running: Notifying, target: string) => metric(running, 'notifier_failures_total', target) ?? 0

describe('a gateway is told', () => {
  test('threats row 26: each confirmation on a connection of its own, signed by this node; the answer to health says that it was taken', async () => {
    const world = await opened(3)
    const gateway = await fakeGateway(() => (socket, message, taken) => {
      if (message['action'] === 'health') answer(socket, health, true)
      else taken.push(message)
    })
    const running = await notifying(world, gateway.target)
    await eventually(() => deliveries(running, gateway.target) === 3, 'all is delivered')
    expect(gateway.taken.map(inShort)).toEqual(['confirmed 1', 'confirmed 2', 'confirmed 3'])
    expect(gateway.connections()).toBe(3)
    for (const message of gateway.taken) {
      expect(readConfirmation(message)).toMatchObject({ ok: true, value: { signer: { address: makeKey(1).address } } })
    }
  })

  const faults: [string, Behaviour, string][] = [
    [
      'refuses it, and answers health all the same',
      (socket, message) =>
        answer(
          socket,
          message['action'] === 'health' ? health : { status: 'failed', code: 'unknown-signer', message: 'who?' },
        ),
      'refused it: unknown-signer: who?',
    ],
    ['closes without an answer', (socket) => void socket.end(), 'closed without an answer'],
    [
      'dies in the middle of its answer',
      (socket) => void (socket.write(Buffer.from([0, 40, 123])), socket.end()),
      'closed without an answer',
    ],
    ['resets', (socket) => void socket.resetAndDestroy(), 'broke the connection'],
    ['answers with something else', (socket) => answer(socket, '<html>'), 'no answer of a gateway'],
    ['answers with an empty frame', (socket) => answer(socket, ''), 'no answer of a gateway'],
    ['says nothing', () => {}, 'said nothing for 300 ms'],
  ]
  for (const [what, fault, said] of faults) {
    test(`again, where it ${what}`, async () => {
      const world = await opened(2)
      let behaviour = fault
      const gateway = await fakeGateway(() => behaviour)
      const running = await notifying(world, gateway.target, { answer_timeout: 0.3 })
      await eventually(() => failures(running, gateway.target) >= 2, 'it failed twice')
      expect(running.lines.map(({ message }) => message)).toEqual([expect.stringContaining(said) as unknown as string])
      expect(deliveries(running, gateway.target)).toBe(0)
      behaviour = proper
      await eventually(() => deliveries(running, gateway.target) === 2, 'all is delivered')
      expect(gateway.taken.map(inShort)).toEqual(['confirmed 1', 'confirmed 2'])
    })
  }

  test('a block that is too long for a frame by the hashes of its transactions, and a longer one by their number', async () => {
    const world = await opened(0)
    const padded = Array.from({ length: 300 }, (_, n) => someTransaction(makeKey(n % 50), { text: 'x'.repeat(200), n }))
    const many = Array.from({ length: 1_200 }, (_, n) => someTransaction(makeKey(n % 50), { n }))
    const blocks: (readonly Transaction[])[] = [[someTransaction()], padded, many]
    for (const transactions of blocks) await extend(world, { transactions })
    const gateway = await fakeGateway(() => proper)
    const running = await notifying(world, gateway.target)
    await eventually(() => deliveries(running, gateway.target) === 3, 'all is delivered')
    const [short, long, longest] = gateway.taken as [JsonObject, JsonObject, JsonObject]
    expect(short['transactions']).toHaveLength(1)
    expect(long).toMatchObject({ transactions_count: 300, transaction_hashes: padded.map(idOf) })
    expect(longest).toMatchObject({ transactions_count: 1_200 })
    expect([long['transactions'], longest['transactions'], longest['transaction_hashes']]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    for (const message of gateway.taken) expect(readConfirmation(message)).toMatchObject({ ok: true })
  })
})
