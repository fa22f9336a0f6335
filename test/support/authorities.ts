// Keys and a genesis for a network of authorities, made by the program's own commands, and what its nodes are asked.
import { join } from 'node:path'
import type { Cluster, ClusterNode } from './cluster.ts'
import { aurex, type Run } from './process.ts'

export interface Authority {
  /** Of its key file. */
  readonly path: string
  readonly address: string
  readonly node_id: string
}

/** New keys in a folder: `key0.pem` and so on. */
export async function makeKeys(folder: string, count: number): Promise<Authority[]> {
  return await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const path = join(folder, `key${n}.pem`)
      const { stdout } = must(await aurex(folder, 'key', 'new', '--out', path, '--json'))
      return { ...(JSON.parse(stdout) as Omit<Authority, 'path'>), path }
    }),
  )
}

/** The path of a new genesis, made with these flags of `aurex genesis`. */
export async function makeGenesis(folder: string, ...flags: string[]): Promise<string> {
  const out = join(folder, 'genesis.toml')
  must(await aurex(folder, 'genesis', '--name', 'ring', '--gateways', 'any', '--out', out, ...flags))
  return out
}

export const addressesOf = (authorities: readonly Authority[]): string =>
  authorities.map(({ address }) => address).join(',')

/** An address as what a node waits for names it. */
export const shortAddress = (address: string): string => `${address.slice(0, 4)}...${address.slice(-2)}`

/** What `aurex <words>` prints of this node. */
export async function told(folder: string, node: ClusterNode, ...words: string[]): Promise<string> {
  return must(await aurex(folder, ...words, '--node', `127.0.0.1:${node.port}`)).stdout
}

/** Waits until each of these nodes says of each transaction that it is final. */
export async function allFinal(
  cluster: Cluster,
  hashes: readonly string[],
  nodes: readonly ClusterNode[] = cluster.nodes,
  millisecondsMax?: number,
): Promise<void> {
  await everywhere(cluster, hashes, nodes, ['final'], millisecondsMax)
}

/** Waits until each of these nodes has recorded each transaction. */
export async function allRecorded(
  cluster: Cluster,
  hashes: readonly string[],
  nodes: readonly ClusterNode[] = cluster.nodes,
): Promise<void> {
  await everywhere(cluster, hashes, nodes, ['included', 'final'])
}

async function everywhere(
  cluster: Cluster,
  hashes: readonly string[],
  nodes: readonly ClusterNode[],
  statuses: readonly unknown[],
  millisecondsMax?: number,
): Promise<void> {
  const what = `${hashes.length} transactions ${statuses.join(' or ')} on ${nodes.map(({ name }) => name).join(', ')}`
  await cluster.until(
    what,
    async () => {
      for (const node of nodes) {
        const answers = await Promise.all(hashes.map((tx_hash) => node.ask({ type: 'transaction_status', tx_hash })))
        if (!answers.every(({ status }) => statuses.includes(status))) return false
      }
      return true
    },
    millisecondsMax,
  )
}

function must(run: Run): Run {
  if (run.code !== 0) throw new Error(`exit code ${run.code}: ${run.stderr}`)
  return run
}
