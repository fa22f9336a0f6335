import { expect, test } from 'bun:test'
import { Outbox } from '../../../plugins/tcp/outbox.ts'

function make(room: number, queueBytesMax = 1_000) {
  const soon: (() => void)[] = []
  const world = {
    room,
    writes: [] as string[],
    told: [] as string[],
    turn: () => {
      for (const run of soon.splice(0)) run()
    },
  }
  const outbox = new Outbox({
    socket: {
      write(bytes) {
        const taken = Math.min(world.room, bytes.length)
        world.room -= taken
        world.writes.push(Buffer.from(bytes.subarray(0, taken)).toString())
        return taken
      },
    },
    clock: { soon: (run) => void soon.push(run) },
    queueBytesMax,
    overflowed: () => world.told.push('overflowed'),
    shrank: () => {},
    finished: () => world.told.push('finished'),
  })
  return { outbox, world }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

test('what one turn produces goes out in one write', () => {
  const { outbox, world } = make(100)
  outbox.send(bytes('one,'))
  outbox.send(bytes('two'))
  expect(world.writes).toEqual([])
  world.turn()
  expect(world.writes).toEqual(['one,two'])
  expect(outbox.bytes).toBe(0)
})

test('what the socket does not take waits for drain, in order', () => {
  const { outbox, world } = make(5)
  outbox.send(bytes('12345678'))
  world.turn()
  outbox.send(bytes('9'))
  world.turn()
  expect(world.writes).toEqual(['12345'])
  expect(outbox.bytes).toBe(4)
  world.room = 2
  outbox.drained()
  world.room = 100
  outbox.drained()
  expect(world.writes).toEqual(['12345', '67', '89'])
})

test('finish sends the rest first, and takes nothing more', () => {
  const { outbox, world } = make(3)
  outbox.send(bytes('abcdef'))
  outbox.finish()
  outbox.send(bytes('late'))
  world.turn()
  expect(world.told).toEqual([])
  world.room = 100
  outbox.drained()
  expect([world.writes.join(''), world.told]).toEqual(['abcdef', ['finished']])
  outbox.drained()
  expect(world.told).toEqual(['finished'])
})

test('threats row 21: over the limit everything is forgotten, and it is said once', () => {
  const { outbox, world } = make(0, 10)
  outbox.send(bytes('0123456789'))
  world.turn()
  expect(world.told).toEqual([])
  outbox.send(bytes('x'))
  outbox.send(bytes('x'))
  expect([world.told, outbox.bytes]).toEqual([['overflowed'], 0])
})
