import type { Worker } from 'node:worker_threads'
import { messageOf, type Log } from '../../core/index.ts'
import { generationAt, type Job, type Reply } from './job.ts'
import type { Outcome, Puzzle } from './search.ts'

/** Nonces `start` up to but not including `end`. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** What one set of workers shares: which attempt they are on, and how far each has come with its job. */
export class Control {
  readonly words: Int32Array
  constructor(threads: number) {
    this.words = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * (1 + threads)))
  }
  get generation(): number {
    return Atomics.load(this.words, generationAt)
  }
  /** Ends what all workers are doing, within a fraction of a millisecond. */
  next(): void {
    Atomics.add(this.words, generationAt, 1)
  }
}

/** One worker: started at its first job, kept for the next, and started again at the next job after it died. */
export class Hand {
  readonly name: string
  readonly #attemptsAt: number
  readonly #control: Control
  readonly #startWorker: () => Worker
  readonly #log: Log
  readonly #jobs = new Map<number, { generation: number; resolve: (outcome: Outcome | undefined) => void }>()
  #worker: Worker | undefined
  #jobId = 0

  constructor(position: number, control: Control, startWorker: () => Worker, log: Log) {
    this.name = `worker-${position + 1}`
    this.#attemptsAt = generationAt + 1 + position
    this.#control = control
    this.#startWorker = startWorker
    this.#log = log
  }

  /** How far it has come with a range for this generation. */
  attemptsOf(generation: number): number {
    const [job, another] = this.#jobs.values()
    // With two, one was given up and is not answered yet: whose count it is cannot be told.
    if (job?.generation !== generation || another !== undefined) return 0
    return Atomics.load(this.#control.words, this.#attemptsAt)
  }

  /** Resolves when the worker is through, found a nonce or was told to stop; undefined: it died. */
  run(puzzle: Puzzle, generation: number, range: Range): Promise<Outcome | undefined> {
    const worker = (this.#worker ??= this.#start())
    const id = ++this.#jobId
    const control = this.#control.words
    const job: Job = { ...puzzle, ...range, id, generation, control, attemptsAt: this.#attemptsAt }
    return new Promise((resolve) => {
      this.#jobs.set(id, { generation, resolve })
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      worker.postMessage(job)
    })
  }

  async stop(): Promise<void> {
    const worker = this.#worker
    this.#gone()
    await worker?.terminate()
  }

  #start(): Worker {
    const worker = this.#startWorker()
    worker.on('message', ({ id, ...outcome }: Reply) => this.#settle(id, outcome))
    worker.on('error', (error) => this.#died(worker, messageOf(error)))
    worker.on('exit', (code) => this.#died(worker, `it ended with code ${code}`))
    return worker
  }

  #died(worker: Worker, why: string): void {
    if (worker !== this.#worker) return
    this.#log.warn('a mining worker died; its range is given out again', { worker: this.name, why })
    this.#gone()
  }

  #gone(): void {
    this.#worker = undefined
    for (const id of this.#jobs.keys()) this.#settle(id, undefined)
  }

  #settle(id: number, outcome: Outcome | undefined): void {
    // Before anybody counts the outcome, so that no attempt is counted twice.
    Atomics.store(this.#control.words, this.#attemptsAt, 0)
    this.#jobs.get(id)?.resolve(outcome)
    this.#jobs.delete(id)
  }
}
