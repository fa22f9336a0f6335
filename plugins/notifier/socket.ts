import {
  AurexError,
  hostPortText,
  type HostPort,
  type Runtime,
  type Socket,
  type SocketHandlers,
} from '../../core/index.ts'

export interface Limits {
  /** For each address of a name. */
  readonly connectMillisecondsMax: number
  /** For the other side to take some bytes, or to answer. */
  readonly answerMillisecondsMax: number
}

/** One connection for one message. Whatever happens first of `done` and `fail` ends it. */
export interface Wire {
  /** Between two programs on one machine next to nothing. Milliseconds. */
  readonly roundTrip: number
  /** Sends nothing more, and reads on. */
  finish(): void
  after(milliseconds: number, run: () => void): void
  done(): void
  fail(code: string, what: string): void
}

/** What one kind of target makes of what happens. */
export interface Talk {
  /** The system took every byte. */
  sent(): void
  data(bytes: Uint8Array): void
  /** The other side ended, and this one has not. */
  ended(): void
  /** Both have ended, in order. */
  closed(): void
}

export interface Exchange {
  readonly runtime: Runtime
  readonly at: HostPort
  readonly bytes: Uint8Array
  readonly limits: Limits
  /** Destroys the connection, whatever it is doing. */
  readonly signal: AbortSignal
}

/**
 * Opens a connection, sends `bytes`, and resolves when `talk` says that it is done. Rejects with `AurexError`: `connect-failed`,
 * `connect-slow`, `name-unknown`, `target-reset`, `target-silent`, what `talk` says, or `stopped`.
 */
export async function exchange(parts: Exchange, talk: (wire: Wire) => Talk): Promise<void> {
  const addresses = await parts.runtime.resolve(parts.at.host)
  for (const [tried, address] of addresses.entries()) {
    const attempt = new Attempt(parts, talk)
    try {
      await attempt.open(address)
    } catch (error) {
      // A name may have an address of each family, and a program listens on one of them.
      if (tried < addresses.length - 1) continue
      throw error
    }
    return await attempt.ending
  }
}

class Attempt {
  readonly #parts: Exchange
  readonly #makeTalk: (wire: Wire) => Talk
  readonly #ending = Promise.withResolvers<void>()
  readonly #timers: { cancel(): void }[] = []
  #talk: Talk | undefined
  #over = false
  #written = 0
  #patience: { cancel(): void } | undefined
  #release: (() => void) | undefined

  constructor(parts: Exchange, makeTalk: (wire: Wire) => Talk) {
    this.#parts = parts
    this.#makeTalk = makeTalk
    this.#ending.promise.catch(() => {}) // Nobody may be waiting yet.
  }

  get ending(): Promise<void> {
    return this.#ending.promise
  }

  async open(address: string): Promise<void> {
    const { runtime, at, limits } = this.#parts
    const began = runtime.clock.monotonic()
    const handlers: SocketHandlers = {
      // Here and not when `connect` resolves: what comes in between must not be missed.
      open: (socket) => this.#opened(socket, runtime.clock.monotonic() - began),
      data: (_socket, bytes) => this.#talk?.data(bytes),
      drain: (socket) => this.#write(socket),
      end: () => this.#talk?.ended(),
      close: (_socket, error) => this.#closed(error),
    }
    await runtime.connect(address, at.port, handlers, limits.connectMillisecondsMax)
  }

  #opened(socket: Socket, roundTrip: number): void {
    const { signal } = this.#parts
    const abandon = (): void => this.#fail(socket, 'stopped', 'was left: the node stops')
    this.#talk = this.#makeTalk(this.#wireOf(socket, roundTrip))
    if (signal.aborted) return abandon()
    signal.addEventListener('abort', abandon, { once: true })
    this.#release = () => signal.removeEventListener('abort', abandon)
    this.#write(socket)
  }

  #wireOf(socket: Socket, roundTrip: number): Wire {
    return {
      roundTrip,
      finish: () => socket.finish(),
      after: (milliseconds, run) => {
        this.#timers.push(this.#parts.runtime.clock.after(milliseconds, () => this.#over || run()))
      },
      done: () => {
        if (this.#end()) this.#ending.resolve()
        socket.end()
      },
      fail: (code, what) => this.#fail(socket, code, what),
    }
  }

  #write(socket: Socket): void {
    const { bytes } = this.#parts
    if (this.#over || this.#written === bytes.length) return
    this.#written += socket.write(bytes.subarray(this.#written))
    this.#waitAnew(socket)
    if (this.#written === bytes.length) this.#talk?.sent()
  }

  #waitAnew(socket: Socket): void {
    const { runtime, limits } = this.#parts
    this.#patience?.cancel()
    if (this.#over) return
    const what = `said nothing for ${limits.answerMillisecondsMax} ms; is the program there busy, or stopped?`
    this.#patience = runtime.clock.after(limits.answerMillisecondsMax, () => this.#fail(socket, 'target-silent', what))
  }

  #closed(error: Error | undefined): void {
    if (this.#over) return
    if (error === undefined && this.#written === this.#parts.bytes.length) this.#talk?.closed()
    this.#reject('target-reset', 'broke the connection before it had read everything; was the program there killed?')
  }

  #fail(socket: Socket, code: string, what: string): void {
    this.#reject(code, what)
    socket.destroy()
  }

  #reject(code: string, what: string): void {
    if (this.#end()) this.#ending.reject(new AurexError(code, `${hostPortText(this.#parts.at)} ${what}`))
  }

  /** False where it is over already. */
  #end(): boolean {
    if (this.#over) return false
    this.#over = true
    this.#patience?.cancel()
    this.#release?.()
    for (const timer of this.#timers) timer.cancel()
    return true
  }
}
