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
  expectSameRows(cluster, nodes)
  expectPeace(cluster)
}

/** The same without waiting, and whatever was logged. */
export function expectSameRows(cluster: Cluster, nodes: readonly ClusterNode[]): void {
  const [first, ...others] = nodes
  const rows = first!.rows()
  const blocks = first!.blocks()
  for (const node of others) {
    expect(node.blocks()).toEqual(blocks)
    expect(node.rows()).toEqual(rows)
  }
  expect(rows.map(({ tx_hash }) => tx_hash)).toEqual([...cluster.acknowledged].toSorted())
}

/** Honest nodes race: a block may come that was made on another one than that which has just become final. */
export const raceAlarm = 'a heavier branch was refused: it would undo what is final'

/**
 * Whatever happens between honest nodes, nobody is banned for it, and no node finds a fault of its own. `alarms`: what they
 * are right to raise among themselves, as parts of lines.
 */
export function expectPeace({ nodes }: Cluster, alarms: readonly string[] = []): void {
  const isExpected = (line: string): boolean => alarms.some((alarm) => line.includes(alarm))
  for (const node of nodes) {
    const lines = node.log().split('\n')
    const faults = lines.filter((line) => line.includes('"level":"ERROR"') || line.includes('banned'))
    expect(faults.filter((line) => !isExpected(line))).toEqual([])
  }
}
