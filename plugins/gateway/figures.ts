import type { Context, Result } from '../../core/index.ts'
import type { Desk, Submission } from './desk.ts'

interface Figures {
  readonly counts: Desk['counts']
  readonly givenUp: () => number
  readonly outcomes: Outcomes
}

/** How submissions ended, since the start. */
export class Outcomes {
  readonly #counts = { taken: 0, queued: 0, declined: 0 }

  count(answer: Result<Submission>): void {
    if (!answer.ok) this.#counts.declined++
    else if (answer.value.nodesReached > 0) this.#counts.taken++
    else this.#counts.queued++
  }

  read() {
    return Object.entries(this.#counts).map(([outcome, value]) => ({ labels: { outcome }, value }))
  }
}

export function contributeFigures(context: Pick<Context, 'contribute'>, figures: Figures): void {
  const { counts, givenUp, outcomes } = figures
  context.contribute('metric', {
    name: 'gateway_queued_transactions',
    help: 'Transactions that are kept here and that no node is known to have.',
    kind: 'gauge',
    read: () => counts().queued,
  })
  context.contribute('metric', {
    name: 'gateway_unsettled_transactions',
    help: 'Transactions that nodes have and that are not deep enough in the chain to be forgotten here.',
    kind: 'gauge',
    read: () => counts().unsettled,
  })
  context.contribute('metric', {
    name: 'gateway_nodes_reachable',
    help: 'Nodes to which transactions can be given now.',
    kind: 'gauge',
    read: () => counts().nodes,
  })
  context.contribute('metric', {
    name: 'gateway_given_up_total',
    help: 'Transactions that were kept and that every node refused for good.',
    kind: 'counter',
    read: givenUp,
  })
  context.contribute('metric', {
    name: 'gateway_submissions_total',
    help: 'Transactions and purchases that clients sent: taken by a node, queued, or declined.',
    kind: 'counter',
    read: () => outcomes.read(),
  })
  context.contribute('health', {
    name: 'gateway:nodes',
    check: () =>
      counts().nodes > 0
        ? { status: 'pass' }
        : { status: 'warn', output: `no node can be reached; ${counts().queued} transactions wait for one` },
  })
}
