import type { Worker } from 'node:worker_threads'
import {
  AurexError,
  headerHash,
  messageOf,
  type Clock,
  type Header,
  type Log,
  type Seal,
  type Storage,
  type Timer,
} from '../../core/index.ts'
import { Attempt } from './attempt.ts'
import type { Sealer } from './engine.ts'
import { Control, Hand, type Range } from './hand.ts'
import { difficultyOf, meetsTarget } from './rules.ts'
import { search, type Outcome } from './search.ts'

export interface MinerParts {
  readonly threads: number
  readonly startWorker: () => Worker
  /** Where the ranges are recorded. */
  readonly storage: Pick<Storage, 'openRange' | 'closeRange'>
  readonly clock: Clock
  readonly log: Log
  readonly publish: (event: 'progress' | 'found', fact: Record<string, number>) => void
}

/** Tried here before a worker is asked: less than a millisecond, while the way to a worker and back takes as long. */
const inlineHashes = 256
const rangeHashesMin = 65_536
/** The shared counters have 32 bits. */
const rangeHashesMax = 2 ** 30
const rangeMilliseconds = 2_000
const progressMilliseconds = 1_000
/** Progress is logged with every so many of its facts. */
const progressFactsPerLine = 5
/** Workers that die one after the other, without an answer in between, before mining is given up. */
const deathsInARowMax = 5

/** Finds nonces with worker threads. It works on one header at a time: a new one takes the place of the last. */
export class Miner implements Sealer {
  readonly #parts: MinerParts
  readonly #control: Control
  readonly #hands: readonly Hand[]
  /** By hand, hashes a millisecond: measured with every range. */
  readonly #rates = new Map<Hand, number>()
  readonly #ledger: RangeLedger
  readonly #loops = new Set<Promise<void>>()
  #attempt: Attempt | undefined
  #deathsInARow = 0

  constructor(parts: MinerParts) {
    this.#parts = parts
    const { threads, startWorker, log } = parts
    this.#control = new Control(threads)
    this.#hands = Array.from({ length: threads }, (_, at) => new Hand(at, this.#control, startWorker, log))
    this.#ledger = new RangeLedger(parts)
  }

  /**
   * Resolves `undefined` at once when `signal` is aborted, or when another call takes over, or when every nonce was
   * tried. Rejects `mining-failed` when the workers keep dying.
   */
  async seal(header: Header, signal: AbortSignal): Promise<Seal | undefined> {
    if (this.#attempt !== undefined) this.#end(this.#attempt)
    if (signal.aborted) return undefined
    const attempt = new Attempt(header, this.#control.generation, this.#parts.clock.monotonic())
    this.#attempt = attempt
    const giveUp = () => this.#end(attempt)
    signal.addEventListener('abort', giveUp, { once: true })
    let timer: Timer | undefined
    try {
      if (header.work <= inlineHashes) this.#tryHere(attempt)
      if (!attempt.over) timer = this.#begin(attempt)
      return await attempt.answer
    } finally {
      timer?.cancel()
      signal.removeEventListener('abort', giveUp)
    }
  }

  /** Resolves when no worker hashes any more and every range is closed. */
  async idle(): Promise<void> {
    await Promise.all(this.#loops)
  }

  /** Gives up what is in work and ends the workers. */
  async stop(): Promise<void> {
    if (this.#attempt !== undefined) this.#end(this.#attempt)
    await this.idle()
    await Promise.all(this.#hands.map((hand) => hand.stop()))
  }

  /** Sets every hand to work; returns the timer of the progress reports. */
  #begin(attempt: Attempt): Timer {
    const loops = this.#hands.map((hand) => this.#track(this.#mine(hand, attempt)))
    // Every nonce was tried in vain, which only a new header can mend.
    void Promise.all(loops).then(() => this.#end(attempt))
    return this.#reportProgress(attempt)
  }

  #track(loop: Promise<void>): Promise<void> {
    this.#loops.add(loop)
    return loop.then(() => void this.#loops.delete(loop))
  }

  /** Ends an attempt for good; a worker notices within a few hundred hashes. */
  #end(attempt: Attempt, seal?: Seal): void {
    if (attempt === this.#attempt) {
      this.#attempt = undefined
      this.#control.next()
    }
    attempt.settle(seal)
  }

  #tryHere(attempt: Attempt): void {
    const range = attempt.take(inlineHashes)
    if (range === undefined) return
    const id = this.#ledger.open('main', range)
    const outcome = search(attempt.puzzle, range.start, range.end, () => true)
    this.#ledger.close(id, true, outcome.nonce)
    this.#count(attempt, outcome)
  }

  /** One hand's share of an attempt: range after range until it is over. */
  async #mine(hand: Hand, attempt: Attempt): Promise<void> {
    try {
      while (!attempt.over) {
        const range = attempt.take(this.#rangeSize(hand))
        if (range === undefined) return
        await this.#mineRange(hand, attempt, range)
      }
    } catch (error) {
      attempt.fail(error)
      this.#end(attempt)
    }
  }

  async #mineRange(hand: Hand, attempt: Attempt, range: Range): Promise<void> {
    const { clock } = this.#parts
    const id = this.#ledger.open(hand.name, range)
    const startedAt = clock.monotonic()
    const outcome = await hand.run(attempt.puzzle, attempt.generation, range)
    const through =
      outcome !== undefined && (outcome.nonce !== undefined || range.start + outcome.attempts >= range.end)
    this.#ledger.close(id, through, outcome?.nonce)
    if (outcome === undefined) {
      attempt.giveBack(range)
      this.#countDeath()
      return
    }
    this.#deathsInARow = 0
    if (through) this.#rates.set(hand, outcome.attempts / Math.max(1, clock.monotonic() - startedAt))
    this.#count(attempt, outcome)
  }

  #countDeath(): void {
    if (++this.#deathsInARow < deathsInARowMax) return
    this.#deathsInARow = 0
    throw new AurexError(
      'mining-failed',
      `pow: ${deathsInARowMax} mining workers died one after the other; the log says why. ` +
        'Mend that, or start with --pow.mine=false',
    )
  }

  #count(attempt: Attempt, { attempts, nonce }: Outcome): void {
    attempt.attempts += attempts
    if (nonce === undefined || attempt.over) return
    const { header } = attempt
    const hash = headerHash(header, nonce)
    if (!meetsTarget(hash, header.work)) {
      throw new AurexError('mining-failed', `pow: a worker answered nonce ${nonce}, whose hash ${hash} is no solution`)
    }
    const { attempts: total, milliseconds, hashesPerSecond } = this.#speed(attempt)
    this.#end(attempt, { nonce })
    this.#parts.log.info('block found', {
      index: header.index,
      hash,
      nonce,
      attempts: total,
      milliseconds: Math.round(milliseconds),
      hashesPerSecond: Math.round(hashesPerSecond),
    })
    this.#parts.publish('found', {
      index: header.index,
      nonce,
      attempts: total,
      hashesPerSecond,
      elapsedMilliseconds: milliseconds,
      work: header.work,
    })
  }

  #speed(attempt: Attempt): { attempts: number; milliseconds: number; hashesPerSecond: number } {
    const milliseconds = this.#parts.clock.monotonic() - attempt.startedAt
    const inWork = this.#hands.map((hand) => hand.attemptsOf(attempt.generation))
    const attempts = inWork.reduce((sum, count) => sum + count, attempt.attempts)
    return { attempts, milliseconds, hashesPerSecond: milliseconds > 0 ? (attempts / milliseconds) * 1000 : 0 }
  }

  #reportProgress(attempt: Attempt): Timer {
    const { clock, log, publish } = this.#parts
    const { work } = attempt.header
    let facts = 0
    let timer: Timer
    const report = () => {
      timer = clock.after(progressMilliseconds, report)
      const { attempts, milliseconds, hashesPerSecond } = this.#speed(attempt)
      if (attempts === 0) return
      // Hashing has no memory: however long it took so far, as many are expected as at the beginning.
      const expectedSeconds = work / hashesPerSecond
      publish('progress', { attempts, hashesPerSecond, expectedSeconds, elapsedMilliseconds: milliseconds, work })
      if (++facts % progressFactsPerLine !== 0) return
      log.info('mining', {
        index: attempt.header.index,
        difficulty: Number(difficultyOf(work).toFixed(2)),
        attempts,
        hashesPerSecond: Math.round(hashesPerSecond),
        expectedSeconds: Math.round(expectedSeconds),
      })
    }
    timer = clock.after(progressMilliseconds, report)
    return { cancel: () => timer.cancel() }
  }

  #rangeSize(hand: Hand): number {
    const size = Math.round((this.#rates.get(hand) ?? 0) * rangeMilliseconds)
    return Math.min(rangeHashesMax, Math.max(rangeHashesMin, size))
  }
}

/** Records ranges as well as it can: a ledger that cannot be written now is no reason to stop mining. */
class RangeLedger {
  readonly #parts: Pick<MinerParts, 'storage' | 'clock' | 'log'>
  #failing = false

  constructor(parts: Pick<MinerParts, 'storage' | 'clock' | 'log'>) {
    this.#parts = parts
  }

  /** undefined: it could not be recorded. */
  open(worker: string, range: Range): number | undefined {
    const { storage, clock } = this.#parts
    return this.#try(() => storage.openRange({ worker, ...range }, clock.now()))
  }

  close(id: number | undefined, completed: boolean, solution: number | undefined): void {
    if (id !== undefined) this.#try(() => this.#parts.storage.closeRange(id, completed, solution))
  }

  #try<T>(write: () => T): T | undefined {
    try {
      const result = write()
      this.#failing = false
      return result
    } catch (error) {
      if (!this.#failing)
        this.#parts.log.warn('nonce ranges are not recorded; mining goes on', { why: messageOf(error) })
      this.#failing = true
      return undefined
    }
  }
}
