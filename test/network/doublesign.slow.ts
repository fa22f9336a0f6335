// One key, two processes: what a copied key file does to a network of authorities, and what the network does about it.
import { afterEach, expect, test } from 'bun:test'
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { expectSameRows } from '../support/agreement.ts'
import { addressesOf, allFinal, makeGenesis, makeKeys, told, type Authority } from '../support/authorities.ts'
import { Cluster, type ClusterNode } from '../support/cluster.ts'
import { FinalWatch } from '../support/finals.ts'
import { aurex, removeFolder, temporaryFolder } from '../support/process.ts'

const flags = ['--consensus', 'poa', '--block-time', '0.2', '--finality']
const plugins = ['--plugins', 'poa,finality,tcp,sqlite', '--poa.patience', '150']

let folder: string
let cluster: Cluster
afterEach(async () => {
  await cluster.dispose()
  removeFolder(folder)
})

/** Four authorities; their genesis. Nodes are added by the test. */
async function prepared(
  keyOf: (place: number, all: readonly Authority[]) => string,
  peersOf: (place: number) => readonly number[],
): Promise<readonly Authority[]> {
  folder = temporaryFolder()
  const authorities = await makeKeys(folder, 4)
  const genesis = await makeGenesis(folder, ...flags, '--authorities', addressesOf(authorities))
  cluster = await Cluster.start({
    count: 2,
    args: [...plugins, '--genesis', genesis],
    argsOf: (place) => ['--key', keyOf(place, authorities)],
    peersOf,
  })
  return authorities
}

interface Evidence {
  readonly kind: string
  readonly address: string
  readonly what: string
}

interface Wait {
  readonly who: string
  readonly waits_for: string
  readonly help?: string
}

const json = async <T>(node: ClusterNode, command: string): Promise<T> =>
  JSON.parse(await told(folder, node, command, '--json')) as T

const evidenceAt = async (node: ClusterNode): Promise<readonly Evidence[]> =>
  (await json<{ readonly evidence: readonly Evidence[] }>(node, 'evidence')).evidence

async function signingWait(node: ClusterNode): Promise<Wait | undefined> {
  const { waits } = await json<{ readonly waits: readonly Wait[] }>(node, 'why')
  return waits.find(({ who }) => who === 'signing')
}

/** Heights of the recorded blocks that a key has signed. */
const heightsOf = ({ node_id }: Authority, node: ClusterNode): number[] =>
  node.headers().flatMap(({ index, miner_id }) => (miner_id === node_id ? [index] : []))

/** Heights that the recorded certificates with a key's vote are about. */
const votedHeights = ({ address }: Authority, node: ClusterNode): number[] =>
  node.headers().flatMap(({ finality }) => {
    const { index, signatures } = JSON.parse(finality ?? '{}') as { index?: number; signatures?: object }
    return index !== undefined && Object.hasOwn(signatures!, address) ? [index] : []
  })

/** Two processes with one key, apart from each other, each with a transaction: two blocks 1. Then the others come. */
async function signedTwice(): Promise<readonly Authority[]> {
  const copied = (all: readonly Authority[]): string => {
    const path = join(folder, 'copied.pem')
    copyFileSync(all[0]!.path, path)
    return path
  }
  const authorities = await prepared(
    (place, all) => (place === 1 ? copied(all) : all[Math.max(0, place - 1)]!.path),
    (place) => [[], [], [0], [1, 2], [0, 1, 2, 3]][place]!,
  )
  const [one, other] = cluster.nodes as [ClusterNode, ClusterNode]
  await cluster.submit(1, [one])
  await cluster.submit(1, [other])
  await cluster.until('both have signed block 1', () => cluster.nodes.every((node) => node.blocks().length === 2))
  expect(one.blocks()[1]).not.toBe(other.blocks()[1])
  for (let n = 0; n < 3; n++) await cluster.add()
  return authorities
}

async function proven({ address: liar }: Authority, nodes: readonly ClusterNode[]): Promise<void> {
  for (const node of nodes) {
    await cluster.until(`${node.name} has evidence against the key`, async () =>
      (await evidenceAt(node)).some(
        ({ kind, address, what }) => kind === 'block' && address === liar && what === 'height 1',
      ),
    )
    expect(await told(folder, node, 'evidence')).toContain(`aurex vote remove ${liar}`)
    for (const { address } of await evidenceAt(node)) expect(address).toBe(liar)
  }
}

async function stopped(nodes: readonly ClusterNode[]): Promise<void> {
  for (const node of nodes) {
    await cluster.until(`${node.name} signs no more`, async () => (await signingWait(node)) !== undefined)
    const wait = await signingWait(node)
    expect(wait?.waits_for).toContain('key')
    expect(wait?.help).toMatch(/stop the other|aurex signing .*--resume/)
  }
}

/** Ends the node, and lets it sign again from a height on that is above all that is recorded. */
async function resumed(node: ClusterNode): Promise<number> {
  const from = node.blocks().length + 6
  expect(await node.stop()).toBe(0)
  const run = await aurex(folder, 'signing', node.ready.ledger, '--resume', '--from', String(from))
  expect(run).toMatchObject({ code: 0 })
  expect(run.stdout).toContain(`nothing up to height ${from - 1} is signed`)
  await node.start()
  return from
}

async function votedOut({ address: gone }: Authority, nodes: readonly ClusterNode[]): Promise<void> {
  for (const [n, node] of nodes.entries()) {
    await told(folder, node, 'vote', 'remove', gone, '--key', join(folder, `key${n + 1}.pem`))
  }
  for (const node of nodes) {
    await cluster.until(`${node.name} counts three authorities`, async () => {
      const { authorities } = await json<{ readonly authorities: readonly Evidence[] }>(node, 'votes')
      return authorities.length === 3 && authorities.every(({ address }) => address !== gone)
    })
  }
}

test('threats row 14: a copied key signs two blocks 1: proven, stopped, never two finals, resumed above a floor, voted out', async () => {
  const [liar] = await signedTwice()
  const [one, other, ...honest] = cluster.nodes as [ClusterNode, ClusterNode, ...ClusterNode[]]
  const watch = new FinalWatch(() => cluster.nodes)
  await proven(liar!, honest)
  await stopped([one, other])
  await allFinal(cluster, await cluster.submit(10, honest), honest)

  // One is ended. The other catches up, since a node is connected with one process of a key only, and is resumed.
  await other.kill()
  const four = [one, ...honest]
  await cluster.agreed(four)
  const from = await resumed(one)
  await cluster.until('the resumed key signs a block again', async () => {
    await allFinal(cluster, await cluster.submit(1, honest), four)
    return heightsOf(liar!, one).some((height) => height >= from)
  })
  const signed = [...heightsOf(liar!, one), ...votedHeights(liar!, one)].filter((height) => height > 1)
  expect(signed.filter((height) => height < from)).toEqual([])
  expect(await signingWait(one)).toBeUndefined()

  await votedOut(liar!, honest)
  const height = one.blocks().length
  await allFinal(cluster, await cluster.submit(6, honest), four)
  expect(heightsOf(liar!, one).filter((index) => index > height)).toEqual([])

  // The other comes back in its place: nothing is lost that it had acknowledged, and it signs nothing.
  expect(await one.stop()).toBe(0)
  await other.start()
  await cluster.agreed([other, ...honest])
  await cluster.until('the record of the other says that it is stopped', async () => {
    const { code, stdout } = await aurex(folder, 'signing', other.ready.ledger)
    return code === 1 && stdout.includes('stopped since')
  })
  await allFinal(cluster, [...cluster.acknowledged], [other, ...honest])
  expectSameRows(cluster, [other, ...honest])
  for (const node of honest) for (const { address } of await evidenceAt(node)) expect(address).toBe(liar!.address)
  await watch.end(cluster.nodes)
}, 120_000)

test('two nodes with the same --key path: the second signs nothing and says whom to stop', async () => {
  const [a] = await prepared(
    (_place, all) => all[0]!.path,
    () => [],
  )
  const [one, other] = cluster.nodes as [ClusterNode, ClusterNode]
  await cluster.submit(1, [one])
  await cluster.until('the first has signed', () => one.blocks().length === 2)
  await cluster.submit(1, [other])
  await cluster.until('the second says that another process has the key', async () => {
    const wait = await signingWait(other)
    return wait?.waits_for.includes('another process on this machine') === true && wait.waits_for.includes(a!.path)
  })
  expect((await signingWait(other))?.help).toContain('stop that process, or this one')
  expect(other.log()).toContain('nothing is signed while another process has the key')
  expect(other.blocks().length).toBe(1)

  // The hold ends with its process, however that ended.
  expect(await other.stop()).toBe(0)
  await one.kill()
  await one.start()
  expect(await signingWait(one)).toBeUndefined()
  expect(one.blocks().length).toBe(2)
}, 60_000)
