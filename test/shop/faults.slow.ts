// The same day while everything breaks: nodes and the gateway are killed and come back, and the listener is down for a
// minute at a time.
import { expect, test } from 'bun:test'
import { heightsInOrder, overtold, untold, useShop } from './shop.ts'

const rounds = 3
const listenerDownMilliseconds = 60_000
const awayMilliseconds = 3_000
/** So that the day outlasts the faults. */
const secondsBetween = 0.7
const day = useShop()
const { file, lines } = day

test('threats rows 27 and 30: nothing is lost, nothing stands there twice, every confirmation arrives', async () => {
  const playing = day.shop.play(file, secondsBetween)
  playing.catch(() => undefined) // awaited below
  for (let round = 0; round < rounds; round++) {
    const back = Bun.sleep(listenerDownMilliseconds)
    await day.shop.killListener()
    await Bun.sleep(awayMilliseconds)
    await awayNode(round)
    await Bun.sleep(awayMilliseconds)
    await awayGateway()
    await Bun.sleep(awayMilliseconds)
    // The notifier of a node that has something to tell, and the gateway that it would tell it to, at once.
    await Promise.all([awayNode(round + 1), awayGateway()])
    await back
    await day.shop.startListener()
    await Bun.sleep(awayMilliseconds)
  }
  const summary = await playing
  expect(summary).toMatchObject({ lines, taken: lines, refused: 0 })
  expect(summary.retries).toBeGreaterThan(0)

  await day.shop.settled(lines, 180_000)
  const blocks = day.shop.cluster.nodes[0]!.blocks()
  const told = day.shop.told()
  expect(day.shop.compare(file)).toMatchObject({ lines, differences: [] })
  expect(untold(told, blocks)).toEqual([])
  expect(overtold(told, blocks)).toEqual([])
  expect(heightsInOrder(told, blocks)).toEqual(blocks.slice(1).map((_hash, at) => at + 1))
  console.log(`${blocks.length - 1} blocks, told ${told.length} times; the client asked ${summary.retries} times again`)
}, 900_000)

async function awayNode(place: number): Promise<void> {
  const node = day.shop.cluster.nodes[place % day.shop.cluster.nodes.length]!
  await node.kill()
  await Bun.sleep(awayMilliseconds)
  await node.start()
}

async function awayGateway(): Promise<void> {
  await day.shop.killGateway()
  await Bun.sleep(awayMilliseconds)
  await day.shop.startGateway()
}
