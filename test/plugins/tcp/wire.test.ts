// The plugin on real sockets: what a stranger's program may send, and the tools that people have at hand.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bunRuntime } from '../../../core/bun.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { FakeChain } from '../../core/network/fakechain.ts'
import { LineClient, startNode, until } from './bench.ts'
import { identity } from './transport.ts'

const faults: unknown[] = []
const runtime = bunRuntime({ onFault: (error) => faults.push(error) })
const chain = new FakeChain()
let node: Awaited<ReturnType<typeof startNode>>

beforeAll(async () => {
  node = await startNode(runtime, { chain })
})
afterAll(async () => {
  await node.stop()
  expect(faults).toEqual([])
})

const connect = () => LineClient.connect(runtime, '127.0.0.1', node.port)

/** Sends bytes as they are, ends the writing side, and answers with all that came back before the close. */
async function tell(bytes: Uint8Array | string): Promise<readonly JsonObject[]> {
  const client = await connect()
  client.send(bytes)
  client.socket?.finish()
  await until(() => client.isClosed)
  return client.lines
}

async function expectAlive(): Promise<void> {
  expect(await tell('{"type":"ping"}\n')).toMatchObject([{ type: 'pong', node_id: identity.nodeId }])
  expect(faults).toEqual([])
}

const vectors = join(import.meta.dir, '../../vectors')
const parsing = join(vectors, 'jsontestsuite/test_parsing')
const files = (prefix: string) =>
  readdirSync(parsing)
    .filter((name) => name.startsWith(prefix))
    .map((name) => ({ name, bytes: new Uint8Array(readFileSync(join(parsing, name))) }))

const isBlank = (bytes: Uint8Array): boolean => /^[ \t\r\n]*$/.test(Buffer.from(bytes).toString('latin1'))
const line = (bytes: Uint8Array | string): Buffer => Buffer.concat([Buffer.from(bytes), Buffer.from('\n')])

/** `data` holds the vector; what the chain is given shows how it was read. */
const inData = (bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from('{"type":"NEW_TRANSACTION","sender":"a","data":{"x":'), bytes, Buffer.from('}}\n')])

describe('threats row 22: JSONTestSuite through the wire', () => {
  test('what must not be read is refused with a code', async () => {
    const all = files('n_')
    expect(all.length).toBeGreaterThan(180)
    await inBatches(all, async ({ name, bytes }) => {
      const answers = await tell(line(bytes))
      // An empty line asks for nothing: it is closed without a word.
      expect([name, answers.length > 0]).toEqual([name, !isBlank(bytes)])
      for (const { type, code } of answers) expect([name, type, typeof code]).toEqual([name, 'ERROR', 'string'])
    })
    await expectAlive()
  })

  test('what must not be read is not read inside a message either', async () => {
    await inBatches(files('n_'), async ({ name, bytes }) => {
      const answers = await tell(inData(bytes))
      expect([name, answers[0]?.['type']]).toEqual([name, 'ERROR'])
    })
    await expectAlive()
  })

  test('what must be read has one reading, or a coded refusal', async () => {
    const all = files('y_')
    expect(all.length).toBeGreaterThan(90)
    // Names twice: RFC 7493 forbids what RFC 8259 leaves open, and programs read them differently.
    const refused = new Set(['y_object_duplicated_key.json', 'y_object_duplicated_key_and_value.json'])
    for (const { name, bytes } of all) {
      for (const { type } of await tell(line(bytes))) expect([name, type]).toEqual([name, 'ERROR'])
      const text = Buffer.from(bytes).toString()
      if (text.trimEnd().includes('\n')) continue // Lines are cut there.
      chain.submitted.length = 0
      const answers = await tell(inData(Buffer.from(text.trimEnd())))
      if (refused.has(name)) {
        expect([name, answers[0]?.['code'], chain.submitted.length]).toEqual([name, 'bad-json', 0])
      } else {
        expect([name, answers[0]?.['type']]).toEqual([name, 'MINING_STARTED'])
        expect([name, chain.submitted[0]!['data']]).toEqual([name, { x: JSON.parse(text) }])
      }
    }
    await expectAlive()
  })

  test('what may be read or not is answered with one line and a code', async () => {
    const all = files('i_')
    expect(all.length).toBeGreaterThan(30)
    await inBatches(all, async ({ name, bytes }) => {
      for (const { type } of await tell(line(bytes))) expect([name, type]).toEqual([name, 'ERROR'])
    })
    await expectAlive()
  })
})

test('threats row 22: the big list of naughty strings, bare and as data, byte for byte', async () => {
  const strings = JSON.parse(readFileSync(join(vectors, 'blns/blns.json'), 'utf8')) as string[]
  expect(strings.length).toBeGreaterThan(400)
  await inBatches(strings, async (text) => {
    for (const { type } of await tell(line(text))) expect([text, type]).toEqual([text, 'ERROR'])
  })
  chain.submitted.length = 0
  const client = await connect()
  for (const [i, text] of strings.entries()) {
    client.send({ type: 'NEW_TRANSACTION', sender: text, data: { [text]: text }, signature: '', request_id: i })
  }
  await until(() => client.lines.length === strings.length)
  expect(client.lines.map(({ request_id }) => request_id)).toEqual([...strings.keys()])
  expect(chain.submitted.map(({ sender }) => sender)).toEqual(strings)
  expect(chain.submitted.map(({ data }) => data)).toEqual(strings.map((text) => ({ [text]: text })))
  client.socket!.destroy()
  await expectAlive()
})

describe('threats row 19: on real sockets', () => {
  test('64 MiB without a newline: told why, cut, and the memory stays small', async () => {
    const client = await connect()
    const before = process.memoryUsage.rss()
    const piece = new Uint8Array(1024 * 1024).fill(0x61)
    let sent = 0
    while (sent < 64 * piece.length && !client.ended && !client.isClosed) {
      const taken = client.socket!.write(piece)
      sent += taken
      if (taken < piece.length) await Bun.sleep(0)
    }
    await until(() => client.isClosed)
    expect(client.codes).toEqual(['too-large'])
    expect(process.memoryUsage.rss() - before).toBeLessThan(48 * 1024 * 1024)
    await expectAlive()
  })

  test('one byte at a time is a message like any other', async () => {
    const client = await connect()
    for (const byte of Buffer.from('{"type":"ping"}\n')) {
      client.send(Uint8Array.of(byte))
      await Bun.sleep(0)
    }
    await until(() => client.lines.length === 1)
    expect(client.codes).toEqual(['pong'])
    client.socket!.destroy()
  })

  test('a line that is not finished in time', async () => {
    const slow = await startNode(runtime, { limits: { message_milliseconds_max: 100 } })
    const client = await LineClient.connect(runtime, '127.0.0.1', slow.port)
    client.send('{"type":')
    await until(() => client.isClosed)
    expect(client.codes).toEqual(['too-slow'])
    await slow.stop()
  })
})

test('threats row 20: nothing, half a message, then the end: a coded error, and the next connection is served', async () => {
  expect(await tell('')).toEqual([])
  expect(await tell('\n')).toEqual([])
  expect(await tell('{"type":"pi')).toMatchObject([{ type: 'ERROR', code: 'bad-json' }])
  const gone = await connect()
  gone.send('{"type":"pi')
  gone.socket!.destroy()
  await expectAlive()
})

test('threats row 21: on real sockets, a reader that never reads is dropped', async () => {
  const large = new FakeChain()
  for (let i = 0; i < 4; i++) large.grow(2_000_000)
  const small = await startNode(runtime, { chain: large, limits: { message_milliseconds_max: 200 } })
  const client = await LineClient.connect(runtime, '127.0.0.1', small.port)
  client.socket!.pause()
  for (let i = 0; i < 20; i++) client.send({ type: 'block_request', from: 1, to: 4 })
  await until(() => small.logged.some((text) => text.includes('does not read')))
  const next = await LineClient.connect(runtime, '127.0.0.1', small.port)
  next.send({ type: 'ping' })
  await until(() => next.lines.length === 1)
  next.socket!.destroy()
  client.socket!.destroy()
  await small.stop()
})

test('a hundred pipelined transactions are under way at once, and answered in order', async () => {
  const client = await connect()
  chain.held.length = 0
  const send = (data: JsonObject, id: number) =>
    client.send({ type: 'NEW_TRANSACTION', sender: 'a', data: { ...data, id }, signature: '', request_id: id })
  // How many are worked on at once grows with those that were right.
  for (let i = 0; i < 100; i++) send({}, i)
  await until(() => client.lines.length === 100)
  client.lines.length = 0
  for (let i = 0; i < 100; i++) send({ hold: true }, i)
  await until(() => chain.held.length === 100)
  for (const release of chain.held.toReversed()) release()
  await until(() => client.lines.length === 100)
  expect(client.lines.map(({ request_id }) => request_id)).toEqual([...Array(100).keys()])
  client.socket!.destroy()
})

describe('netcat', () => {
  const pong = { type: 'pong', node_id: identity.nodeId }

  /** Runs nc with this on its standard input; answers with its first line of output. */
  async function netcat(input: string, ...flags: string[]): Promise<unknown> {
    const child = Bun.spawn(['nc', ...flags, '127.0.0.1', String(node.port)], {
      stdin: Buffer.from(input),
      stdout: 'pipe',
      stderr: 'inherit',
    })
    let output = ''
    const decoder = new TextDecoder()
    for await (const chunk of child.stdout) {
      output += decoder.decode(chunk, { stream: true })
      if (output.includes('\n')) break
    }
    child.kill()
    await child.exited
    return JSON.parse(output)
  }

  test('a line', async () => {
    expect(await netcat('{"type":"ping"}\n')).toMatchObject(pong)
  })

  test('no newline, but the end of the stream', async () => {
    expect(await netcat('{"type":"ping"}', '-N')).toMatchObject(pong)
  })

  test('no newline and no end: silence', async () => {
    expect(await netcat('{"type":"ping"}')).toMatchObject(pong)
  })
})

/** Some at a time: each is a connection of its own. */
async function inBatches<T>(all: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  for (let i = 0; i < all.length; i += 32) await Promise.all(all.slice(i, i + 32).map(run))
}
