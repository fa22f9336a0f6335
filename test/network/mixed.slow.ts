// Proof of work proposes, authorities finalise: miners and authorities as real processes on one ledger.
import { afterEach, expect, test } from 'bun:test'
import { Database } from 'bun:sqlite'
import { expectPeace, expectSameRows, raceAlarm } from '../support/agreement.ts'
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
import { finalOf } from '../support/finals.ts'
import { removeFolder, temporaryFolder } from '../support/process.ts'

let folder: string
let cluster: Cluster
afterEach(async () => {
  await cluster.dispose()
  removeFolder(folder)
})

/** Miners first, then authorities. */
async function started(miners: number, count: number): Promise<readonly Authority[]> {
  folder = temporaryFolder()
  const authorities = await makeKeys(folder, count)
  const rules = ['--consensus', 'pow', '--difficulty', '2', '--finality', '--authorities', addressesOf(authorities)]
  const genesis = await makeGenesis(folder, ...rules)
  cluster = await Cluster.start({
    count: miners + count,
    args: ['--genesis', genesis],
    argsOf: (place) =>
      place < miners
        ? ['--plugins', 'pow,tcp,sqlite']
        : ['--plugins', 'pow,finality,tcp,sqlite', '--pow.mine=false', '--key', authorities[place - miners]!.path],
    peersOf: (place) => [...Array(place).keys()],
  })
  await cluster.connected(miners + count - 1)
  return authorities
}

async function expectOneLedger(): Promise<void> {
  await cluster.agreed()
  expectSameRows(cluster, cluster.nodes)
  expectPeace(cluster, [raceAlarm])
}

const statuses = ({ ready }: ClusterNode): string[] => {
  const database = new Database(ready.ledger, { readonly: true })
  try {
    const rows = database.query('SELECT DISTINCT status FROM transactions ORDER BY status').all()
    return (rows as { status: string }[]).map(({ status }) => status)
  } finally {
    database.close()
  }
}

test('three miners and two authorities: one ledger, all of it final; one crash of two pauses finality and no more', async () => {
  const authorities = await started(3, 2)
  const [miner] = cluster.nodes
  await allFinal(cluster, await cluster.submit(20))
  await expectOneLedger()
  for (const node of cluster.nodes) expect(statuses(node)).toEqual(['final'])

  const lost = cluster.nodes[4]!
  await lost.kill()
  const before = (await finalOf(miner!)).index
  const rest = cluster.nodes.slice(0, 4)
  const later = await cluster.submit(10, rest)
  // The chain goes on, and says that nothing newer is final.
  await allRecorded(cluster, later, rest)
  await cluster.until('the node says whom it waits for', async () => {
    return (await told(folder, miner!, 'why')).includes(shortAddress(authorities[1]!.address))
  })
  for (const node of rest) expect((await finalOf(node)).index).toBeLessThanOrEqual(before + 1)
  expect(statuses(miner!)).toContain('committed')

  await lost.start()
  await allFinal(cluster, later)
  await expectOneLedger()
}, 180_000)

test('three miners and four authorities stand one crash, and go on where they were after two', async () => {
  await started(3, 4)
  await allFinal(cluster, await cluster.submit(10))
  const [first, second] = cluster.nodes.slice(-2)
  await first!.kill()
  const up = cluster.nodes.filter((node) => node !== first)
  await allFinal(cluster, await cluster.submit(10, up), up)
  await second!.kill()
  const few = up.filter((node) => node !== second)
  const waiting = await cluster.submit(10, few)
  await allRecorded(cluster, waiting, few)
  expect((await finalOf(few[0]!)).index).toBeLessThan(few[0]!.blocks().length - 1)
  await first!.start()
  await second!.start()
  await allFinal(cluster, waiting)
  await expectOneLedger()
}, 180_000)
