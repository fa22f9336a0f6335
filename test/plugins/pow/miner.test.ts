import { createHash } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, test } from 'bun:test'
import canonicalize from 'canonicalize'
import type { Header } from '../../../core/chain/block.ts'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import type { MiningRange } from '../../../core/plugin.ts'
import type { Clock } from '../../../core/runtime.ts'
import { Miner, type MinerParts } from '../../../plugins/pow/miner.ts'
import { draftAfter, genesisHeader, testKey } from '../../support/headers.ts'

const workerUrl = new URL('../../../plugins/pow/worker.ts', import.meta.url)
const key = testKey(3)
const template = draftAfter([genesisHeader(developmentGenesis('pow', {}))], key)
const headerOf = (work: number, extra = ''): Header => ({ ...template, work, extra })
const never = new AbortController().signal
/** So much work that nobody finds it. */
const hopeless = 2 ** 52

const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds)
    return { cancel: () => clearTimeout(timer) }
  },
  soon: (run) => void setImmediate(run),
}

interface RecordedRange extends MiningRange {
  completed?: boolean
  solution?: number | undefined
}

/** A miner with everything that it told. */
function rig(more: Partial<MinerParts> = {}) {
  const ranges: RecordedRange[] = []
  const workers: Worker[] = []
  const facts: { event: string; fact: Record<string, number> }[] = []
  const lines: string[] = []
  const waiting: { test: () => boolean; resolve: () => void }[] = []
  const changed = () => waiting.filter(({ test }) => test()).forEach(({ resolve }) => resolve())
  const note = (message: string) => {
    lines.push(message)
    changed()
  }
  const miner = new Miner({
    threads: 1,
    clock,
    startWorker() {
      const worker = new Worker(workerUrl)
      workers.push(worker)
      return worker
    },
    storage: {
      openRange(range) {
        ranges.push({ ...range })
        changed()
        return ranges.length - 1
      },
      closeRange(id, completed, solution) {
        Object.assign(ranges[id]!, { completed, solution })
      },
    },
    log: { debug: note, info: note, warn: note, error: note },
    publish(event, fact) {
      facts.push({ event, fact })
      changed()
    },
    ...more,
  })
  const until = (test: () => boolean) =>
    new Promise<void>((resolve) => {
      if (test()) resolve()
      else waiting.push({ test, resolve })
    })
  running.push(miner)
  return { miner, ranges, workers, facts, lines, until }
}

const running: Miner[] = []
afterEach(async () => {
  for (const miner of running.splice(0)) await miner.stop()
})

/** The protocol's own words, without a line of the miner's or of core's. */
function hashOf(header: Header, nonce: number): string {
  return createHash('sha256')
    .update(`${canonicalize(header)}${nonce}`)
    .digest('hex')
}

describe('a miner', () => {
  test.each([0, 1, 2, 3, 4])('finds a nonce of difficulty %d', async (difficulty) => {
    const { miner } = rig({ threads: 2 })
    const header = headerOf(16 ** difficulty)
    const seal = await miner.seal(header, never)
    expect(hashOf(header, seal!.nonce).slice(0, difficulty)).toBe('0'.repeat(difficulty))
  })

  test('starts no worker for what a few hashes find', async () => {
    const { miner, workers, ranges } = rig()
    expect(await miner.seal(headerOf(1), never)).toEqual({ nonce: 0 })
    expect(workers).toEqual([])
    expect(ranges).toEqual([{ worker: 'main', start: 0, end: 256, completed: true, solution: 0 }])
  })

  test('goes on with a worker where the few hashes were not enough', async () => {
    const { miner, ranges } = rig()
    for (let tag = 0; tag < 50; tag++) {
      const header = headerOf(256, `tag ${tag}`)
      const seal = await miner.seal(header, never)
      expect(hashOf(header, seal!.nonce)).toStartWith('00')
    }
    const further = ranges.filter(({ worker, start }) => worker === 'worker-1' && start === 256)
    expect(further.length).toBeGreaterThan(0)
  })

  test('keeps its workers from one header to the next, and starts at nonce 0 again', async () => {
    const { miner, workers, ranges } = rig({ threads: 2 })
    for (const tag of ['a', 'b', 'c']) await miner.seal(headerOf(4096, tag), never)
    await miner.idle()
    expect(workers.length).toBe(2)
    expect(ranges.filter(({ start }) => start === 0).length).toBe(3)
  })

  test('records each range when it is handed out, and closes every one', async () => {
    const { miner, ranges } = rig({ threads: 2 })
    const seal = await miner.seal(headerOf(16 ** 4), never)
    await miner.idle()
    expect(ranges.filter(({ completed }) => completed === undefined)).toEqual([])
    const solved = ranges.filter(({ solution }) => solution === seal!.nonce)
    expect(solved).toMatchObject([{ completed: true }])
    expect(solved[0]!.start).toBeLessThanOrEqual(seal!.nonce)
    expect(solved[0]!.end).toBeGreaterThan(seal!.nonce)
    const sorted = ranges.toSorted((a, b) => a.start - b.start)
    expect(sorted[0]!.start).toBe(0)
    // One after the other, without a gap and none twice.
    for (let i = 1; i < sorted.length; i++) expect(sorted[i]!.start).toBe(sorted[i - 1]!.end)
    for (const { start, end } of ranges) expect(end - start).toBeGreaterThanOrEqual(65_536)
  })

  test('gives up at once when it is aborted, and its workers go idle', async () => {
    const { miner, ranges, until } = rig({ threads: 2 })
    const attempt = new AbortController()
    const sealing = miner.seal(headerOf(hopeless), attempt.signal)
    // A third range: both workers are up and one has finished its first.
    await until(() => ranges.length > 2)
    attempt.abort()
    expect(await sealing).toBeUndefined()
    // Resolves only when both workers have acknowledged: neither would be through by itself for weeks.
    await miner.idle()
    expect(ranges.filter(({ completed }) => completed === false).length).toBeGreaterThan(0)
    expect(ranges.filter(({ completed }) => completed === undefined)).toEqual([])
    expect(ranges.every(({ solution }) => solution === undefined)).toBe(true)
  })

  test('gives nothing to who aborted before', async () => {
    const { miner, ranges } = rig()
    expect(await miner.seal(headerOf(1), AbortSignal.abort())).toBeUndefined()
    expect(ranges).toEqual([])
  })

  test('a new header takes the place of the last', async () => {
    const { miner } = rig()
    const first = miner.seal(headerOf(hopeless), never)
    const second = miner.seal(headerOf(4096), never)
    expect(await first).toBeUndefined()
    expect(await second).toBeDefined()
  })

  test('replaces a worker that dies and gives its range out again', async () => {
    const { miner, ranges, workers, lines, until } = rig()
    const attempt = new AbortController()
    const sealing = miner.seal(headerOf(hopeless), attempt.signal)
    await until(() => ranges.length > 1)
    const lost = ranges.at(-1)!
    await workers[0]!.terminate()
    await until(() => ranges.filter(({ start }) => start === lost.start).length > 1)
    expect(lost).toMatchObject({ completed: false, solution: undefined })
    expect(ranges.at(-1)).toMatchObject({ start: lost.start, end: lost.end })
    expect(lines.some((line) => line.includes('worker died'))).toBe(true)
    // The new one works: it goes through the range and takes another.
    await until(() => ranges.at(-1)!.start >= lost.end)
    attempt.abort()
    expect(await sealing).toBeUndefined()
    expect(workers.length).toBe(2)
  })

  test('says so when its workers cannot live at all', async () => {
    const broken = () => new Worker(new URL('data:text/javascript,throw new Error("no such kernel")'))
    const { miner } = rig({ startWorker: broken })
    const failed = await miner.seal(headerOf(4096), never).catch((error: unknown) => error)
    expect(failed).toMatchObject({ code: 'mining-failed' })
    await miner.idle()
  })

  test('a full disk does not stop it; it is logged once', async () => {
    const full = () => {
      throw new Error('the disk is full')
    }
    const { miner, lines } = rig({ storage: { openRange: full, closeRange: full } })
    for (const tag of ['a', 'b']) expect(await miner.seal(headerOf(4096, tag), never)).toBeDefined()
    expect(lines.filter((line) => line.includes('not recorded')).length).toBe(1)
  })

  test('leaves the event loop free, and tells how it goes', async () => {
    const { miner, facts, until } = rig({ threads: 2 })
    const attempt = new AbortController()
    const sealing = miner.seal(headerOf(hopeless), attempt.signal)
    let beats = 0
    const beat = setInterval(() => beats++, 5)
    await until(() => facts.length > 0)
    clearInterval(beat)
    attempt.abort()
    await sealing
    // A second went by until the first fact: a loop that is blocked by hashing would have beaten once or never.
    expect(beats).toBeGreaterThan(50)
    const { event, fact } = facts[0]!
    expect(event).toBe('progress')
    expect(fact['attempts']!).toBeGreaterThan(10_000)
    expect(fact['work']).toBe(hopeless)
    expect(fact['elapsedMilliseconds']!).toBeGreaterThan(900)
    expect(fact['expectedSeconds']!).toBeCloseTo(hopeless / fact['hashesPerSecond']!, 0)
  })

  test('tells what it found', async () => {
    const { miner, facts, lines } = rig()
    const seal = await miner.seal(headerOf(4096), never)
    expect(facts.at(-1)).toMatchObject({ event: 'found', fact: { nonce: seal!.nonce, work: 4096, index: 1 } })
    expect(lines).toContain('block found')
  })

  test('stops while it is mining', async () => {
    const { miner, ranges, until } = rig({ threads: 2 })
    const sealing = miner.seal(headerOf(hopeless), never)
    await until(() => ranges.length > 2)
    await miner.stop()
    expect(await sealing).toBeUndefined()
    expect(ranges.filter(({ completed }) => completed === undefined)).toEqual([])
  })
})
