import { expect } from 'bun:test'
import type { Cluster, ClusterNode } from './cluster.ts'

/**
 * Waits until these nodes have the same head, then compares their ledgers row by row: the same blocks, the same
 * transactions in the same blocks, and every one that was acknowledged exactly once.
 */
export async function expectAgreement(
  cluster: Cluster,
  nodes: readonly ClusterNode[] = cluster.nodes,
  millisecondsMax?: number,
): Promise<void> {
  await cluster.agreed(nodes, millisecondsMax)
  const [first, ...others] = nodes
  const rows = first!.rows()
  const blocks = first!.blocks()
  for (const node of others) {
    expect(node.blocks()).toEqual(blocks)
    expect(node.rows()).toEqual(rows)
  }
  expect(rows.map(({ tx_hash }) => tx_hash)).toEqual([...cluster.acknowledged].toSorted())
  expectPeace(cluster)
}

/** Whatever happens between honest nodes, nobody is banned for it, and no node finds a fault of its own. */
export function expectPeace({ nodes }: Cluster): void {
  for (const node of nodes) {
    const lines = node.log().split('\n')
    expect(lines.filter((line) => line.includes('"level":"ERROR"') || line.includes('banned'))).toEqual([])
  }
}
