// Real processes that are away for a while, or come late.
import { afterEach, expect, test } from 'bun:test'
import type { Block } from '../../core/chain/block.ts'
import { expectAgreement, expectPeace } from '../support/agreement.ts'
import { blockOn, idOf, someTransaction } from '../support/chainworld.ts'
import { Cluster, type ClusterNode } from '../support/cluster.ts'
import { LineClient } from '../support/lines.ts'

const pow = ['--plugins', 'pow,tcp,sqlite', '--difficulty', '2']

let cluster: Cluster
afterEach(() => cluster.dispose())

test('one of five is stopped for 10 s and continued: it has the same rows as the others', async () => {
  cluster = await Cluster.start({ count: 5, args: pow })
  await cluster.connected(1)
  await cluster.submit(20)
  const sleeper = cluster.nodes[2]!
  const awake = cluster.nodes.filter((node) => node !== sleeper)
  sleeper.pause()
  const until = performance.now() + 10_000
  while (performance.now() < until) {
    await cluster.submit(4, awake)
    await Bun.sleep(200)
  }
  sleeper.resume()
  await cluster.submit(10)
  await expectAgreement(cluster, cluster.nodes, 60_000)
}, 120_000)

test('one of five is killed with -9 again and again while all are given transactions', async () => {
  cluster = await Cluster.start({ count: 5, args: pow })
  await cluster.connected(1)
  for (let round = 0; round < 5; round++) {
    const victim = cluster.nodes[round]!
    await cluster.submit(10)
    await cluster.submit(5, [victim])
    await victim.kill()
    await cluster.submit(
      10,
      cluster.nodes.filter((node) => node !== victim),
    )
    await victim.start()
    await cluster.submit(5, [victim])
  }
  await expectAgreement(cluster, cluster.nodes, 60_000)
}, 180_000)

test('a newcomer with an empty folder catches up 2,000 blocks while the others mine', async () => {
  // Empty blocks too, so that the others never rest.
  const args = ['--plugins', 'pow,tcp,sqlite', '--difficulty', '1', '--pow.mine_empty_after', '0.2']
  cluster = await Cluster.start({ count: 0, args })
  const [first, second] = [await cluster.add(['--pow.mine=false']), await cluster.add(['--pow.mine=false'])]
  await handOver(first, 2_000)
  await cluster.agreed([first, second], 60_000)
  for (const node of [first, second]) {
    expect(await node.stop()).toBe(0)
    await node.start()
  }
  await cluster.submit(20, [first, second])
  const started = performance.now()
  const newcomer = await cluster.add(['--pow.mine=false'])
  const mined = (): number => first.blocks().length - 2_000
  const before = mined()
  await cluster.until(
    'the newcomer is where the others are, while they mine',
    async () => {
      await cluster.submit(2, [first, second])
      const [others, its] = await Promise.all([first.info(), newcomer.info()])
      return Number(its['height']) >= Number(others['height']) - 1 && mined() > before + 3
    },
    60_000,
  )
  const milliseconds = Math.round(performance.now() - started)
  console.log(`a newcomer caught up ${newcomer.blocks().length} blocks in ${milliseconds} ms, its start included`)
  // The others go on for ever: what is compared is what is recorded below the newest few.
  await cluster.until('every transaction recorded everywhere', () =>
    cluster.nodes.every((node) => node.rows().length === cluster.acknowledged.size),
  )
  await cluster.until('the same blocks everywhere', () => {
    const [one, ...others] = cluster.nodes.map((node) => node.blocks().slice(0, 2_000 + before))
    return others.every((blocks) => blocks.join() === one!.join())
  })
  expect(newcomer.rows().map(({ tx_hash }) => tx_hash)).toEqual([...cluster.acknowledged].toSorted())
  expectPeace(cluster)
}, 300_000)

/** Gives a node a long chain at once, with a transaction in each block, instead of waiting until it has mined one. */
async function handOver(node: ClusterNode, length: number): Promise<void> {
  const { blocks } = (await node.ask({ type: 'block_request', from: 0, to: 0 })) as { blocks: readonly Block[] }
  const chain = [...blocks]
  while (chain.length <= length) {
    const transaction = someTransaction()
    cluster.acknowledged.add(idOf(transaction))
    chain.push(blockOn(chain.at(-1)!, { transactions: [transaction] }))
  }
  const miner = await LineClient.open(node.port)
  for (const block of chain.slice(1)) miner.tell({ type: 'new_block', node_id: block.miner_id, data: block })
  // Blocks that are taken are told by silence: the answer behind them says that they are.
  const { height } = await miner.ask({ type: 'chain_info' })
  miner.close()
  expect(Number(height)).toBeGreaterThanOrEqual(length)
}
