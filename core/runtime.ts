// The port to the world: clock, timers, dice, sockets, files, background signature checks. `bun.ts` is the real
// implementation; the simulator brings one with a virtual clock, seeded dice and sockets in memory, so that a whole
// network can be replayed from a seed. Nothing else in core or in a plugin may reach for these things on its own.

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall clock, milliseconds since 1970 in UTC. May jump. */
  now(): number
  /** Milliseconds from an arbitrary start; never goes back. For durations. */
  monotonic(): number
  after(milliseconds: number, run: () => void): Timer
  /** Runs in a later turn of the event loop, after the input that is already waiting. */
  soon(run: () => void): void
}

/** One end of a byte stream. */
export interface Socket {
  /** Address of the other side, without port. */
  readonly remoteHost: string
  readonly remotePort: number
  /**
   * Takes as many bytes as there is room for and returns how many; the rest is the caller's, to be sent on `drain`.
   * 0 once the socket is closed.
   */
  write(bytes: Uint8Array): number
  /** Sends nothing more, and reads on. */
  finish(): void
  /** Sends what was taken, then closes; waits up to a second for the other side to end, so that no reset overtakes it. */
  end(): void
  /** Closes at once; what was not sent is lost. `close` may be called before this returns. */
  destroy(): void
  /** Stops and restarts the calls of `data`. */
  pause(): void
  resume(): void
}

export interface SocketHandlers {
  open?(socket: Socket): void
  data(socket: Socket, bytes: Uint8Array): void
  /** There is room again after a short `write`. */
  drain?(socket: Socket): void
  /** The other side will send nothing more (it may still read). */
  end?(socket: Socket): void
  /** Called exactly once, last. */
  close?(socket: Socket, error?: Error): void
}

export interface Listener {
  readonly host: string
  /** The port that was bound: the system's choice where 0 was asked for. */
  readonly port: number
  /** Takes no new connections. Those that are open stay open. */
  stop(): void
}

export interface Files {
  /** undefined when there is no such file; any other failure throws. */
  readText(path: string): string | undefined
  /** Creates a file that must not exist yet. `mode` as in chmod. Throws `EEXIST` otherwise. */
  createText(path: string, text: string, mode: number): void
  /** Adds to the end of a file, which is made if there is none; durable on return. One call is one write. */
  appendText(path: string, text: string, mode: number): void
  /** Bytes; undefined when there is no such file. */
  size(path: string): number | undefined
  makeDirectory(path: string): void
  /** Permission bits of an existing file. */
  mode(path: string): number
  /**
   * Makes the caller the only one on this machine who holds an existing file, by whatever path it is reached; returns how to
   * let go, which the end of the process does too. undefined: somebody holds it, in this process or in another. It is a hold
   * against who asks for it alone, on a file `<path>.lock` beside it that stays. Throws where that cannot be made.
   */
  hold(path: string): (() => void) | undefined
}

export interface SignatureCheck {
  /** 32 bytes, already found to be a proper key (see chain/keys.ts). */
  readonly publicKey: Uint8Array
  readonly message: Uint8Array
  /** 64 bytes. */
  readonly signature: Uint8Array
}

export interface HttpRequest {
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  /** For the whole exchange. */
  readonly millisecondsMax: number
}

export interface Runtime {
  readonly clock: Clock
  /** Cryptographically strong in the real runtime; from the seed in the simulator. */
  random(length: number): Uint8Array
  /** Throws `AurexError` `address-in-use` or `listen-failed`. */
  listen(host: string, port: number, handlers: SocketHandlers): Promise<Listener>
  /** Rejects with `AurexError` `connect-failed`, or `connect-slow` after so many milliseconds. */
  connect(host: string, port: number, handlers: SocketHandlers, millisecondsMax?: number): Promise<Socket>
  /**
   * One HTTP request; redirects are not followed. Resolves to the answer's status. Rejects with `AurexError` `http-failed`.
   */
  http(url: string, request: HttpRequest): Promise<{ readonly status: number }>
  /** IP addresses of a name, at least one; an IP address is its own. Rejects with `AurexError` `name-unknown`. */
  resolve(host: string): Promise<readonly string[]>
  readonly files: Files
  /** One Ed25519 check off the main thread. A yes is final; a no is to be confirmed by the rule (chain/signature.ts). */
  verifyInBackground(check: SignatureCheck): Promise<boolean>
  /** The same check by the rule: final either way, and slow (half a millisecond). In a thread that is started when needed. */
  verifyByRuleInBackground(check: SignatureCheck): Promise<boolean>
}
