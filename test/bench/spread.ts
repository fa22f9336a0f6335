// How a block reaches 10, 100 and 1,000 simulated nodes: hops beside log N, time beside the shortest ways, and bytes on
// the wire with short ids beside those without. Every way takes the same 10 ms and work takes none, so that a hop is
// 10 ms: what is more than that is a question that had to be asked first.
import { meanPeers } from './graph.ts'
import { mean, type Row } from './row.ts'
import { SimNetwork, wayMilliseconds, type Journey } from './simnetwork.ts'

const sizes = [10, 100, 1_000]
const blocksEach = 6
const perBlock = 10
/** For the bytes. */
const nodesMetered = 100
const blocksMetered = 3
const pendingCounts = [0, 10, 100, 500]

export async function spread(): Promise<Row[]> {
  const rows: Row[] = []
  for (const size of sizes) rows.push(...(await hopsAmong(size)))
  const withIds = await bytesOfBlocks(true)
  const without = await bytesOfBlocks(false)
  for (const [i, count] of pendingCounts.entries()) {
    rows.push({
      name: `bytes a node a block of ${count}, with short ids`,
      figure: withIds[i]!,
      unit: 'bytes',
      reference: 'without',
      referenceFigure: without[i]!,
    })
  }
  return rows
}

async function hopsAmong(size: number): Promise<Row[]> {
  const network = await SimNetwork.start(size, true)
  const journeys: Journey[] = []
  for (let n = 0; n < blocksEach; n++) journeys.push(await network.spread(perBlock))
  const peers = meanPeers(network.neighbours())
  await network.stop()
  const nodes = size.toLocaleString('en')
  const ways = mean(journeys.map(({ waysOfBlock }) => waysOfBlock))
  const shortest = mean(journeys.map((one) => one.shortest))
  return [
    {
      name: `hops of a block to all of ${nodes}, ${peers.toFixed(1)} peers each`,
      figure: ways,
      unit: 'hops',
      reference: 'log N to that base',
      referenceFigure: Math.log(size) / Math.log(peers),
    },
    {
      name: `a block to all of ${nodes}, ${wayMilliseconds} ms a hop`,
      figure: ways * wayMilliseconds,
      unit: 'ms',
      reference: 'the shortest ways',
      referenceFigure: shortest * wayMilliseconds,
    },
    {
      name: `a transaction to all of ${nodes}, ${wayMilliseconds} ms each way`,
      figure: mean(journeys.map(({ waysOfTransaction }) => waysOfTransaction)) * wayMilliseconds,
      unit: 'ms',
      reference: 'announced, asked for and sent on the shortest ways',
      referenceFigure: 3 * mean(journeys.map((one) => one.shortestOfTransaction)) * wayMilliseconds,
    },
  ]
}

/** For each of `pendingCounts`. */
async function bytesOfBlocks(shortIds: boolean): Promise<number[]> {
  const network = await SimNetwork.start(nodesMetered, shortIds)
  const figures: number[] = []
  for (const count of pendingCounts) {
    const journeys: Journey[] = []
    for (let n = 0; n < blocksMetered; n++) journeys.push(await network.spread(count))
    figures.push(mean(journeys.map(({ bytesOfBlock }) => bytesOfBlock)) / nodesMetered)
  }
  await network.stop()
  return figures
}
