import { AurexError, definePlugin, type Context, type OutboxEntry, type Storage } from '../../core/index.ts'
import { configSchema, targetsOf, type NotifierConfig } from './config.ts'
import { Courier } from './courier.ts'
import { knownKeys, type Cursor } from './cursor.ts'
import { healthOf, metricsOf } from './figures.ts'
import { deliverFrame } from './framed.ts'
import { deliverLine } from './ndjson.ts'
import { newsOf, type News } from './news.ts'
import { Notes } from './notes.ts'
import type { View } from './projection.ts'
import type { Target } from './target.ts'
import { postWebhook } from './webhook.ts'

type NotifierContext = Context<'storage', 'chain'>

const graceMilliseconds = 800
const lookMilliseconds = 1_000
/** On a node without a chain: what all targets were told is forgotten, a thousand entries at a time, but for so many. */
const reportsKept = 10_000
const forgetMilliseconds = 5_000

export default definePlugin({
  name: 'notifier',
  summary: 'tells other programs of every confirmed block',
  provides: 'none',
  needs: ['storage'],
  wants: ['chain'],
  config: configSchema,
  setup(context, config) {
    const targets = targetsOf(config)
    const couriers = targets.map((target) => courierOf(context, config, target))
    sayWhoIsLeftOut(context, targets)
    for (const metric of metricsOf(couriers, context.runtime.clock)) context.contribute('metric', metric)
    context.contribute('health', healthOf(couriers))
    const look = (): void => couriers.forEach((courier) => courier.look())
    context.on('head:moved', look)
    context.on('chain:finalized', look)
    context.onPlugin('gateway:confirmed', look)
    context.defer(async () => {
      await Promise.all(couriers.map((courier) => courier.stop(graceMilliseconds)))
    })
    for (const courier of couriers) courier.start()
    if (context.use.chain !== undefined) keepNotes(context)
    else forgetTold(context, couriers)
  },
})

function courierOf(context: NotifierContext, config: NotifierConfig, target: Target): Courier {
  const { runtime, log, identity, genesis } = context
  const { storage } = context.use
  return new Courier({
    name: target.name,
    storage,
    records: storage.records('notifier'),
    runtime,
    log,
    view: viewOf(context, config),
    beginning: () => beginning(context, config),
    newsOf: (saying) => newsOf({ storage, identity, genesis }, saying),
    deliver: (news, signal) => deliver(context, config, target, news, signal),
    bounds: { millisecondsMin: config.retry_first * 1_000, millisecondsMax: config.retry_max * 1_000 },
  })
}

/** A node without a chain passes on what others confirm. */
function viewOf({ use: { storage, chain } }: NotifierContext, { confirmations, when }: NotifierConfig): View {
  if (chain === undefined) return { of: 'reports', when }
  return {
    of: 'chain',
    when,
    confirmations,
    appliedAt: (height, sequence) => storage.appliedAt(height, sequence),
    isFinal: (entry) => isFinal(storage, entry),
  }
}

function beginning({ use: { storage, chain } }: NotifierContext, config: NotifierConfig): Cursor {
  if (config.from === 'start') return { sequence: 0, reported: 0, final: 0, floor: 0 }
  const reported = chain === undefined ? 0 : reportedBefore(storage, config)
  return { sequence: storage.outboxEnd(), reported, final: reported, floor: reported }
}

/** Blocks that are not deep enough yet, or not final, are told when they are. */
const reportedBefore = (storage: Storage, { confirmations, when }: NotifierConfig): number =>
  when === 'final' ? storage.finalHeight() : Math.max(0, storage.head().header.index - confirmations + 1)

/** As the ledger has it: that outlives a restart. A height may be final with another block than was there once. */
const isFinal = (storage: Storage, { index, hash }: OutboxEntry): boolean =>
  index <= storage.finalHeight() && storage.headerAt(index)?.header.current_hash === hash

async function deliver(
  context: NotifierContext,
  config: NotifierConfig,
  { way }: Target,
  news: News,
  signal: AbortSignal,
): Promise<void> {
  const { runtime } = context
  const limits = {
    connectMillisecondsMax: config.connect_timeout * 1_000,
    answerMillisecondsMax: config.answer_timeout * 1_000,
  }
  switch (way.scheme) {
    case 'ndjson':
      return await deliverLine(
        { runtime, at: way.at, bytes: Buffer.from(`${news.line}\n`), limits, signal },
        way.answers,
      )
    case 'gateway':
      return await deliverFrame({ runtime, at: way.at, bytes: news.frame(), limits, signal })
    case 'sink':
      return await sinkOf(context, way.sink).deliver(way.target, { id: news.id, line: news.line }, signal)
    case 'http': {
      const millisecondsMax = limits.connectMillisecondsMax + limits.answerMillisecondsMax
      return await postWebhook({ runtime, way, news, secret: config.webhook_secret ?? '', millisecondsMax })
    }
  }
}

/** Looked up each time: a plugin that is set up later contributes later. */
function sinkOf(context: NotifierContext, scheme: string) {
  const sinks = context.contributed('sink')
  const sink = sinks.find(({ name }) => name === scheme)
  if (sink !== undefined) return sink
  const there = ['ndjson', 'gateway', 'http', 'https', ...sinks.map(({ name }) => name)].join(', ')
  throw new AurexError('no-sink', `no plugin delivers to ${scheme}://; add it to --plugins; there are ${there}`)
}

function sayWhoIsLeftOut({ use: { storage }, log }: NotifierContext, targets: readonly Target[]): void {
  const names = targets.map(({ name }) => name)
  const left = knownKeys(storage.records('notifier')).filter((key) => !names.includes(key))
  if (left.length === 0) return
  log.info('these were told before and are no targets now; named again, they go on where they were', { targets: left })
}

/** What others confirmed is kept for those who are still to be told, and for a while for a target that is named anew. */
function forgetTold(context: NotifierContext, couriers: readonly Courier[]): void {
  const { runtime, log, use } = context
  const look = (): void => {
    try {
      const told = Math.min(...couriers.map(({ sequence }) => sequence))
      use.storage.forgetReports(Math.min(told, use.storage.outboxEnd() - reportsKept))
    } catch (error) {
      log.debug('what was told is not forgotten; it is tried again', { error })
    }
    timer = runtime.clock.after(forgetMilliseconds, look)
  }
  let timer = runtime.clock.after(forgetMilliseconds, look)
  context.defer(() => timer.cancel())
}

function keepNotes(context: NotifierContext): void {
  const { runtime, log } = context
  const { storage } = context.use
  const notes = new Notes(storage)
  let failed = false
  const look = (): void => {
    let more = false
    try {
      more = notes.take()
      failed = false
    } catch (error) {
      if (!failed) log.warn('what was undone is not noted; it is tried again', { error })
      failed = true
    }
    timer = runtime.clock.after(more ? 1 : lookMilliseconds, look)
  }
  let timer = runtime.clock.after(0, look)
  context.defer(() => timer.cancel())
}
