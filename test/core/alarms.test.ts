import { expect, test } from 'bun:test'
import { Alarms } from '../../core/alarms.ts'
import { simRuntime } from '../sim/runtime.ts'
import { makeContext } from '../support/context.ts'

function rig() {
  const world = simRuntime({ seed: 1 })
  const stopping = new AbortController()
  const errors: unknown[] = []
  const silent = () => {}
  const log = {
    debug: silent,
    info: silent,
    warn: silent,
    error: (_text: string, fields?: object) => void errors.push(fields),
  }
  const { context } = makeContext({ use: {}, runtime: world.host('10.0.0.1'), signal: stopping.signal, log })
  return { world, stopping, errors, alarms: new Alarms(context) }
}

test('an alarm is set once at a time, and can be cancelled', async () => {
  const { world, alarms } = rig()
  const rang: string[] = []
  alarms.set('a', 100, () => rang.push('first'))
  alarms.set('a', 10, () => rang.push('second'))
  alarms.set('b', 50, () => rang.push('b'))
  alarms.cancel('b', 'no such')
  await world.advance(200)
  expect(rang).toEqual(['first'])
  alarms.set('a', 10, () => rang.push('again'))
  await world.advance(20)
  expect(rang).toEqual(['first', 'again'])
})

test('one may set itself again, and what it throws is logged and ends nothing', async () => {
  const { world, alarms, errors } = rig()
  let times = 0
  const run = (): void => {
    times++
    alarms.set('a', 10, run)
    throw new Error('out of order')
  }
  alarms.set('a', 10, run)
  await world.advance(100)
  expect(times).toBeGreaterThan(5)
  expect(errors).toHaveLength(times)
  expect(errors[0]).toMatchObject({ name: 'a', error: new Error('out of order') })
})

test('none rings when the node stops, and none is set any more', async () => {
  const { world, alarms, stopping } = rig()
  let times = 0
  alarms.set('a', 10, () => times++)
  stopping.abort()
  alarms.set('b', 10, () => times++)
  await world.advance(100)
  expect(times).toBe(0)
})
