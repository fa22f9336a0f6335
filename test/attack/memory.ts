// How much memory a process holds, as Linux says.
import { readFileSync } from 'node:fs'
import type { NodeProcess } from '../support/process.ts'

export const memoryGrowthMax = 64 * 1024 * 1024

export function residentBytes(node: NodeProcess): number {
  const status = readFileSync(`/proc/${node.process.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}
