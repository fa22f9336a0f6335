import { parseTimestamp, type Clock, type HealthCheck, type Metric } from '../../core/index.ts'
import type { Courier } from './courier.ts'

type Figure = (courier: Courier) => number

/** A listener that is restarted is no news. */
const warnAfterMilliseconds = 60_000

export function metricsOf(couriers: readonly Courier[], clock: Clock): Metric[] {
  const metric = (name: string, kind: Metric['kind'], help: string, figure: Figure): Metric => ({
    name: `notifier_${name}`,
    help,
    kind,
    read: () => couriers.map((courier) => ({ labels: { target: courier.name }, value: figure(courier) })),
  })
  const waitingSeconds: Figure = ({ figures: { waitingSince } }) => {
    const since = parseTimestamp(waitingSince)
    return since === undefined ? 0 : Math.max(0, (clock.now() - since) / 1_000)
  }
  return [
    metric('backlog_blocks', 'gauge', 'what became of blocks and was not told yet', ({ figures }) => figures.backlog),
    metric('oldest_seconds', 'gauge', 'age of the oldest block that was not told yet', waitingSeconds),
    metric('deliveries_total', 'counter', 'messages that a target has taken', ({ figures }) => figures.delivered),
    metric('failures_total', 'counter', 'tries that a target has not taken', ({ figures }) => figures.failed),
  ]
}

export function healthOf(couriers: readonly Courier[]): HealthCheck {
  return {
    name: 'notifier:targets',
    check() {
      const failing = couriers.filter(
        ({ figures }) => figures.damaged || figures.failingMilliseconds >= warnAfterMilliseconds,
      )
      if (failing.length === 0) return { status: 'pass' }
      const output = failing
        .map(({ name, figures }) => `${name}: ${figures.backlog} waiting, ${figures.lastFailure}`)
        .join('; ')
      return { status: failing.some(({ figures }) => figures.damaged) ? 'fail' : 'warn', output }
    },
  }
}
