import type { Figures, Moment } from './observations.ts'
import type { Plan } from './plan.ts'
import type { Outcome } from './simulation.ts'

const heightBar = 30

/** What happened, for a person. The last line is the trace. */
export function reportText(outcome: Outcome, replay: string): string {
  const { plan, figures, faults, hostile, scenes, trace, seconds } = outcome
  return [
    worldText(plan, figures),
    '',
    timelineText(figures.timeline),
    '',
    row('ended', `after ${timeText(seconds)} of the world, ${figures.events} events`),
    row('blocks', `${figures.height} in the chain of ${figures.blocks} that were valid; stale ${staleText(figures)}`),
    row('reorganisations', depthsText(figures.reorganisations)),
    row(
      'transactions',
      `${figures.submitted} submitted, ${figures.acknowledged} acknowledged, ${figures.recorded} recorded`,
    ),
    row('network', `${figures.deliveries} deliveries, ${(figures.bytes / 1e6).toFixed(1)} MB`),
    row('propagation', propagationText(figures)),
    row('faults', countsText(faults)),
    row('hostile', countsText(hostile)),
    row('scenes', countsText(scenes)),
    '',
    verdictText(outcome, replay),
    `trace ${trace}`,
    '',
  ].join('\n')
}

function worldText({ seed, nodes, minutes, application, light }: Plan, { engine }: Figures): string {
  const lights = light === 0 ? '' : `, ${light} without a chain`
  return `seed ${seed}: ${nodes} nodes, ${Number(minutes.toFixed(1))} minutes, engine ${engine}${application === 'none' ? '' : `, application ${application}`}${lights}`
}

/** One line a moment: how many nodes run, how many different heads they have, how high the highest is. */
function timelineText(timeline: readonly Moment[]): string {
  const top = Math.max(1, ...timeline.map(({ height }) => height))
  const lines = timeline.map(({ seconds, up, heads, height }) => {
    const bar = '#'.repeat(Math.round((height / top) * heightBar))
    return `${timeText(seconds).padStart(6)}${String(up).padStart(6)}${String(heads).padStart(7)}${String(height).padStart(8)}  ${bar}`
  })
  return ['  time    up  heads  height', ...lines].join('\n')
}

function verdictText({ broken, seconds }: Outcome, replay: string): string {
  if (broken === undefined) return 'every invariant held'
  const where = broken.node === undefined ? '' : ` at node ${broken.node}`
  return [
    `BROKEN after ${seconds.toFixed(3)} s${where}: ${broken.invariant}`,
    `  ${broken.message}`,
    `  to see it again: ${replay}`,
  ].join('\n')
}

const row = (name: string, text: string): string => `${name.padEnd(16)}${text}`

function timeText(seconds: number): string {
  const whole = Math.floor(seconds)
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}

function staleText({ blocks, height }: Figures): string {
  return blocks === 0 ? '0 %' : `${(((blocks - height) / blocks) * 100).toFixed(1)} %`
}

function depthsText(depths: Figures['reorganisations']): string {
  const all = Object.entries(depths)
  if (all.length === 0) return 'none'
  return all.map(([depth, times]) => `${times} of ${depth} ${depth === '1' ? 'block' : 'blocks'}`).join(', ')
}

function propagationText({ propagation: { median, p99, samples } }: Figures): string {
  if (samples === 0) return 'nothing to measure'
  return `a block reaches a node in ${median.toFixed(0)} ms (median), ${p99.toFixed(0)} ms (99th percentile)`
}

export function countsText(counts: Readonly<Record<string, number>>): string {
  const fired = Object.entries(counts).filter(([, times]) => times > 0)
  return fired.length === 0 ? 'none' : fired.map(([kind, times]) => `${kind} ${times}`).join(', ')
}
