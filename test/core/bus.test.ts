import { describe, expect, test } from 'bun:test'
import { createBus, type ListenerFault } from '../../core/bus.ts'

/** A clock whose turns are taken by the test. */
function turns() {
  const waiting: (() => void)[] = []
  return {
    clock: { soon: (run: () => void) => void waiting.push(run) },
    /** Takes turns until nothing waits, letting promises settle in between. */
    async run() {
      while (waiting.length > 0) {
        waiting.shift()?.()
        for (let i = 0; i < 10; i++) await Promise.resolve()
      }
    },
    get waiting() {
      return waiting.length
    },
  }
}

function world(mailboxFactsMax = 100) {
  const time = turns()
  const faults: ListenerFault[] = []
  const bus = createBus({ clock: time.clock, mailboxFactsMax, report: (fault) => faults.push(fault) })
  return { bus, faults, time }
}

const refused = (code: string) => ({ code, detail: '' })

describe('the bus', () => {
  test('never runs a listener on the stack of whoever tells', async () => {
    const { bus, time } = world()
    const heard: string[] = []
    bus.on('a', 'tx:refused', ({ code }) => void heard.push(code))
    bus.emit('tx:refused', refused('one'))
    expect(heard).toEqual([])
    await time.run()
    expect(heard).toEqual(['one'])
  })

  test('keeps the order, for each listener, and hears one fact at a time', async () => {
    const { bus, time } = world()
    const heard: string[] = []
    let inside = 0
    bus.on('slow', 'tx:refused', async ({ code }) => {
      expect(++inside).toBe(1)
      await Promise.resolve()
      inside--
      heard.push(code)
    })
    for (const code of ['1', '2', '3']) bus.emit('tx:refused', refused(code))
    await time.run()
    bus.emit('tx:refused', refused('4'))
    await time.run()
    expect(heard).toEqual(['1', '2', '3', '4'])
  })

  test('does not make one listener wait for another', async () => {
    const { bus, time } = world()
    const heard: string[] = []
    bus.on('stuck', 'tx:refused', () => new Promise(() => {}))
    bus.on('free', 'tx:refused', ({ code }) => void heard.push(code))
    for (const code of ['1', '2']) bus.emit('tx:refused', refused(code))
    await time.run()
    expect(heard).toEqual(['1', '2'])
    expect(bus.depths()).toContainEqual({ owner: 'stuck', event: 'tx:refused', waiting: 1 })
    expect(bus.depths()).toContainEqual({ owner: 'free', event: 'tx:refused', waiting: 0 })
  })

  test('leaves a turn to others between a fact and those that came while it was heard', async () => {
    const { bus, time } = world()
    let heard = 0
    bus.on('echo', 'echo:said', () => {
      if (++heard < 5) bus.publish('echo', 'said', {})
    })
    bus.publish('echo', 'said', {})
    expect(time.waiting).toBe(1)
    await time.run()
    expect(heard).toBe(5)
  })

  test.each([
    [
      'throws',
      () => {
        throw new Error('boom')
      },
    ],
    ['rejects', () => Promise.reject(new Error('boom'))],
  ])('names a listener that %s, and goes on', async (_how, fail) => {
    const { bus, faults, time } = world()
    const heard: string[] = []
    bus.on('bad', 'tx:refused', ({ code }) => {
      heard.push(code)
      return code === 'first' ? fail() : undefined
    })
    bus.on('good', 'tx:refused', ({ code }) => void heard.push(`good ${code}`))
    bus.emit('tx:refused', refused('first'))
    bus.emit('tx:refused', refused('second'))
    await time.run()
    expect(heard.toSorted()).toEqual(['first', 'good first', 'good second', 'second'])
    expect(faults).toEqual([
      {
        code: 'listener-failed',
        owner: 'bad',
        event: 'tx:refused',
        detail: 'bad failed to hear tx:refused: boom',
      },
    ])
  })

  test('detaches a listener that falls behind, and says so', async () => {
    const { bus, faults, time } = world(3)
    const detached: unknown[] = []
    bus.on('slow', 'tx:refused', () => new Promise(() => {}))
    bus.on('watch', 'listener:detached', (fact) => void detached.push(fact))
    for (let i = 0; i < 3; i++) bus.emit('tx:refused', refused(`${i}`))
    expect(faults).toEqual([])
    bus.emit('tx:refused', refused('one too many'))
    await time.run()
    expect(faults.map(({ code, owner }) => [code, owner])).toEqual([['listener-detached', 'slow']])
    expect(detached).toEqual([{ owner: 'slow', event: 'tx:refused', reason: '3 facts were waiting' }])
    expect(bus.depths().map(({ owner }) => owner)).toEqual(['watch'])
  })

  test('detaches listeners of listener:detached as well, without going in circles', async () => {
    const { bus, faults, time } = world(1)
    for (const owner of ['a', 'b']) bus.on(owner, 'listener:detached', () => {})
    bus.on('c', 'tx:refused', () => {})
    const fact = { owner: 'x', event: 'y', reason: 'z' }
    bus.emit('listener:detached', fact)
    bus.emit('listener:detached', fact)
    await time.run()
    expect(faults.map(({ owner }) => owner)).toEqual(['a', 'b'])
    expect(bus.depths().map(({ owner }) => owner)).toEqual(['c'])
  })

  test('tells nothing more to a listener that went, not even what was waiting', async () => {
    const { bus, time } = world()
    const heard: string[] = []
    const off = bus.on('a', 'tx:refused', ({ code }) => void heard.push(code))
    bus.emit('tx:refused', refused('one'))
    off()
    off()
    bus.emit('tx:refused', refused('two'))
    await time.run()
    expect(heard).toEqual([])
    expect(bus.depths()).toEqual([])
  })

  test('lets a plugin publish under its own name only', async () => {
    const { bus, time } = world()
    const heard: unknown[] = []
    bus.on('a', 'pow:progress', (fact) => void heard.push(fact))
    bus.publish('pow', 'progress', { hashes: 1 })
    await time.run()
    expect(heard).toEqual([{ hashes: 1 }])
    for (const [owner, name] of [
      ['head', 'moved'],
      ['pow', 'x:y'],
      ['pow', ''],
      ['pow', 'Upper'],
    ] as const) {
      expect(() => bus.publish(owner, name, {})).toThrow(expect.objectContaining({ code: 'bad-event' }))
    }
  })
})
