// A world in memory: virtual time, seeded dice, sockets and files. Many runtimes (hosts) share it. The same seed and the
// same calls give the same trace, so a failure is replayed by its seed.
import { createHash, type Hash as Hasher } from 'node:crypto'
import { verifyNatively } from '../../core/chain/signature.ts'
import {
  AurexError,
  exitCode,
  type Clock,
  type Listener,
  type Runtime,
  type Socket,
  type SocketHandlers,
} from '../../core/index.ts'
import { Agenda } from './agenda.ts'
import { Dice } from './dice.ts'
import { memoryFiles } from './files.ts'
import { SimSocket, type Wire } from './sockets.ts'

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

/** Runtime of one host; `clockOffset` sets its wall clock off from the world's. */
export interface SimHost extends Runtime {
  readonly address: string
  clockOffset: number
}

interface Listening {
  readonly handlers: SocketHandlers
}

export class World {
  readonly seed: number
  readonly #agenda = new Agenda()
  readonly #dice: Dice
  readonly #options: Required<Omit<SimOptions, 'onFault' | 'seed'>>
  readonly #onFault: (error: unknown) => void
  readonly #trace: Hasher = createHash('sha256')
  readonly #hosts = new Map<string, SimHost>()
  readonly #listening = new Map<string, Listening>()
  readonly #faults: unknown[] = []
  #elapsed = 0
  #deliveries = 0
  #nextPort = 40_000

  constructor(options: SimOptions) {
    this.seed = options.seed
    this.#dice = new Dice(options.seed)
    this.#options = {
      latencyMilliseconds: options.latencyMilliseconds ?? [1, 10],
      bufferBytesMax: options.bufferBytesMax ?? 64 * 1024,
      startsAt: options.startsAt ?? Date.UTC(2026, 10, 21),
    }
    this.#onFault = options.onFault ?? ((error) => void this.#faults.push(error))
  }

  /** Milliseconds since the world began. */
  get elapsed(): number {
    return this.#elapsed
  }

  get deliveries(): number {
    return this.#deliveries
  }

  /** The runtime of the host with this address; it is made when it is first asked for. */
  host(address: string): SimHost {
    const host = this.#hosts.get(address) ?? this.#makeHost(address)
    this.#hosts.set(address, host)
    return host
  }

  /** SHA-256 over everything that was delivered, with when and to whom. */
  trace(): string {
    return this.#trace.copy().digest('hex')
  }

  /** Lets this much time pass, event by event; promises settle after each. */
  async advance(milliseconds: number): Promise<void> {
    const end = this.#elapsed + milliseconds
    await settle()
    while (await this.#step(end));
    this.#elapsed = end
  }

  /** Lets time pass until something is true. Throws when it is not after so much of it. */
  async runUntil(fact: () => boolean, millisecondsMax = 60_000): Promise<void> {
    const end = this.#elapsed + millisecondsMax
    await settle()
    while (!fact()) {
      if (await this.#step(end)) continue
      throw new Error(`seed ${this.seed}: not true after ${millisecondsMax} ms of the world's time: ${fact.toString()}`)
    }
  }

  /** Lets time pass until a promise is settled, and answers as it does. */
  async settled<T>(promise: Promise<T>, millisecondsMax = 60_000): Promise<T> {
    let done = false
    const end = () => void (done = true)
    promise.then(end, end)
    await this.runUntil(() => done, millisecondsMax)
    return promise
  }

  async #step(end: number): Promise<boolean> {
    const first = this.#agenda.first()
    if (first === undefined || first.time > end) return false
    const { run, time } = this.#agenda.take()!
    this.#elapsed = Math.max(this.#elapsed, time)
    run!()
    await settle()
    if (this.#faults.length > 0) throw this.#faults.shift()
    return true
  }

  #makeHost(address: string): SimHost {
    const dice = new Dice(`${this.seed}/${address}`)
    const host: SimHost = {
      address,
      clockOffset: 0,
      clock: this.#clock(() => host.clockOffset),
      random: (length) => dice.bytes(length),
      listen: async (name, port, handlers) => this.#listen(address, name, port, handlers),
      connect: (name, port, handlers) => this.#connect(address, name, port, handlers),
      resolve: async (name) => [this.#resolve(address, name)],
      files: memoryFiles(),
      verifyInBackground: (check) =>
        new Promise((resolve) => void this.#agenda.enter(this.#elapsed, () => resolve(verifyNatively(check)))),
    }
    return host
  }

  #clock(offset: () => number): Clock {
    return {
      now: () => this.#options.startsAt + Math.floor(this.#elapsed) + offset(),
      monotonic: () => this.#elapsed,
      after: (milliseconds, run) => {
        const entry = this.#agenda.enter(this.#elapsed + Math.max(0, milliseconds), run)
        return { cancel: () => void (entry.run = undefined) }
      },
      soon: (run) => void this.#agenda.enter(this.#elapsed, run),
    }
  }

  // ---- sockets ----

  /** Loopback is the host itself. */
  #resolve(from: string, name: string): string {
    return name === '127.0.0.1' || name === 'localhost' || name === '0.0.0.0' ? from : name
  }

  #listen(address: string, name: string, asked: number, handlers: SocketHandlers): Listener {
    const port = asked === 0 ? this.#nextPort++ : asked
    const key = `${this.#resolve(address, name)}:${port}`
    if (this.#listening.has(key)) {
      throw new AurexError('address-in-use', `port ${port} on ${name} is in use already`, {
        exit: exitCode.unavailable,
      })
    }
    this.#listening.set(key, { handlers })
    return { host: name, port, stop: () => void this.#listening.delete(key) }
  }

  #connect(from: string, name: string, port: number, handlers: SocketHandlers): Promise<Socket> {
    const to = this.#resolve(from, name)
    const fromPort = this.#nextPort++
    const seenFrom = to === from ? '127.0.0.1' : from
    return new Promise((resolve, reject) => {
      this.#later(this.#latency(), `${from}:${fromPort}>${to}:${port} connect`, undefined, () => {
        const listening = this.#listening.get(`${to}:${port}`)
        if (listening === undefined) {
          this.#later(this.#latency(), `${to}:${port}>${from}:${fromPort} refused`, undefined, () =>
            reject(new AurexError('connect-failed', `cannot connect to ${name} port ${port}: ECONNREFUSED`)),
          )
          return
        }
        const near = new SimSocket(name, port, handlers, this.#wire(`>${from}:${fromPort}`))
        const far = new SimSocket(seenFrom, fromPort, listening.handlers, this.#wire(`>${to}:${port}<${fromPort}`))
        near.join(far)
        far.join(near)
        this.#later(0, `>${from}:${fromPort} open`, undefined, () => {
          near.opened()
          resolve(near)
        })
        far.opened()
      })
    })
  }

  #wire(to: string): Wire {
    return {
      later: (milliseconds, what, bytes, run) => this.#later(milliseconds, `${to} ${what}`, bytes, run),
      latency: () => this.#latency(),
      now: () => this.#elapsed,
      bufferBytesMax: this.#options.bufferBytesMax,
      guard: (run) => this.#guard(run),
    }
  }

  #latency(): number {
    const [least, most] = this.#options.latencyMilliseconds
    return least + Math.floor(this.#dice.fraction() * (most - least + 1))
  }

  #later(milliseconds: number, what: string, bytes: Uint8Array | undefined, run: () => void): void {
    this.#agenda.enter(this.#elapsed + milliseconds, () => {
      this.#deliveries++
      this.#trace.update(`${this.#elapsed} ${what} ${bytes?.length ?? 0}\n`)
      if (bytes !== undefined) this.#trace.update(bytes)
      run()
    })
  }

  #guard(run: () => void): boolean {
    try {
      run()
      return true
    } catch (error) {
      this.#onFault(error)
      return false
    }
  }
}

/** All microtasks run before the next turn of the event loop does. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
