// Authorities as real processes that are killed: as long as enough are up the chain goes on, and what it says otherwise.
import { afterEach, expect, test } from 'bun:test'
import { expectAgreement, expectPeace, raceAlarm } from '../support/agreement.ts'
import {
  addressesOf,
  allFinal,
  allRecorded,
  makeGenesis,
  makeKeys,
  shortAddress,
  told,
  type Authority,
} from '../support/authorities.ts'
import { Cluster, type ClusterNode } from '../support/cluster.ts'
import { FinalWatch, finalOf } from '../support/finals.ts'
import { aurex, removeFolder, temporaryFolder } from '../support/process.ts'

const count = 4

let folder: string
let cluster: Cluster
afterEach(async () => {
  await cluster.dispose()
  removeFolder(folder)
})

/** Four authorities, each a node that is connected with all others; in the order of the genesis. */
async function started(plugins: readonly string[], genesisFlags: readonly string[]): Promise<readonly Authority[]> {
  folder = temporaryFolder()
  const authorities = (await makeKeys(folder, count)).toSorted((a, b) => (a.address < b.address ? -1 : 1))
  const genesis = await makeGenesis(folder, ...genesisFlags, '--authorities', addressesOf(authorities))
  cluster = await Cluster.start({
    count,
    args: [...plugins, '--genesis', genesis],
    argsOf: (place) => ['--key', authorities[place]!.path],
    peersOf: (place) => [...Array(place).keys()],
  })
  await cluster.connected(count - 1)
  return authorities
}

const others = (...gone: readonly ClusterNode[]): ClusterNode[] => cluster.nodes.filter((node) => !gone.includes(node))

/** One at a time, so that each is in a block of its own. */
async function settleEach(many: number, nodes: readonly ClusterNode[], settle: typeof allFinal): Promise<void> {
  for (let n = 0; n < many; n++) await settle(cluster, await cluster.submit(1, [nodes[n % nodes.length]!]), nodes)
}

/** Every one of them once is killed and started again, and the rest go on meanwhile, for as many blocks as there are turns. */
async function eachIsKilledOnce(settle: typeof allFinal): Promise<void> {
  for (const victim of cluster.nodes) {
    await victim.kill()
    const up = others(victim)
    const before = up[0]!.blocks().length
    await settleEach(count + 1, up, settle)
    // So it was the turn of who is down once at least.
    expect(up[0]!.blocks().length).toBeGreaterThanOrEqual(before + count + 1)
    await victim.start()
    await cluster.agreed()
  }
}

/** Gives the nodes that are up transactions until each of them says that it waits for those that are down. */
async function standsStill(up: readonly ClusterNode[], down: readonly Authority[]): Promise<void> {
  const names = down.map(({ address }) => shortAddress(address))
  await cluster.until(`${up.map(({ name }) => name).join(', ')} wait for ${names.join(', ')}`, async () => {
    await cluster.submit(1, up)
    const texts = await Promise.all(up.map((node) => told(folder, node, 'why')))
    return texts.every((text) => names.every((name) => text.includes(name)))
  })
  const [hash] = await cluster.submit(1, up)
  const blocks = up.map((node) => node.blocks().length)
  for (const node of up) {
    const text = await told(folder, node, 'why')
    for (const name of names) expect(text).toContain(name)
    expect(text).toMatch(/3 (of 4 )?authorities must be up/)
    expect((await node.ask({ type: 'transaction_status', tx_hash: hash }))['status']).toBe('pending')
  }
  expect(up.map((node) => node.blocks().length)).toEqual(blocks)
}

/** Two of four are down, one comes back, then the other; then all are killed at once and started again. */
async function stopsAndGoesOn(authorities: readonly Authority[], settle: typeof allFinal): Promise<void> {
  const [first, second, ...up] = cluster.nodes as [ClusterNode, ClusterNode, ...ClusterNode[]]
  await Promise.all([first.kill(), second.kill()])
  await standsStill(up, authorities.slice(0, 2))
  await first.start()
  await settle(cluster, [...cluster.acknowledged], others(second))
  await second.start()
  await settleEach(2, cluster.nodes, settle)

  await cluster.submit(8)
  await Promise.all(cluster.nodes.map((node) => node.kill()))
  await Promise.all(cluster.nodes.map((node) => node.start()))
  await settle(cluster, [...cluster.acknowledged])
  await settleEach(2, cluster.nodes, settle)
  await expectAgreement(cluster)
}

test('poa: any one of four is killed and it goes on; with two it stops and says for whom; all at once, and it goes on', async () => {
  const authorities = await started(
    ['--plugins', 'poa,tcp,sqlite', '--poa.patience', '150'],
    ['--consensus', 'poa', '--block-time', '0.1'],
  )
  await eachIsKilledOnce(allRecorded)
  await stopsAndGoesOn(authorities, allRecorded)
  for (const node of cluster.nodes) expect(await told(folder, node, 'evidence')).toContain('there is none')
}, 180_000)

test('bft: any one of four is killed and all is final; with two it stops and says for whom; all at once, and it goes on', async () => {
  const authorities = await started(
    ['--plugins', 'bft,tcp,sqlite'],
    ['--consensus', 'bft', '--block-time', '0.05', '--bft.timeout', '0.3'],
  )
  const watch = new FinalWatch(() => cluster.nodes)
  await eachIsKilledOnce(allFinal)
  await stopsAndGoesOn(authorities, allFinal)
  for (const node of cluster.nodes) expect(await told(folder, node, 'evidence')).toContain('there is none')
  await watch.end(cluster.nodes)
}, 180_000)

const blocksAway = 1_000
const returnMillisecondsMax = 30_000

test('poa and finality: who was away for 1,000 blocks is soon final where the others are, and votes again', async () => {
  // Blocks without transactions too, as fast as they come.
  await started(
    ['--plugins', 'poa,finality,tcp,sqlite', '--poa.heartbeat', '0.01', '--poa.patience', '10'],
    ['--consensus', 'poa', '--block-time', '0.01', '--finality'],
  )
  const watch = new FinalWatch(() => cluster.nodes)
  const away = cluster.nodes[3]!
  const up = others(away)
  await settleEach(3, cluster.nodes, allFinal)
  await away.kill()
  const before = away.blocks().length
  await cluster.until(
    'a thousand blocks are final without it',
    async () => (await finalOf(up[0]!)).index > before + blocksAway,
    120_000,
  )
  await settleEach(3, up, allFinal)
  const startedAt = performance.now()
  const target = (await finalOf(up[0]!)).index
  await away.start()
  await cluster.until(
    'it is final where the others were',
    async () => (await finalOf(away)).index >= target,
    returnMillisecondsMax,
  )
  console.log(
    `${target - before} blocks made up for in ${Math.round(performance.now() - startedAt)} ms, its start included`,
  )
  // It votes again, and everybody is final.
  await settleEach(3, cluster.nodes, allFinal)
  expectPeace(cluster, [raceAlarm])
  await Promise.all(cluster.nodes.map((node) => node.stop()))
  await watch.end(cluster.nodes)
  const chains = cluster.nodes.map((node) => node.blocks().slice(0, target + 1))
  for (const chain of chains) expect(chain).toEqual(chains[0]!)
  expect((await aurex(folder, 'verify', away.ready.ledger)).code).toBe(0)
}, 240_000)
