// A world in memory: virtual time, seeded dice, sockets and disks. Many runtimes (hosts) share it. The same seed and the
// same calls give the same trace, so a failure is replayed by its seed.
import { createHash, type Hash as Hasher } from 'node:crypto'
import { drainMicrotasks } from 'bun:jsc'
import type { Listener, Socket, SocketHandlers } from '../../core/index.ts'
import { Agenda } from './agenda.ts'
import { Dice } from './dice.ts'
import { Disk } from './disk.ts'
import { calm, Tally, type FaultKind, type Weather } from './faults.ts'
import { SimHost, type HostWorld, type Machine } from './host.ts'
import { Internet } from './internet.ts'

export type { SimHost } from './host.ts'

export interface SimOptions {
  readonly seed: number
  /** One way, from a host to another; each delivery takes a time between the two. Default 1 to 10. */
  readonly latencyMilliseconds?: readonly [number, number]
  /** What one direction of a connection holds. Default 64 KiB. */
  readonly bufferBytesMax?: number
  /** Hears what a socket's handler threw. Default: the step that ran it throws it. */
  readonly onFault?: (error: unknown) => void
  /** Wall clock at the start, milliseconds. Default 2026-11-21T00:00:00Z. */
  readonly startsAt?: number
}

export const simRuntime = (options: SimOptions): World => new World(options)

/** So many events run before the real event loop gets a turn: for signals, and whoever watches. */
const eventsPerTurn = 2_000
/** Nothing that is right does so much at one moment. */
const eventsAtOnceMax = 200_000

export class World implements HostWorld {
  readonly seed: number
  readonly startsAt: number
  /** Faults that happened. */
  readonly tally = new Tally<FaultKind>()
  weather: Weather = calm
  /** How long a sync of a disk takes at the most; 0: no time. */
  syncMillisecondsMax = 0
  /** Lines that arrived, by `from>to`; whoever looks at it empties it. */
  readonly traffic = new Map<string, number>()
  /** Hears what is sent, one direction of one connection each. */
  tap: (() => (bytes: Uint8Array) => void) | undefined
  /** Told when a host's process ended. */
  crashed: (address: string) => void = () => {}
  readonly #agenda = new Agenda()
  readonly #internet: Internet
  readonly #onFault: (error: unknown) => void
  readonly #trace: Hasher = createHash('sha256')
  readonly #hosts = new Map<string, SimHost>()
  readonly #faults: unknown[] = []
  #elapsed = 0
  /** Events in a row at the same moment. */
  #atOnce = 0
  #deliveries = 0
  #bytes = 0

  constructor(options: SimOptions) {
    this.seed = options.seed
    this.startsAt = options.startsAt ?? Date.UTC(2026, 10, 21)
    this.#onFault = options.onFault ?? ((error) => void this.#faults.push(error))
    this.#internet = new Internet(
      {
        latencyMilliseconds: options.latencyMilliseconds ?? [1, 10],
        bufferBytesMax: options.bufferBytesMax ?? 64 * 1024,
      },
      new Dice(options.seed),
      this,
    )
  }

  /** Whole milliseconds since the world began: timers come late by a fraction, as real ones do, and never early. */
  get elapsed(): number {
    return this.#elapsed
  }

  /** Things that arrived at a socket: data, ends, resets. */
  get deliveries(): number {
    return this.#deliveries
  }

  get bytesDelivered(): number {
    return this.#bytes
  }

  /** Events that have run. */
  get events(): number {
    return this.#agenda.taken
  }

  get links() {
    return this.#internet.links
  }

  /** The runtime of the host with this address; it is made when it is first asked for. */
  host(address: string): SimHost {
    const host = this.#hosts.get(address) ?? new SimHost(this.#makeMachine(address), this)
    this.#hosts.set(address, host)
    return host
  }

  /** Whether there is a machine of this address, and it is not without power. */
  answers(address: string): boolean {
    return this.#hosts.get(address)?.machine.powered === true
  }

  /**
   * Ends the process of a host. Without its power, the others hear nothing of it, and what was not synced is lost.
   * `boot` starts another.
   */
  crash(address: string, how: 'process' | 'power'): void {
    const host = this.host(address)
    if (!host.alive) return
    host.alive = false
    this.tally.add(how === 'power' ? 'power-cut' : 'crash')
    this.#internet.crash(host, how === 'process')
    host.machine.disk.crash(how === 'power')
    host.machine.powered = how === 'process'
    host.machine.busyUntil = 0
    this.crashed(address)
  }

  /** A new process on a machine whose process is dead. */
  boot(address: string): SimHost {
    const before = this.host(address)
    if (before.alive) return before
    before.machine.powered = true
    const host = new SimHost(before.machine, this)
    this.#hosts.set(address, host)
    return host
  }

  /** A host does nothing for so long, as if it had been stopped; what comes meanwhile waits. */
  stall(address: string, milliseconds: number): void {
    const { machine } = this.host(address)
    machine.busyUntil = Math.max(machine.busyUntil, this.#elapsed + Math.ceil(milliseconds))
  }

  /** Every way is open again, and what waited for it arrives. */
  heal(): void {
    this.#internet.heal()
  }

  /** SHA-256 over everything that was delivered, with when and to whom. */
  trace(): string {
    return this.#trace.copy().digest('hex')
  }

  // ---- time ----

  /** Lets this much time pass, event by event; promises settle after each. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#elapsed + milliseconds
    await this.#run(end, () => false)
    this.#elapsed = end
  }

  /** Lets time pass until something is true. Throws when it is not after so much of it. */
  async runUntil(fact: () => boolean, millisecondsMax = 60_000): Promise<void> {
    if (await this.#run(this.#elapsed + millisecondsMax, fact)) return
    throw new Error(`seed ${this.seed}: not true after ${millisecondsMax} ms of the world's time: ${fact.toString()}`)
  }

  /** Lets time pass until a promise is settled, and answers as it does. */
  async settled<T>(promise: Promise<T>, millisecondsMax = 60_000): Promise<T> {
    let done = false
    const end = () => void (done = true)
    promise.then(end, end)
    await this.runUntil(() => done, millisecondsMax)
    return promise
  }

  /** Runs something `milliseconds` from now, whatever hosts are alive. */
  at(milliseconds: number, run: () => void): void {
    this.#agenda.enter(this.#elapsed + Math.max(0, Math.ceil(milliseconds)), run)
  }

  schedule(host: SimHost, milliseconds: number, run: () => void): () => void {
    let cancelled = false
    const attempt = (): void => {
      if (cancelled || !host.alive) return
      const { busyUntil } = host.machine
      if (busyUntil > this.#elapsed) this.#agenda.enter(busyUntil, attempt)
      else run()
    }
    const entry = this.#agenda.enter(this.#elapsed + Math.ceil(milliseconds), attempt)
    return () => {
      cancelled = true
      entry.run = undefined
    }
  }

  /** Something arrives at a machine now, or when that is not busy any more. It is part of the trace. */
  arrive(machine: Machine, what: string, bytes: Uint8Array | undefined, run: () => void): void {
    if (machine.busyUntil > this.#elapsed) {
      this.#agenda.enter(machine.busyUntil, () => this.arrive(machine, what, bytes, run))
      return
    }
    this.#deliveries++
    this.#trace.update(`${this.#elapsed} ${what} ${bytes?.length ?? 0}\n`)
    if (bytes !== undefined) {
      this.#bytes += bytes.length
      this.#trace.update(bytes)
    }
    run()
  }

  /** Runs a handler; what it throws is a fault of ours, and the answer is false. */
  guard(run: () => void): boolean {
    try {
      run()
      return true
    } catch (error) {
      this.#onFault(error)
      return false
    }
  }

  /**
   * Events in order, until one would be after `end` or the fact is true. Microtasks run to their end after each event, as
   * they do in a real event loop, which costs a tenth of a turn of that loop. The loop runs in a turn of its own, never
   * on top of somebody's promise.
   */
  async #run(end: number, fact: () => boolean): Promise<boolean> {
    for (;;) {
      const outcome = await new Promise<boolean | 'more'>((resolve, reject) => {
        setImmediate(() => {
          try {
            resolve(this.#runSome(end, fact))
          } catch (error) {
            reject(error)
          }
        })
      })
      if (outcome !== 'more') return outcome
    }
  }

  #runSome(end: number, fact: () => boolean): boolean | 'more' {
    drainMicrotasks()
    for (let left = eventsPerTurn; left > 0; left--) {
      if (fact()) return true
      const first = this.#agenda.first()
      if (first === undefined || first.time > end) return false
      const { run, time } = this.#agenda.take()!
      if (time > this.#elapsed) {
        this.#elapsed = time
        this.#atOnce = 0
      }
      if (++this.#atOnce > eventsAtOnceMax) throw new Error('time stands still: something happens again and again')
      run!()
      drainMicrotasks()
      if (this.#faults.length > 0) throw this.#faults.shift()
    }
    return 'more'
  }

  // ---- hosts ----

  #makeMachine(address: string): Machine {
    const machine: Machine = {
      address,
      dice: new Dice(`${this.seed}/${address}`),
      disk: new Disk({
        dice: new Dice(`${this.seed}/${address}/disk`),
        tally: this.tally,
        synced: () => this.#synced(machine),
        powerGoes: () => this.crash(address, 'power'),
      }),
      clockOffset: 0,
      busyUntil: 0,
      powered: true,
    }
    return machine
  }

  #synced(machine: Machine): void {
    if (this.syncMillisecondsMax === 0) return
    this.tally.add('slow-disk')
    this.stall(machine.address, machine.dice.fraction() * this.syncMillisecondsMax)
  }

  listen(host: SimHost, name: string, port: number, handlers: SocketHandlers): Listener {
    return this.#internet.listen(host, name, port, handlers)
  }

  connect(host: SimHost, name: string, port: number, handlers: SocketHandlers, millisecondsMax?: number) {
    return this.#internet.connect(host, name, port, handlers, millisecondsMax) satisfies Promise<Socket>
  }

  addressOf(from: string, name: string): string {
    return this.#internet.addressOf(from, name)
  }
}
