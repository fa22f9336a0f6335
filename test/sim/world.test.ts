// What may go wrong in a world does, and only there.
import { expect, test } from 'bun:test'
import type { Socket } from '../../core/index.ts'
import { calm, type Weather } from './faults.ts'
import { simRuntime, type World } from './runtime.ts'

const [here, there] = ['20.0.0.1', '21.0.0.1']
const port = 13_245

/** Two hosts with a connection between them; what arrives there, line by line. */
async function pair(seed: number, weather: Partial<Weather> = {}) {
  const world = simRuntime({ seed })
  const heard: string[] = []
  const closes: (Error | undefined)[] = []
  await world.host(there).listen(there, port, {
    data: (_socket, bytes) => void heard.push(...Buffer.from(bytes).toString().split('\n').slice(0, -1)),
    close: (_socket, error) => void closes.push(error),
  })
  const ends: (Error | undefined)[] = []
  const connecting = world
    .host(here)
    .connect(there, port, { data: () => {}, close: (_s, error) => void ends.push(error) })
  const socket = await world.settled(connecting)
  world.weather = { ...calm, ...weather }
  return { world, socket, heard, closes, ends }
}

async function sendLines(world: World, socket: Socket, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    socket.write(Buffer.from(`line ${n}\n`))
    await world.advance(5)
  }
  await world.advance(10_000)
}

test('lines are lost, come twice and are overtaken, as often as the weather has it, and are never cut', async () => {
  const { world, socket, heard } = await pair(1, { loss: 0.1, duplicate: 0.1, reorder: 0.1 })
  await sendLines(world, socket, 1_000)
  const lost = 1_000 - new Set(heard).size
  expect(lost).toBe(world.tally.of('loss'))
  expect(heard.length - new Set(heard).size).toBe(world.tally.of('duplicate'))
  expect(heard.every((line) => /^line \d+$/.test(line))).toBe(true)
  const numbers = heard.map((line) => Number(line.slice(5)))
  expect(numbers.filter((n, i) => i > 0 && n < numbers[i - 1]!).length).toBeGreaterThan(50)
  for (const kind of ['loss', 'duplicate', 'reorder'] as const) expect(world.tally.of(kind)).toBeGreaterThan(50)
})

test('a line that is written in pieces, and is longer than the buffers, is one line', async () => {
  const { world, socket, heard } = await pair(2, { duplicate: 0.000_1 })
  const line = `${'x'.repeat(300_000)}\n`
  for (let sent = 0; sent < line.length;) {
    sent += socket.write(Buffer.from(line.slice(sent, sent + 50_000)))
    await world.advance(20)
  }
  await world.advance(1_000)
  expect(heard.map(({ length }) => length)).toEqual([300_000])
})

test('calm weather changes nothing', async () => {
  const { world, socket, heard } = await pair(3)
  await sendLines(world, socket, 200)
  expect(heard).toEqual(Array.from({ length: 200 }, (_, n) => `line ${n}`))
})

test('a reset ends both sides', async () => {
  const { world, socket, ends, closes } = await pair(4, { reset: 0.5 })
  await sendLines(world, socket, 20)
  expect(String(ends)).toContain('ECONNRESET')
  expect(String(closes)).toContain('ECONNRESET')
})

test('what is sent into a partition arrives when it is over, and one way may be open while the other is not', async () => {
  const { world, socket, heard } = await pair(5)
  world.links.cut(there, here)
  await sendLines(world, socket, 3)
  expect(heard).toHaveLength(3)
  world.links.cut(here, there)
  await sendLines(world, socket, 3)
  expect(heard).toHaveLength(3)
  world.heal()
  await world.advance(100)
  expect(heard).toHaveLength(6)
})

test('nobody is reached in a partition: connecting takes as long as it was given', async () => {
  const { world } = await pair(6)
  world.links.cutBoth(here, there)
  const began = world.elapsed
  const refused = await world.settled(
    world
      .host(here)
      .connect(there, port, { data: () => {} }, 5_000)
      .catch((error: { code?: string }) => error.code),
  )
  expect([refused, world.elapsed - began]).toEqual(['connect-slow', 5_000])
})

test('a process that is killed is noticed at once, a machine without power only when it is back', async () => {
  const loud = await pair(7)
  loud.world.crash(there, 'process')
  await loud.world.advance(100)
  expect(String(loud.ends)).toContain('ECONNRESET')
  expect(loud.closes).toEqual([])

  const silent = await pair(8)
  silent.world.crash(there, 'power')
  await sendLines(silent.world, silent.socket, 3)
  expect(silent.ends).toEqual([])
  silent.world.boot(there)
  await sendLines(silent.world, silent.socket, 1)
  expect(String(silent.ends)).toContain('ECONNRESET')
})

test('what a dead process had planned does not happen, and its successor has its disk', async () => {
  const world = simRuntime({ seed: 9 })
  const before = world.host(here)
  let ran = 0
  before.clock.after(1_000, () => ran++)
  before.files.createText('/key', 'secret', 0o600)
  world.crash(here, 'power')
  const after = world.boot(here)
  after.clock.after(1_000, () => (ran += 10))
  await world.advance(2_000)
  before.files.appendText('/key', ' and more', 0o600)
  expect(ran).toBe(10)
  expect(after.files.readText('/key')).toBe('secret')
})

test('a host that stands still does everything later, in order', async () => {
  const { world, socket, heard } = await pair(10)
  const told: string[] = []
  world.host(there).clock.after(100, () => told.push('timer'))
  world.stall(there, 3_000)
  await world.advance(50)
  socket.write(Buffer.from('one\n'))
  await world.advance(2_900)
  expect([told, heard]).toEqual([[], []])
  await world.advance(200)
  expect([told, heard]).toEqual([['timer'], ['one']])
})

test('something that happens again and again at one moment is a fault, and not an end of the process', async () => {
  const world = simRuntime({ seed: 11 })
  const { clock } = world.host(here)
  const again = (): void => clock.soon(again)
  again()
  const failure = await world.advance(10).then(
    () => 'none',
    (error: Error) => error.message,
  )
  expect(failure).toContain('time stands still')
})
