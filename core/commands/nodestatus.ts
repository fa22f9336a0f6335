import type { NodeStatus } from '../client.ts'
import { printable } from './terminal.ts'

/** What a node says of itself, for a person. */
export function nodeStatusText(status: NodeStatus): string {
  const facts = table([
    ['node', `${status.name}, ${status.node_type}, aurex ${status.version}`],
    ['node id', status.node_id],
    ['chain', status.chain_id ?? 'none'],
    ['height', status.height],
    ['head', status.head],
    ['final', finalText(status)],
    ['justified', status.justified?.index],
    ['pending', status.pending],
    ['peers', status.peers],
    ['syncing', status.height === undefined ? undefined : status.syncing ? 'yes' : 'no'],
  ])
  const health = table(
    status.health.map(({ name, status: how, output }) => [how, output ? `${name}: ${output}` : name]),
  )
  const metrics = table(status.metrics.map((metric) => [nameOf(metric), metric.value]))
  return [facts, titled('health', health), titled('metrics', metrics)].join('')
}

/** How far it is, and how far the head is ahead of it. */
function finalText({ final, height }: NodeStatus): string | undefined {
  if (final === undefined || height === undefined) return undefined
  if (final.index === 0) return 'block 0 alone'
  return final.index === height ? `${final.index}, the head` : `${final.index}, ${height - final.index} below the head`
}

const titled = (title: string, text: string): string =>
  text === '' ? '' : `\n${title}\n${text.replace(/^/gm, '  ').trimEnd()}\n`

/** As Prometheus writes a series. */
function nameOf({ name, labels }: NodeStatus['metrics'][number]): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}=${JSON.stringify(value)}`)
  return pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`
}

/** Rows of a name and what is to be said of it, aligned; those without are left out. */
export function table(rows: readonly (readonly [name: string, value: string | number | undefined])[]): string {
  const shown = rows.flatMap(([name, value]) =>
    value === undefined ? [] : [[printable(name), printable(String(value))] as const],
  )
  const width = Math.max(0, ...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('')
}
