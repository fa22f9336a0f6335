// Partitions between real processes, made by proxies: both sides mine and accept, and are one ledger when it is over.
import { afterEach, expect, test } from 'bun:test'
import { expectAgreement } from '../support/agreement.ts'
import { Cluster } from '../support/cluster.ts'
import type { Rule, Wire } from '../support/proxy.ts'

const pow = ['--plugins', 'pow,tcp,sqlite', '--difficulty', '2']
const sideOf = (name: string | undefined): 'two' | 'three' => (name === 'n0' || name === 'n1' ? 'two' : 'three')

const between =
  (wire: Wire): Rule =>
  (from, to) =>
    from === undefined || sideOf(from) === sideOf(to) ? 'open' : wire

let cluster: Cluster
afterEach(() => cluster.dispose())

async function started(): Promise<Cluster> {
  cluster = await Cluster.start({
    count: 5,
    args: pow,
    wired: true,
    peersOf: (place) => [...Array(place).keys()],
  })
  await cluster.connected(2)
  await cluster.submit(10)
  await expectAgreement(cluster)
  return cluster
}

/** More than the ten blocks beyond which a node synchronises instead of asking for parents. */
const blocksApart = 25

/** Both sides go on for themselves, until each has so many blocks of its own and has recorded what it was given. */
async function goOnApart({ nodes }: Cluster): Promise<void> {
  const sides = [nodes.slice(0, 2), nodes.slice(2)]
  const before = nodes[0]!.blocks().length
  await cluster.until('both sides have mined', async () => {
    for (const side of sides) await cluster.submit(4, side)
    return sides.every(([first]) => first!.blocks().length >= before + blocksApart)
  })
  for (const side of sides) await cluster.agreed(side)
  const [two, three] = sides.map(([first]) => first!.blocks())
  // They are apart from the first block after the cut on; one that was on its way may have got through.
  expect(two!.slice(before + 1).some((hash) => three!.includes(hash))).toBe(false)
}

test('2 and 3 nodes without any connection, healed: one head, everything acknowledged recorded once everywhere', async () => {
  const { wires } = await started()
  wires!.set(between('cut'))
  await goOnApart(cluster)
  wires!.heal()
  await expectAgreement(cluster, cluster.nodes, 60_000)
}, 180_000)

test('2 and 3 nodes whose messages are lost while the connections seem to live', async () => {
  const { wires } = await started()
  wires!.set(between('held'))
  await goOnApart(cluster)
  wires!.heal()
  await expectAgreement(cluster, cluster.nodes, 60_000)
}, 180_000)

test('one way: the three hear the two, and are not heard', async () => {
  const { wires } = await started()
  wires!.set((from, to) => (from !== undefined && sideOf(from) === 'three' && sideOf(to) === 'two' ? 'held' : 'open'))
  for (let round = 0; round < 4; round++) {
    await cluster.submit(6, cluster.nodes.slice(0, 2))
    await cluster.submit(6, cluster.nodes.slice(2))
  }
  await cluster.agreed(cluster.nodes.slice(2))
  wires!.heal()
  await expectAgreement(cluster, cluster.nodes, 60_000)
}, 180_000)
