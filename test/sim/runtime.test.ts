import { expect, test } from 'bun:test'
import { runtimeContract } from '../contract/runtime.ts'
import { simRuntime } from './runtime.ts'

runtimeContract('simulated', () => {
  const faults: unknown[] = []
  const world = simRuntime({ seed: 1, onFault: (error) => faults.push(error) })
  return {
    runtime: world.host('10.0.0.1'),
    until: (fact) => world.runUntil(fact),
    pass: (milliseconds) => world.advance(milliseconds),
    async silence() {
      const far = world.host('10.0.0.9')
      const listener = await far.listen('10.0.0.9', 0, { data: () => {} })
      far.machine.powered = false
      return { host: '10.0.0.9', port: listener.port, answer: () => void (far.machine.powered = true) }
    },
    directory: '/data',
    faults,
    dispose: () => {},
  }
})

/** Three hosts that talk at random. */
async function story(seed: number): Promise<{ trace: string; heard: string }> {
  const world = simRuntime({ seed })
  let heard = ''
  const addresses = ['10.0.0.1', '10.0.0.2', '10.0.0.3']
  for (const address of addresses) {
    await world.host(address).listen(address, 13245, {
      data(socket, bytes) {
        heard += `${address} < ${socket.remoteHost}: ${Buffer.from(bytes).toString('hex')}\n`
        if (bytes[0]! < 200) socket.write(world.host(address).random(2))
      },
    })
  }
  for (const from of addresses) {
    for (const to of addresses) {
      void world
        .host(from)
        .connect(to, 13245, { data: (socket, bytes) => void socket.write(bytes) })
        .then((socket) => socket.write(world.host(from).random(4)))
    }
  }
  await world.advance(2_000)
  expect(world.deliveries).toBeGreaterThan(30)
  return { trace: world.trace(), heard }
}

test('the same seed tells the same story, another seed another', async () => {
  const [first, again, other] = [await story(7), await story(7), await story(8)]
  expect(again).toEqual(first)
  expect(other.trace).not.toBe(first.trace)
})

test('events run in order of time, then of being entered, and promises settle between them', async () => {
  const world = simRuntime({ seed: 1 })
  const { clock } = world.host('10.0.0.1')
  const told: string[] = []
  const tell = (what: string) => () => {
    told.push(`${clock.monotonic()} ${what}`)
    void Promise.resolve(Promise.resolve()).then(() => told.push(`after ${what}`))
  }
  clock.after(10, tell('c'))
  clock.after(5, tell('a'))
  clock.after(5, tell('b'))
  clock.soon(tell('now'))
  const before = clock.now()
  await world.advance(7)
  expect(told).toEqual(['0 now', 'after now', '5 a', 'after a', '5 b', 'after b'])
  expect(clock.now() - before).toBe(7)
  await world.advance(3)
  expect(told.slice(6)).toEqual(['10 c', 'after c'])
})

test('runUntil names the seed when the fact never comes, and a fault stops the world', async () => {
  const world = simRuntime({ seed: 42 })
  expect(await messageOf(world.runUntil(() => false, 100))).toContain('seed 42')
  const fresh = simRuntime({ seed: 1 })
  const host = fresh.host('10.0.0.1')
  await host.listen('10.0.0.1', 1, {
    open: () => {
      throw new Error('a fault of ours')
    },
    data: () => {},
  })
  void host.connect('10.0.0.1', 1, { data: () => {} })
  expect(await messageOf(fresh.advance(100))).toBe('a fault of ours')
})

test('hosts have wall clocks of their own', () => {
  const world = simRuntime({ seed: 1 })
  const [a, b] = [world.host('10.0.0.1'), world.host('10.0.0.2')]
  b.clockOffset = 3_600_000
  expect(b.clock.now() - a.clock.now()).toBe(3_600_000)
  expect(world.host('10.0.0.1')).toBe(a)
})

const messageOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: Error) => error.message,
  )
