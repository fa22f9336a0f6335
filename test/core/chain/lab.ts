// A chain in memory with an engine and a finality that say what a test tells them to, and a clock that it turns by hand.
import type { SealedHeader } from '../../../core/chain/block.ts'
import { Chain, type SignedBlock } from '../../../core/chain/chain.ts'
import { finalityDoor } from '../../../core/chain/doors.ts'
import { developmentGenesis, type Genesis } from '../../../core/chain/genesis.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import type { KeyPair } from '../../../core/chain/keys.ts'
import { bunRuntime } from '../../../core/bun.ts'
import type { CoreEvents } from '../../../core/events.ts'
import {
  accepted,
  refuse,
  type Application,
  type Checkpoint,
  type Consensus,
  type Finality,
  type FinalityDoor,
  type Storage,
  type Verdict,
  type Waiting,
} from '../../../core/index.ts'
import { defaultNodeLimits, type Limits } from '../../../core/limits.ts'
import type { Log } from '../../../core/log.ts'
import { Producer } from '../../../core/producer.ts'
import type { Clock, Runtime } from '../../../core/runtime.ts'
import { Signing } from '../../../core/signing/signing.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import { makeKey } from '../../support/blocks.ts'

export const genesis = developmentGenesis('lab', {})

/** A day after the genesis. */
const startTime = Date.parse(genesis.timestamp) + 86_400_000

/** Time stands still until it is turned on. */
export class HandClock implements Clock {
  #passed = 0
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>()

  now(): number {
    return startTime + this.#passed
  }

  monotonic(): number {
    return this.#passed
  }

  after(milliseconds: number, run: () => void) {
    const timer = { at: this.#passed + milliseconds, run }
    this.#timers.add(timer)
    return { cancel: () => void this.#timers.delete(timer) }
  }

  soon(run: () => void): void {
    setImmediate(run)
  }

  /** How many timers run. */
  get timers(): number {
    return this.#timers.size
  }

  /** Runs the timers that are due then, in their order. */
  turn(milliseconds: number): void {
    const end = this.#passed + milliseconds
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)
      const [first] = due
      if (first === undefined) break
      this.#timers.delete(first)
      this.#passed = Math.max(this.#passed, first.at)
      first.run()
    }
    this.#passed = end
  }
}

/** Every header is good; what it weighs is its `work`. With a transaction pending it produces at once. */
export const labEngine = (more: Partial<Consensus> = {}): Consensus => ({
  id: 'lab',
  futureMillisecondsMax: 15_000,
  prepare: (draft) => draft,
  verify: () => accepted,
  weight: ({ work }) => BigInt(work),
  due: (_ancestry, pending, now) => (pending > 0 ? { when: now } : { waitsFor: 'a transaction' }),
  seal: async (_header, signal) => (signal.aborted ? undefined : { nonce: 0 }),
  ...more,
})

export const checkpointOf = ({ index, current_hash: hash }: SealedHeader): Checkpoint => ({ index, hash })

/** Says what it was told last. A certificate is good if it says so. */
export class ToldFinality implements Finality {
  door: FinalityDoor | undefined
  readonly heard: string[] = []
  wants = false
  halts: Waiting | undefined
  next: JsonObject | undefined
  #justified = checkpointOf(genesis.block)
  #final = checkpointOf(genesis.block)

  justified = (): Checkpoint => this.#justified
  final = (): Checkpoint => this.#final
  certificate = (): JsonObject | undefined => this.next
  halted = (): Waiting | undefined => this.halts
  wantsBlock = (): boolean => this.wants
  waits = (): Waiting | undefined => undefined

  verify({ finality }: SealedHeader): Verdict {
    return finality === undefined || finality['good'] === true ? accepted : refuse('bad-finality', 'it is not good')
  }

  open(door: FinalityDoor): void {
    this.door = door
    door.onBlock(({ index }) => void this.heard.push(`block ${index}`))
    door.onHead(({ index }) => void this.heard.push(`head ${index}`))
  }

  tell({ final, justified }: { readonly final?: SealedHeader; readonly justified?: SealedHeader }): void {
    if (final !== undefined) this.#final = checkpointOf(final)
    if (justified !== undefined) this.#justified = checkpointOf(justified)
    this.door?.changed()
  }
}

export interface LabOptions {
  readonly engine?: Partial<Consensus>
  readonly finality?: ToldFinality
  readonly application?: Application
  /** Default: that without an application. */
  readonly genesis?: Genesis
  /** Before a signature is checked. */
  readonly checking?: () => Promise<void>
  readonly limits?: Partial<Limits>
  readonly storage?: Storage
  readonly clock?: HandClock
  readonly signed?: (block: SignedBlock) => void
  /** Whose blocks this node makes. */
  readonly identity?: KeyPair
}

/** A chain, opened as a node opens it, with a producer that is not started. */
export function lab(options: LabOptions = {}) {
  const { finality, application, identity = makeKey(1), genesis: own = genesis, checking } = options
  const clock = options.clock ?? new HandClock()
  const storage = options.storage ?? new MemoryLedger()
  const real = bunRuntime()
  const runtime: Runtime = {
    ...real,
    clock,
    verifyInBackground: async (check) => {
      await checking?.()
      return await real.verifyInBackground(check)
    },
  }
  const consensus = labEngine(options.engine)
  const facts: { event: keyof CoreEvents; fact: unknown }[] = []
  const lines: string[] = []
  const nothing = (): void => undefined
  const heard = (message: string): void => void lines.push(message)
  const log: Log = { debug: nothing, info: nothing, warn: heard, error: heard }
  const signing = new Signing({ identity, clock, log })
  signing.attach(storage)
  storage.begin(own, own.block, clock.now(), application?.opening())
  const changes: string[] = []
  const chain = new Chain({
    genesis: own,
    consensus,
    application,
    finality,
    signed: options.signed,
    signedLast: () => signing.signerOf('chain').last('block')?.text,
    storage,
    runtime,
    limits: { ...defaultNodeLimits, ...options.limits },
    log,
    emit: (event, fact) => void facts.push({ event, fact }),
    changed: (what) => {
      changes.push(what)
      producer.changed(what)
    },
  })
  const producer = new Producer({ chain, consensus, finality, signing, identity, runtime, log })
  finality?.open(finalityDoor(chain, log))
  return {
    chain,
    producer,
    signing,
    storage,
    clock,
    consensus,
    facts,
    /** What was logged as a warning or an error. */
    lines,
    changes,
    log,
    head: (): string => chain.head().header.current_hash,
    told: (event: keyof CoreEvents): unknown[] => facts.flatMap((one) => (one.event === event ? [one.fact] : [])),
    stop: async (): Promise<void> => {
      await producer.stop()
      await chain.close()
    },
  }
}

export type Lab = ReturnType<typeof lab>
