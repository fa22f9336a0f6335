// The port to the world as Bun fills it. No other file of core touches Bun.
import { Database, SQLiteError } from 'bun:sqlite'
import { randomBytes, verify } from 'node:crypto'
import {
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { lookup } from 'node:dns/promises'
import { dirname } from 'node:path'
import { keyObjectOf } from './chain/signature.ts'
import { AurexError, exitCode, messageOf } from './errors.ts'
import { RuleThread } from './rulethread.ts'
import type { Clock, Files, HttpRequest, Listener, Runtime, SignatureCheck, Socket, SocketHandlers } from './runtime.ts'

export interface BunOptions {
  /**
   * Hears what a socket's handlers threw, which is a fault of ours. Only the socket whose handler it was is destroyed:
   * its state cannot be trusted, all the others are served on. Hears also why the thread for signature checks is no more.
   * Without this it is written to stderr.
   */
  readonly onFault?: (error: unknown) => void
}

/** The real runtime. */
export function bunRuntime(options: BunOptions = {}): Runtime {
  const onFault = options.onFault ?? ((error: unknown) => void process.stderr.write(`${Bun.inspect(error)}\n`))
  const ruleThread = new RuleThread(onFault)
  return {
    clock,
    random: (length) => new Uint8Array(randomBytes(length)),
    listen: async (host, port, handlers) => listen(host, port, handlers, onFault),
    connect: (host, port, handlers, millisecondsMax) => connect(host, port, handlers, onFault, millisecondsMax),
    http,
    resolve,
    files,
    verifyInBackground,
    verifyByRuleInBackground: (check) => ruleThread.verify(check),
  }
}

const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds)
    return { cancel: () => clearTimeout(timer) }
  },
  soon: (run) => void setImmediate(run),
}

// ---- sockets ----

type Raw = Bun.Socket<BunSocket>
type OnFault = (error: unknown) => void

/**
 * How long an ended socket waits for the other side to end too. Closing while bytes are still coming in makes the
 * system send a reset, which can overtake our last line: the `ERROR` that says why (RFC 9112, 9.6, has the same story).
 */
const lingerMilliseconds = 1_000
/** And how much it takes in that time: more than systems hold on the way, and then it is no straggler but a flood. */
const lingerBytesMax = 16 * 1024 * 1024
/** All sockets together in one window: a crowd that floods is not heard out, since each piece of it is garbage to collect. */
const lingerBytesOfAllMax = 16 * 1024 * 1024
const lingerWindowMilliseconds = 10_000

let lingerWindow = { since: Number.NEGATIVE_INFINITY, bytes: 0 }

/** Whether so many bytes may still be read for nothing. */
function mayLinger(bytes: number): boolean {
  const now = performance.now()
  if (now - lingerWindow.since > lingerWindowMilliseconds) lingerWindow = { since: now, bytes: 0 }
  lingerWindow.bytes += bytes
  return lingerWindow.bytes <= lingerBytesOfAllMax
}

/** Public for tests: beside what the port asks for, it can end its writing side alone, as a stranger's client may. */
export class BunSocket implements Socket {
  readonly remoteHost: string
  readonly remotePort: number
  readonly #raw: Raw
  readonly #handlers: SocketHandlers
  readonly #onFault: OnFault
  #state: 'open' | 'ending' | 'closed' = 'open'
  #linger: ReturnType<typeof setTimeout> | undefined
  #lingerBytes = 0

  constructor(raw: Raw, handlers: SocketHandlers, onFault: OnFault) {
    this.#raw = raw
    this.#handlers = handlers
    this.#onFault = onFault
    // The system does not know it any more where the other side reset the connection before we heard of it.
    const address: string | undefined = raw.remoteAddress
    // A socket that takes both families shows IPv4 as ::ffff:1.2.3.4.
    this.remoteHost = (address ?? '0.0.0.0').replace(/^::ffff:(?=\d+\.)/, '')
    this.remotePort = raw.remotePort
  }

  write(bytes: Uint8Array): number {
    // Bun answers -1 where the socket is closed already.
    return this.#state === 'open' ? Math.max(0, this.#raw.write(bytes)) : 0
  }

  /** Sends nothing more, and reads on. */
  finish(): void {
    if (this.#state === 'open') this.#raw.shutdown()
  }

  end(): void {
    if (this.#state !== 'open') return
    this.#state = 'ending'
    this.#raw.resume() // What still comes is read and dropped.
    this.#linger = setTimeout(() => this.#raw.end(), lingerMilliseconds)
    this.#raw.shutdown()
  }

  destroy(): void {
    if (this.#state !== 'closed') this.#raw.terminate()
  }

  pause(): void {
    if (this.#state === 'open') this.#raw.pause()
  }

  resume(): void {
    if (this.#state === 'open') this.#raw.resume()
  }

  opened(): void {
    this.#guard(() => this.#handlers.open?.(this))
  }

  received(bytes: Uint8Array): void {
    if (this.#state === 'open') this.#guard(() => this.#handlers.data(this, bytes))
    else if (this.#state === 'ending') this.#discard(bytes.length)
  }

  #discard(bytes: number): void {
    this.#lingerBytes += bytes
    if (!mayLinger(bytes) || this.#lingerBytes > lingerBytesMax) this.destroy()
  }

  drained(): void {
    if (this.#state === 'open') this.#guard(() => this.#handlers.drain?.(this))
  }

  otherEnded(): void {
    if (this.#state === 'open') this.#guard(() => this.#handlers.end?.(this))
  }

  closed(error: Error | undefined): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    clearTimeout(this.#linger)
    this.#guard(() => this.#handlers.close?.(this, error))
  }

  #guard(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#onFault(error)
      this.destroy()
    }
  }
}

function bunHandlers(handlers: () => SocketHandlers, onFault: OnFault) {
  return {
    open(raw: Raw) {
      raw.data = new BunSocket(raw, handlers(), onFault)
      raw.data.opened()
    },
    data: (raw: Raw, bytes: Buffer) => raw.data.received(bytes),
    drain: (raw: Raw) => raw.data.drained(),
    end: (raw: Raw) => raw.data.otherEnded(),
    close: (raw: Raw, error?: Error) => raw.data.closed(error),
    error: (_raw: Raw, error: Error) => onFault(error),
  }
}

function listen(host: string, port: number, handlers: SocketHandlers, onFault: OnFault): Listener {
  try {
    const server = Bun.listen<BunSocket>({
      hostname: host,
      port,
      allowHalfOpen: true,
      socket: bunHandlers(() => handlers, onFault),
    })
    return { host, port: server.port, stop: () => server.stop() }
  } catch (cause) {
    throw listenError(host, port, cause)
  }
}

function listenError(host: string, port: number, cause: unknown): AurexError {
  const options = { cause, exit: exitCode.unavailable }
  if ((cause as NodeJS.ErrnoException).code === 'EADDRINUSE') {
    const message = `port ${port} on ${host} is in use already; is another node running? Choose another with --port`
    return new AurexError('address-in-use', message, options)
  }
  const message = `cannot listen on ${host} port ${port}: ${messageOf(cause)}; choose another address or --port`
  return new AurexError('listen-failed', message, options)
}

async function connect(
  host: string,
  port: number,
  handlers: SocketHandlers,
  onFault: OnFault,
  millisecondsMax: number | undefined,
): Promise<Socket> {
  if (millisecondsMax === undefined) return await open(host, port, () => handlers, onFault)
  const { promise: tooSlow, reject } = Promise.withResolvers<never>()
  const attempt = { handlers }
  const timer = setTimeout(() => {
    // Bun cannot give an attempt up: if it succeeds after all, nobody wants it any more.
    attempt.handlers = unwanted
    const message = `cannot connect to ${host} port ${port}: no answer within ${millisecondsMax} ms; is it behind a firewall?`
    reject(new AurexError('connect-slow', message, { exit: exitCode.unavailable }))
  }, millisecondsMax)
  const opening = open(host, port, () => attempt.handlers, onFault)
  opening.catch(() => {}) // Where the time was up, nobody waits for how it ends.
  try {
    return await Promise.race([opening, tooSlow])
  } finally {
    clearTimeout(timer)
  }
}

const unwanted: SocketHandlers = { open: (socket) => socket.destroy(), data: () => {} }

async function http(url: string, { method, headers, body, millisecondsMax }: HttpRequest) {
  try {
    const answer = await fetch(url, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
      redirect: 'manual',
      signal: AbortSignal.timeout(millisecondsMax),
    })
    // Nobody reads what else it says.
    await answer.body?.cancel()
    return { status: answer.status }
  } catch (cause) {
    throw new AurexError('http-failed', `${method} ${new URL(url).host}: ${messageOf(cause)}`, {
      cause,
      exit: exitCode.unavailable,
    })
  }
}

async function resolve(host: string): Promise<readonly string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address)
  } catch (cause) {
    const message = `the name ${host} has no address: ${messageOf(cause)}; check its spelling`
    throw new AurexError('name-unknown', message, { cause, exit: exitCode.unavailable })
  }
}

async function open(host: string, port: number, handlers: () => SocketHandlers, onFault: OnFault): Promise<Socket> {
  try {
    const raw = await Bun.connect<BunSocket>({
      hostname: host,
      port,
      allowHalfOpen: true,
      // Without a handler of its own, Bun gives a failed connect to `error` as well.
      socket: { ...bunHandlers(handlers, onFault), connectError: () => {} },
    })
    return raw.data
  } catch (cause) {
    const message = `cannot connect to ${host} port ${port}: ${messageOf(cause)}; is anything listening there?`
    throw new AurexError('connect-failed', message, { cause, exit: exitCode.unavailable })
  }
}

// ---- files ----

const files: Files = {
  readText(path) {
    try {
      return readFileSync(path, 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  },
  createText(path, text, mode) {
    // Under another name first: a process that is killed in here must not leave half a key, which would stop the next start.
    const draft = `${path}.${process.pid}.draft`
    const file = openSync(draft, 'wx', 0o600)
    try {
      fchmodSync(file, mode) // open's own mode is cut by the umask
      writeFileSync(file, text)
      fsyncSync(file)
      nameAnew(draft, path)
    } finally {
      closeSync(file)
      unlinkSync(draft)
    }
    syncDirectory(dirname(path))
  },
  appendText(path, text, mode) {
    const isNew = statSync(path, { throwIfNoEntry: false }) === undefined
    const file = openSync(path, 'a', mode)
    try {
      if (isNew) fchmodSync(file, mode)
      appendWhole(file, text)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    if (isNew) syncDirectory(dirname(path))
  },
  size: (path) => statSync(path, { throwIfNoEntry: false })?.size,
  makeDirectory: (path) => void mkdirSync(path, { recursive: true, mode: 0o700 }),
  mode: (path) => statSync(path).mode & 0o777,
  hold,
}

/** By SQLite's own lock on an empty database, as the ledger's: the system releases it however the process ends. */
function hold(path: string): (() => void) | undefined {
  const lockPath = `${realpathSync(path)}.lock`
  makeEmpty(lockPath)
  const lock = new Database(lockPath, { readwrite: true, strict: true })
  try {
    lock.run('PRAGMA busy_timeout = 0')
    // Nothing is ever written: without this, an empty journal would lie beside it.
    lock.run('PRAGMA journal_mode = MEMORY')
    lock.run('BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    if (error instanceof SQLiteError && error.code === 'SQLITE_BUSY') return undefined
    throw error
  }
  return () => lock.close()
}

/** One that is there is not touched: who closes any descriptor of it lets go of this process's locks on it (fcntl(2)). */
function makeEmpty(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** Half a line would spoil the next one: what the disk has no room for as a whole is taken back. */
function appendWhole(file: number, text: string): void {
  const [bytes, { size }] = [Buffer.from(text), fstatSync(file)]
  try {
    for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written)
  } catch (error) {
    ftruncateSync(file, size)
    throw error
  }
}

/** Gives a file a second name that must not exist yet. Throws `EEXIST`. */
function nameAnew(path: string, name: string): void {
  try {
    linkSync(path, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw error
    // A file system without links: a copy is the next best.
    copyFileSync(path, name, constants.COPYFILE_EXCL)
  }
}

/** A new file's name is durable when its directory is (fsync(2)). */
function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

// ---- signatures ----

/** With a callback, node:crypto checks on the thread pool. */
function verifyInBackground({ publicKey, message, signature }: SignatureCheck): Promise<boolean> {
  return new Promise((resolve) => {
    // An error is not a yes either: the rule decides.
    verify(null, message, keyObjectOf(publicKey), signature, (error, valid) => resolve(error === null && valid))
  })
}

// ---- plugins from elsewhere ----

/**
 * Makes bare imports of these names resolve to the given modules, wherever the importing file lies: a plugin in a
 * single file, with no node_modules near it, gets the very functions that run this node. The namespaces are handed in
 * because in a bundle the modules are chunks that have no name of their own any more.
 */
export function provideToPlugins(modules: Readonly<Record<string, object>>): void {
  Bun.plugin({
    name: 'aurex',
    setup(build) {
      for (const [name, namespace] of Object.entries(modules)) {
        build.module(name, () => ({ exports: { ...namespace }, loader: 'object' }))
      }
    },
  })
}
