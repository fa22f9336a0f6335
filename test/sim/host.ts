import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import { LRUCache } from 'lru-cache'
import { checkByRule, verifyNatively } from '../../core/chain/signature.ts'
import {
  AurexError,
  type Clock,
  type Files,
  type HttpRequest,
  type Listener,
  type Runtime,
  type Socket,
  type SocketHandlers,
} from '../../core/index.ts'
import type { SignatureCheck } from '../../core/runtime.ts'
import type { Dice } from './dice.ts'
import type { Disk } from './disk.ts'
import type { SimSocket } from './sockets.ts'

/** What lasts when a host's process ends: its disk, its clock, its dice. */
export interface Machine {
  readonly address: string
  readonly dice: Dice
  readonly disk: Disk
  /** Its wall clock less the world's, milliseconds. */
  clockOffset: number
  /** It does nothing before this moment of the world: it is stopped, or waits for its disk. */
  busyUntil: number
  /** The machine itself runs, whether or not a process does. */
  powered: boolean
}

/** What a host needs of its world. */
export interface HostWorld {
  readonly elapsed: number
  readonly startsAt: number
  /** Runs something at a host unless that is dead by then, and when it is not busy. Returns what cancels it. */
  schedule(host: SimHost, milliseconds: number, run: () => void): () => void
  listen(host: SimHost, name: string, port: number, handlers: SocketHandlers): Listener
  connect(
    host: SimHost,
    name: string,
    port: number,
    handlers: SocketHandlers,
    millisecondsMax?: number,
  ): Promise<Socket>
  addressOf(from: string, name: string): string
}

/** The runtime of one process on one machine of a simulated world. */
export class SimHost implements Runtime {
  readonly machine: Machine
  readonly clock: Clock
  readonly files: Files
  /** Those that are open. */
  readonly sockets = new Set<SimSocket>()
  alive = true
  readonly #world: HostWorld

  constructor(machine: Machine, world: HostWorld) {
    this.machine = machine
    this.#world = world
    this.files = machine.disk.files()
    this.clock = {
      now: () => world.startsAt + Math.floor(world.elapsed) + machine.clockOffset,
      monotonic: () => world.elapsed,
      after: (milliseconds, run) => ({ cancel: world.schedule(this, Math.max(0, milliseconds), run) }),
      soon: (run) => void world.schedule(this, 0, run),
    }
  }

  get address(): string {
    return this.machine.address
  }

  /** Its wall clock less the world's, milliseconds. */
  get clockOffset(): number {
    return this.machine.clockOffset
  }

  set clockOffset(milliseconds: number) {
    this.machine.clockOffset = milliseconds
  }

  random(length: number): Uint8Array {
    return this.machine.dice.bytes(length)
  }

  async listen(name: string, port: number, handlers: SocketHandlers): Promise<Listener> {
    return this.#world.listen(this, name, port, handlers)
  }

  connect(name: string, port: number, handlers: SocketHandlers, millisecondsMax?: number): Promise<Socket> {
    return this.#world.connect(this, name, port, handlers, millisecondsMax)
  }

  /** No world outside: what speaks HTTP is not simulated. */
  async http(url: string, _request: HttpRequest): Promise<{ readonly status: number }> {
    throw new AurexError('http-failed', `${url}: the simulator has no HTTP`)
  }

  async resolve(name: string): Promise<readonly string[]> {
    const address = this.#world.addressOf(this.address, name)
    if (isIP(address) === 0) throw new AurexError('name-unknown', `the name ${name} has no address`)
    return [address]
  }

  verifyInBackground(check: SignatureCheck): Promise<boolean> {
    return this.#verifySoon('native', check)
  }

  verifyByRuleInBackground(check: SignatureCheck): Promise<boolean> {
    return this.#verifySoon('rule', check)
  }

  #verifySoon(how: keyof typeof ways, check: SignatureCheck): Promise<boolean> {
    return new Promise((resolve) => void this.#world.schedule(this, 0, () => resolve(verifyOnce(how, check))))
  }
}

const ways = { native: verifyNatively, rule: checkByRule }

const answered = new LRUCache<string, boolean>({ max: 65_536 })

/** All nodes of a world are in one process: the same signature need be checked only once for all of them. */
function verifyOnce(how: keyof typeof ways, check: SignatureCheck): boolean {
  const { signature, publicKey, message } = check
  const digest = createHash('sha256').update(signature).update(publicKey).update(message).digest('base64')
  const key = `${how} ${digest}`
  const known = answered.get(key)
  if (known !== undefined) return known
  const answer = ways[how](check)
  answered.set(key, answer)
  return answer
}
