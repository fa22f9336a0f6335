// The server on real sockets, each on a port that the system picks.
import { afterEach, describe, expect, test } from 'bun:test'
import { bunRuntime } from '../../../core/bun.ts'
import { AurexError, found, type JsonObject } from '../../../core/index.ts'
import { GatewayServer } from '../../../plugins/gateway/server.ts'
import { eventually } from '../../support/eventually.ts'
import { simRuntime } from '../../sim/runtime.ts'
import { configOf, FakeDesk, FrameTalker, silentLog, startServer, submission } from './serverrig.ts'

const runtime = bunRuntime()
const health = { action: 'health' }
const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})

async function start(config: Parameters<typeof startServer>[1] = {}) {
  const rig = await startServer(runtime, config)
  stops.push(() => rig.server.stop())
  return rig
}

describe('on real sockets', () => {
  test('half a prefix, one byte a write, two requests in one write', async () => {
    const { connect } = await start()
    const client = await connect()
    const body = Buffer.from(JSON.stringify(health))
    for (const byte of [0, body.length, ...body]) {
      client.write([byte])
      await new Promise((resolve) => setImmediate(resolve))
    }
    client.ask({ ...health, request_id: 1 }, { ...health, request_id: 2 })
    await eventually(() => client.answers.length === 3, 'three answers')
    expect(client.answers.map(({ request_id }) => request_id)).toEqual([undefined, 1, 2])
    client.socket.destroy()
  })

  test('a body of 65,535 bytes is taken; a client that is done is answered and then closed', async () => {
    const { connect } = await start()
    const client = await connect()
    const around = JSON.stringify({ ...health, pad: '' }).length
    client.ask({ ...health, pad: 'x'.repeat(65_535 - around) })
    client.finish()
    await eventually(() => client.isClosed, 'the connection ends')
    expect([client.codes, client.fault]).toEqual([['ok'], undefined])
  })

  test('thousands of requests on a few connections: each answered, in order', async () => {
    const { connect } = await start({ requests_per_second_max: 1_000_000 })
    const clients = await Promise.all([connect(), connect(), connect()])
    const count = 2_000
    for (const client of clients) {
      for (let n = 0; n < count; n++) client.ask({ ...health, request_id: n })
    }
    await eventually(() => clients.every(({ answers }) => answers.length === count), 'all answers')
    const numbers = Array.from({ length: count }, (_, n) => n)
    for (const { answers, socket } of clients) {
      expect(answers.map(({ request_id }) => request_id)).toEqual(numbers)
      socket.destroy()
    }
  })

  test('a port that is in use keeps it from starting, and says which option to change', async () => {
    const { port } = await start()
    const second = new GatewayServer({
      config: configOf({ port }),
      runtime,
      log: silentLog,
      serve: async () => await Promise.resolve(undefined),
    })
    const error: unknown = await second.listen().catch((error: unknown) => error)
    expect(error).toBeInstanceOf(AurexError)
    expect((error as AurexError).code).toBe('address-in-use')
    expect((error as AurexError).message).toContain('--gateway.port')
  })

  test('an address that is not one of this machine: one sentence that says which option to change', async () => {
    const config = configOf({ host: '192.0.2.9' })
    const serve = async () => await Promise.resolve(undefined)
    const server = new GatewayServer({ config, runtime, log: silentLog, serve })
    const error: unknown = await server.listen().catch((error: unknown) => error)
    expect((error as AurexError).message).toMatch(
      /^gateway: port 0 on 192\.0\.2\.9 cannot be listened on \([^;-]*\); choose another with --gateway\.port or --gateway\.host$/,
    )
  })

  test('at its end it answers what it has taken, and takes nothing new', async () => {
    const desk = new FakeDesk()
    const ends: (() => void)[] = []
    desk.answer = () => new Promise((resolve) => ends.push(() => resolve(found(submission()))))
    const { connect, server, port } = await startServer(runtime, { desk })
    const client = await connect()
    client.ask({ action: 'submit_transaction', body: { signature: '' } })
    await eventually(() => ends.length === 1, 'the request is in work')
    const stopped = server.stop()
    client.ask(health)
    ends[0]!()
    await stopped
    await eventually(() => client.isClosed, 'the connection ends')
    expect(client.codes).toEqual(['broadcast'])
    const late: unknown = await FrameTalker.connect(runtime, '127.0.0.1', port).catch((error: unknown) => error)
    expect(late).toBeInstanceOf(AurexError)
  })
})

describe('connections', () => {
  const address = '10.0.0.1'
  async function world(config: Parameters<typeof startServer>[1]) {
    const world = simRuntime({ seed: 3, latencyMilliseconds: [0, 0] })
    const rig = await world.settled(startServer(world.host(address), { host: address, ...config }))
    const connect = (from: string) => world.settled(FrameTalker.connect(world.host(from), address, rig.port))
    const served = async (client: FrameTalker): Promise<JsonObject> => {
      client.ask(health)
      await world.runUntil(() => client.answers.length > 0)
      return client.answers[0]!
    }
    return { ...rig, world, connect, served }
  }

  test('of one address there are only so many; who is turned away is told why', async () => {
    const { world: w, connect, served } = await world({ connections_per_host_max: 2 })
    await served(await connect('10.0.0.2'))
    await served(await connect('10.0.0.2'))
    const third = await connect('10.0.0.2')
    await w.runUntil(() => third.isClosed)
    expect(third.answers).toMatchObject([{ status: 'failed', code: 'too-many-connections' }])
    expect(await served(await connect('10.0.0.3'))).toMatchObject({ status: 'ok' })
  })

  test('threats row 20: a crowd that says nothing keeps nobody out', async () => {
    const { connect, served, server } = await world({ connections_max: 5, connections_per_host_max: 100 })
    for (let n = 0; n < 20; n++) (await connect('10.0.0.2')).write([0])
    expect(server.counts().connections).toBe(5)
    const honest = await connect('10.0.0.3')
    expect(await served(honest)).toMatchObject({ status: 'ok' })
    for (let n = 0; n < 20; n++) await connect('10.0.0.2')
    expect(honest.isClosed).toBe(false)
  })

  test('where all that are there have asked something, the next one is told that there is no room', async () => {
    const { world: w, connect, served } = await world({ connections_max: 2 })
    const [one, two] = [await connect('10.0.0.2'), await connect('10.0.0.3')]
    await served(one)
    await served(two)
    const third = await connect('10.0.0.4')
    await w.runUntil(() => third.isClosed)
    expect(third.codes).toEqual(['too-many-connections'])
    one.socket.destroy()
    await w.advance(10)
    expect(await served(await connect('10.0.0.4'))).toMatchObject({ status: 'ok' })
  })

  test('at the end, what waits for its turn is not begun: nobody would hear of it', async () => {
    const desk = new FakeDesk()
    const ends: (() => void)[] = []
    desk.answer = () => new Promise((resolve) => ends.push(() => resolve(found(submission()))))
    const { world: w, connect, server } = await world({ desk, requests_per_second_max: 1 })
    const client = await connect('10.0.0.2')
    for (let n = 0; n < 3; n++) client.ask({ action: 'submit_transaction', body: { n } })
    await w.advance(100)
    expect(desk.asked).toHaveLength(2)
    const stopped = server.stop()
    await w.advance(2_000)
    expect(desk.asked).toHaveLength(2)
    for (const end of ends) end()
    await w.settled(stopped)
    await w.advance(10)
    expect([client.codes, client.isClosed]).toEqual([['broadcast', 'broadcast'], true])
  })
})
