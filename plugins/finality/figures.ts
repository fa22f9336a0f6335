import type { Clock, HealthCheck, Metric } from '../../core/index.ts'
import type { VotedFinality } from './finality.ts'

/** An authority that is restarted is no news. */
const warnAfterMilliseconds = 60_000

export const metricsOf = (finality: VotedFinality): readonly Metric[] => [
  {
    name: 'finality_height',
    help: 'up to this block nothing is ever undone',
    kind: 'gauge',
    read: () => finality.final().index,
  },
  {
    name: 'finality_lag_blocks',
    help: 'blocks from there up to the head',
    kind: 'gauge',
    read: () => finality.lagBlocks,
  },
  {
    name: 'finality_votes_total',
    help: 'votes of authorities that were taken',
    kind: 'counter',
    read: () => Object.entries(finality.votesTaken).map(([kind, value]) => ({ labels: { kind }, value })),
  },
]

export const healthOf = (finality: VotedFinality, clock: Pick<Clock, 'now'>): HealthCheck => ({
  name: 'finality:quorum',
  check() {
    if (finality.isContradicted)
      return { status: 'fail', output: 'quorums made blocks final that contradict each other' }
    const { openSince } = finality
    if (openSince === undefined || clock.now() - openSince < warnAfterMilliseconds) return { status: 'pass' }
    return { status: 'warn', output: finality.waits()?.waitsFor ?? 'a decided block is not here yet' }
  },
})
