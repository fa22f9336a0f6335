import { describe, expect, test } from 'bun:test'
import { decline, type JsonObject } from '../../../core/index.ts'
import { Quota } from '../../../plugins/gateway/quota.ts'
import { sourceOf } from '../../../plugins/gateway/source.ts'
import { simRuntime } from '../../sim/runtime.ts'
import { FakeDesk, FrameTalker, startServer } from './serverrig.ts'

const health = (n: number): JsonObject => ({ action: 'health', request_id: n })

function makeQuota(perSecondMax: number, inFlightMax = 1_000_000) {
  const world = simRuntime({ seed: 1 })
  const quota = new Quota({ clock: world.host('10.0.0.1').clock, perSecondMax, inFlightMax })
  const went: string[] = []
  /** A connection that asks again as soon as it had its turn. */
  const flood = (source: string, name: string, times = Infinity): void => {
    if (times === 0) return
    quota.ask(source, () => {
      went.push(name)
      quota.done()
      world.host('10.0.0.1').clock.soon(() => flood(source, name, times - 1))
    })
  }
  return { world, quota, went, flood, count: (name: string) => went.filter((one) => one === name).length }
}

describe('a client', () => {
  test('may send so many at once after a quiet time, and then so many a second', async () => {
    const { world, flood, went } = makeQuota(10)
    flood('a', 'a')
    await world.advance(0)
    expect(went.length).toBe(20)
    await world.advance(10_000)
    expect(went.length).toBeGreaterThanOrEqual(119)
    expect(went.length).toBeLessThanOrEqual(120)
  })

  test('does not save up more than that, however long it is quiet', async () => {
    const { world, flood, count } = makeQuota(10)
    flood('a', 'first', 1)
    await world.advance(100_000)
    flood('a', 'later')
    await world.advance(0)
    expect(count('later')).toBe(20)
  })

  test('that floods does not cost another one anything', async () => {
    const { world, flood, count } = makeQuota(10)
    flood('flooder', 'f')
    await world.advance(5_000)
    flood('other', 'o', 15)
    await world.advance(0)
    expect(count('o')).toBe(15)
  })

  test('shares among its connections: one that floods does not keep another one waiting', async () => {
    const { world, flood, count } = makeQuota(10)
    flood('a', 'flood')
    await world.advance(5_000)
    const before = count('flood')
    flood('a', 'calm', 5)
    await world.advance(1_100)
    expect(count('calm')).toBe(5)
    expect(count('flood') - before).toBeGreaterThan(4)
  })

  test('that closed its connection is not waited for', async () => {
    const { world, quota, flood, count } = makeQuota(10)
    flood('a', 'flood', 20)
    await world.advance(0)
    let gone = false
    const go = (): void => void (gone = true)
    quota.ask('a', go)
    flood('a', 'next', 1)
    quota.withdraw('a', go)
    await world.advance(110)
    expect([gone, count('next')]).toEqual([false, 1])
  })
})

test('of all clients no more than the bound is in work, and each gets the next place in turn', () => {
  const { quota } = makeQuota(1_000, 2)
  const went: string[] = []
  const ask = (source: string, name: string): void => quota.ask(source, () => void went.push(name))
  for (const n of [1, 2, 3, 4]) ask('a', `a${n}`)
  for (const n of [1, 2]) ask('b', `b${n}`)
  expect(went).toEqual(['a1', 'a2'])
  for (let n = 0; n < 4; n++) quota.done()
  expect(went).toEqual(['a1', 'a2', 'a3', 'b1', 'a4', 'b2'])
  expect(quota.inFlight).toBe(2)
})

test('who is one client: an IPv4 address, a /64 of IPv6', () => {
  expect(sourceOf('192.0.2.7')).toBe('192.0.2.7')
  expect(sourceOf('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64')
  expect(sourceOf('2001:db8:1:2::9')).toBe('2001:db8:1:2::/64')
  expect(sourceOf('fe80::1%eth0')).toBe('fe80:0:0:0::/64')
  expect(sourceOf('::1')).toBe('0:0:0:0::/64')
})

test('a place is free again when its request is answered, also where its connection is gone', async () => {
  const world = simRuntime({ seed: 3, latencyMilliseconds: [0, 0] })
  const address = '10.0.0.1'
  const desk = new FakeDesk()
  const ends: (() => void)[] = []
  desk.answer = () => new Promise((resolve) => ends.push(() => resolve(decline('no', 'no'))))
  const rig = await world.settled(startServer(world.host(address), { host: address, desk, requests_in_flight_max: 2 }))
  const connect = (from: string) => world.settled(FrameTalker.connect(world.host(from), address, rig.port))
  const [gone, waiting] = [await connect('10.0.0.2'), await connect('10.0.0.3')]
  for (let n = 0; n < 3; n++) gone.ask({ action: 'submit_transaction', body: {} })
  await world.advance(10)
  for (let n = 0; n < 5; n++) waiting.ask(health(n))
  await world.advance(10)
  expect([ends.length, waiting.answers.length, rig.server.counts().inFlight]).toEqual([2, 0, 2])
  gone.socket.destroy()
  await world.advance(10)
  ends[0]!()
  await world.runUntil(() => waiting.answers.length === 5)
  // What its client no longer waits for was not begun.
  expect(ends.length).toBe(2)
  ends[1]!()
  await world.runUntil(() => rig.server.counts().inFlight === 0)
})

test('threats row 25: a client that floods is slowed down; another address is answered at once', async () => {
  const world = simRuntime({ seed: 2, latencyMilliseconds: [0, 0] })
  const address = '10.0.0.1'
  const desk = new FakeDesk()
  const rig = await world.settled(
    startServer(world.host(address), { host: address, desk, requests_per_second_max: 20 }),
  )
  const connect = (from: string) => world.settled(FrameTalker.connect(world.host(from), address, rig.port))
  const flooders = [await connect('10.0.0.2'), await connect('10.0.0.2')]
  for (const flooder of flooders) {
    for (let n = 0; n < 1_000; n++) flooder.ask({ action: 'submit_transaction', body: { n, signature: '' } })
  }
  await world.advance(10_000)
  // Two seconds' worth at once and 20 a second since: nobody behind the desk has more to do.
  expect(desk.asked.length).toBeGreaterThan(230)
  expect(desk.asked.length).toBeLessThanOrEqual(241)
  // Each of the two had its half of what came after the burst.
  for (const { answers } of flooders) expect(answers.length).toBeGreaterThanOrEqual(100)

  const other = await connect('10.0.0.3')
  for (let n = 0; n < 10; n++) other.ask(health(n))
  await world.advance(50)
  expect(other.answers.map(({ request_id }) => request_id)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])

  // And a further connection from the flooding address has its turn, too.
  const beside = await connect('10.0.0.2')
  beside.ask(health(1))
  await world.advance(200)
  expect(beside.answers).toHaveLength(1)
})
