import * as v from 'valibot'
import type { Contributions, HealthCheck, Metric } from './plugin.ts'
import { AurexError, messageOf } from './errors.ts'

/** One value of a metric. */
export interface Figure {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** What a health check says, or why it cannot. */
export interface Finding {
  readonly name: string
  readonly status: 'pass' | 'warn' | 'fail'
  /** For people; may be empty. */
  readonly output: string
}

/** Of one metric; beyond them none is shown. */
const figuresPerMetricMax = 1_000

/** What plugins contribute, for whoever shows it. Nothing that they do wrong here harms the node. */
export class Contributed {
  readonly #shelves: { readonly [K in keyof Contributions]: Map<string, Contributions[K]> } = {
    metric: new Map(),
    health: new Map(),
    sink: new Map(),
    wait: new Map(),
    evidence: new Map(),
  }

  /** Returns how to take it back. Throws `name-taken`. */
  add<K extends keyof Contributions>(kind: K, what: Contributions[K]): () => void {
    const shelf: Map<string, Contributions[K]> = this.#shelves[kind]
    if (shelf.has(what.name)) throw new AurexError('name-taken', `there is a ${kind} of the name ${what.name} already`)
    shelf.set(what.name, what)
    return () => void shelf.delete(what.name)
  }

  all<K extends keyof Contributions>(kind: K): readonly Contributions[K][] {
    return [...this.#shelves[kind].values()]
  }

  /** What every metric reads now. One that fails is a fault and no figure. */
  figures(): { readonly metrics: readonly Figure[]; readonly faults: readonly Finding[] } {
    const metrics: Figure[] = []
    const faults: Finding[] = []
    for (const metric of this.all('metric')) {
      try {
        metrics.push(...figuresOf(metric))
      } catch (error) {
        faults.push({ name: `metric:${metric.name}`, status: 'fail', output: messageOf(error) })
      }
    }
    return { metrics, faults }
  }

  /** What every health check says now. One that throws has failed. */
  findings(): readonly Finding[] {
    return this.all('health').map((check) => {
      try {
        return findingOf(check)
      } catch (error) {
        return { name: check.name, status: 'fail', output: messageOf(error) }
      }
    })
  }
}

// A plugin may be written without types, so what it hands over is read like anything else from outside.

const finite = v.pipe(v.number(), v.finite())
const reading = v.union([finite, v.array(v.object({ labels: v.record(v.string(), v.string()), value: finite }))])
const report = v.object({ status: v.picklist(['pass', 'warn', 'fail']), output: v.optional(v.string(), '') })

function figuresOf(metric: Metric): readonly Figure[] {
  const { name } = metric
  const figures = v.parse(reading, metric.read())
  if (typeof figures === 'number') return [{ name, labels: {}, value: figures }]
  return figures.slice(0, figuresPerMetricMax).map((figure) => ({ name, ...figure }))
}

const findingOf = (one: HealthCheck): Finding => ({ name: one.name, ...v.parse(report, one.check()) })
