// One connection in virtual time: framing, order, deadlines and bounds, each to the half second in which it is watched.
import { describe, expect, test } from 'bun:test'
import { found, frameOf, type JsonObject } from '../../../core/index.ts'
import { simRuntime, type SimOptions } from '../../sim/runtime.ts'
import { FakeDesk, FrameTalker, startServer, submission } from './serverrig.ts'

const address = '10.0.0.1'
const health = { action: 'health' }
const frame = (message: JsonObject): Uint8Array => frameOf(message)!

async function world(config: Parameters<typeof startServer>[1] = {}, sim: Partial<SimOptions> = {}) {
  const world = simRuntime({ seed: 6, latencyMilliseconds: [0, 0], ...sim })
  const rig = await world.settled(startServer(world.host(address), { host: address, ...config }))
  const connect = (from = '10.0.0.2') => world.settled(FrameTalker.connect(world.host(from), address, rig.port))
  return { ...rig, world, connect }
}

describe('framing', () => {
  test('several requests in one write, and one cut anywhere, are answered one by one', async () => {
    const { world: w, connect } = await world()
    const client = await connect()
    client.ask({ ...health, request_id: 1 }, { action: 'nothing', request_id: 2 }, { ...health, request_id: 3 })
    await w.runUntil(() => client.answers.length === 3)
    expect(client.answers.map(({ request_id }) => request_id)).toEqual([1, 2, 3])
    for (const byte of frame({ ...health, request_id: 4 })) {
      client.write([byte])
      await w.advance(1)
    }
    await w.runUntil(() => client.answers.length === 4)
    expect(client.answers[3]).toMatchObject({ status: 'ok', request_id: 4 })
  })

  test('threats row 20: a request_id as long as a body is refused, not answered with nothing', async () => {
    const { world: w, connect } = await world()
    const client = await connect()
    client.ask({ ...health, request_id: 'x'.repeat(65_490) }, health)
    await w.runUntil(() => client.answers.length === 2)
    expect(client.codes).toEqual(['bad-request', 'ok'])
  })

  test('threats row 20: a length of 0 and a body of one byte are answered with a code, and the connection goes on', async () => {
    const { world: w, connect } = await world()
    const client = await connect()
    client.write([0, 0])
    client.write([0, 1, 0x7b])
    client.ask(health)
    await w.runUntil(() => client.answers.length === 3)
    expect(client.codes).toEqual(['empty', 'bad-json', 'ok'])
  })

  test('whoever sends text without a prefix is told what was taken for one', async () => {
    const { world: w, connect } = await world()
    const [http, plain] = [await connect(), await connect()]
    http.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
    plain.write(Buffer.from('{"action":"health"}'))
    plain.finish()
    await w.advance(10_500)
    expect(http.answers[0]?.['message']).toEndWith('are here; the prefix was the text "GE": was it left out?')
    expect(plain.answers[0]?.['message']).toBe(
      'the connection ended after 17 of the 31522 bytes that the prefix promised; the prefix was the text "{\\"": was it left out?',
    )
  })

  test('threats row 20: a prefix without its body is told that it is too slow, and closed; others are served', async () => {
    const { world: w, connect, server } = await world()
    const client = await connect()
    client.write([0xff, 0xff, 0x7b])
    await w.advance(9_900)
    expect(client.answers).toEqual([])
    await w.advance(700)
    expect(client.answers).toEqual([
      {
        status: 'failed',
        code: 'too-slow',
        message: '10 s after it was begun, only 1 of the 65535 bytes that the prefix promised are here',
      },
    ])
    await w.runUntil(() => client.isClosed)
    const next = await connect()
    next.ask(health)
    await w.runUntil(() => next.answers.length === 1)
    expect(next.codes).toEqual(['ok'])
    expect([...server.cut]).toEqual([['too-slow', 1]])
  })

  test('threats row 19: one byte a second is cut by time, half a prefix too', async () => {
    const { world: w, connect } = await world()
    const [slow, half] = [await connect(), await connect()]
    half.write([0])
    for (const byte of frame({ action: 'health', pad: 'x'.repeat(30) })) {
      if (!slow.isClosed) slow.write([byte])
      await w.advance(1_000)
    }
    expect([slow.codes, half.codes]).toEqual([['too-slow'], ['too-slow']])
    expect([slow.isClosed, half.isClosed]).toEqual([true, true])
  })

  test('a body that ends too early because the client is done is told so', async () => {
    const { world: w, connect } = await world()
    const client = await connect()
    client.ask(health)
    client.write([0, 100, 0x7b])
    client.finish()
    await w.runUntil(() => client.isClosed)
    expect(client.codes).toEqual(['ok', 'short-body'])
    expect(client.answers[1]).toMatchObject({
      message: 'the connection ended after 1 of the 100 bytes that the prefix promised',
    })
  })

  test('who says nothing is disconnected after a minute, unasked and without a frame', async () => {
    const { world: w, connect } = await world()
    const client = await connect()
    client.ask(health)
    await w.advance(59_000)
    expect(client.isClosed).toBe(false)
    await w.advance(2_000)
    expect([client.isClosed, client.codes]).toEqual([true, ['ok']])
  })
})

describe('answers', () => {
  /** A desk whose submissions end when the test says so, in any order. */
  function slowDesk() {
    const desk = new FakeDesk()
    const ends: (() => void)[] = []
    desk.answer = (body) =>
      new Promise((resolve) => ends.push(() => resolve(found(submission({ message: JSON.stringify(body['n']) })))))
    return { desk, ends }
  }
  const submit = (n: number): JsonObject => ({ action: 'submit_transaction', body: { n, signature: '' } })

  test('requests are worked on at the same time, and answered in their order', async () => {
    const { desk, ends } = slowDesk()
    const { world: w, connect } = await world({ desk })
    const client = await connect()
    client.ask(submit(0), submit(1), health, submit(2))
    await w.runUntil(() => ends.length === 3)
    ends[2]!()
    ends[1]!()
    await w.advance(10)
    expect(client.answers).toEqual([])
    ends[0]!()
    await w.runUntil(() => client.answers.length === 4)
    expect(client.answers.map(({ message, service }) => message ?? service)).toEqual(['0', '1', 'gateway_server', '2'])
  })

  test('no more than the bound is worked on; the rest is read when there is room', async () => {
    const { desk, ends } = slowDesk()
    const { world: w, connect } = await world({ desk, connection_requests_in_flight_max: 2 })
    const client = await connect()
    client.ask(...[0, 1, 2, 3, 4].map(submit))
    await w.advance(100)
    expect(desk.asked).toHaveLength(2)
    ends[1]!() // its answer waits for the first one, and so does its place
    await w.advance(100)
    expect(desk.asked).toHaveLength(2)
    ends[0]!()
    await w.runUntil(() => desk.asked.length === 4)
    for (let n = 2; n < 5; n++) {
      await w.runUntil(() => ends.length > n)
      ends[n]!()
    }
    await w.runUntil(() => client.answers.length === 5)
    expect(client.answers.map(({ message }) => message)).toEqual(['0', '1', '2', '3', '4'])
  })

  test('a client that is done is still answered, however long it takes, then the connection ends', async () => {
    const { desk, ends } = slowDesk()
    const { world: w, connect } = await world({ desk })
    const client = await connect()
    client.ask(submit(7), health)
    client.finish()
    await w.advance(20_000)
    expect([client.isClosed, client.answers.length]).toEqual([false, 0])
    ends[0]!()
    await w.runUntil(() => client.isClosed)
    expect(client.codes).toEqual(['broadcast', 'ok'])
  })

  test('an answer that a frame cannot hold is an error with a code, never a part of it', async () => {
    const desk = new FakeDesk()
    desk.answer = () => found(submission({ message: 'm'.repeat(65_536) }))
    const { world: w, connect } = await world({ desk })
    const client = await connect()
    client.ask({ ...submit(0), request_id: 'r' }, health)
    await w.runUntil(() => client.answers.length === 2)
    expect(client.answers[0]).toMatchObject({
      status: 'failed',
      code: 'answer-too-large',
      tx_hash: submission().hash,
      request_id: 'r',
    })
    expect(client.codes[1]).toBe('ok')
  })

  test('threats row 21: who never reads is no longer read from, and dropped', async () => {
    const desk = new FakeDesk()
    desk.answer = () => found(submission({ message: 'm'.repeat(60_000) }))
    const { world: w, connect, server } = await world({ desk })
    const client = await connect()
    client.socket.pause()
    for (let n = 0; n < 300; n++) client.ask(submit(n))
    await w.advance(5_000)
    // What the sockets hold, 256 KiB that wait, and what was in work by then: far fewer than were sent.
    const asked = desk.asked.length
    expect(asked).toBeLessThan(80)
    await w.advance(5_000)
    expect(desk.asked.length).toBe(asked)
    await w.advance(6_000)
    expect([...server.cut]).toEqual([['unread', 1]])
    expect(server.counts().connections).toBe(0)
    const next = await connect()
    next.ask(health)
    await w.runUntil(() => next.answers.length === 1)
  })

  test('who reads slowly keeps being served', async () => {
    const desk = new FakeDesk()
    desk.answer = () => found(submission({ message: 'm'.repeat(60_000) }))
    const { world: w, connect } = await world({ desk }, { bufferBytesMax: 8_192 })
    const client = await connect()
    for (let n = 0; n < 20; n++) client.ask(submit(n))
    for (let second = 0; second < 200 && client.answers.length < 20; second++) {
      client.socket.pause()
      await w.advance(1_000)
      client.socket.resume()
      await w.advance(1)
    }
    expect(client.answers).toHaveLength(20)
  })
})
