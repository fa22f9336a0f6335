import { AurexError, exitCode, type Listener, type Socket, type SocketHandlers } from '../../core/index.ts'
import type { Dice } from './dice.ts'
import { calm } from './faults.ts'
import type { SimHost } from './host.ts'
import { LineFaults } from './lines.ts'
import { Links } from './links.ts'
import type { World } from './runtime.ts'
import { SimSocket, type Wire } from './sockets.ts'

export interface InternetOptions {
  readonly latencyMilliseconds: readonly [number, number]
  readonly bufferBytesMax: number
}

interface Listening {
  readonly host: SimHost
  readonly handlers: SocketHandlers
}

/** After so long without an answer the system gives up to connect, as Linux does. */
const connectMillisecondsMax = 130_000
/** A delay spike is between these. */
const spikeMilliseconds = [200, 3_000] as const

/** How the hosts of a world reach each other. */
export class Internet {
  readonly links = new Links()
  readonly #options: InternetOptions
  readonly #dice: Dice
  readonly #world: World
  readonly #listening = new Map<string, Listening>()
  #nextPort = 40_000

  constructor(options: InternetOptions, dice: Dice, world: World) {
    this.#options = options
    this.#dice = dice
    this.#world = world
  }

  /** Loopback is the host itself. */
  addressOf(from: string, name: string): string {
    return name === '127.0.0.1' || name === 'localhost' || name === '0.0.0.0' ? from : name
  }

  listen(host: SimHost, name: string, asked: number, handlers: SocketHandlers): Listener {
    const port = asked === 0 ? this.#nextPort++ : asked
    const key = `${this.addressOf(host.address, name)}:${port}`
    if (this.#listening.has(key)) {
      throw new AurexError('address-in-use', `port ${port} on ${name} is in use already`, {
        exit: exitCode.unavailable,
      })
    }
    const listening = { host, handlers }
    this.#listening.set(key, listening)
    return {
      host: name,
      port,
      stop: () => {
        if (this.#listening.get(key) === listening) this.#listening.delete(key)
      },
    }
  }

  connect(
    host: SimHost,
    name: string,
    port: number,
    handlers: SocketHandlers,
    millisecondsMax = connectMillisecondsMax,
  ): Promise<Socket> {
    const to = this.addressOf(host.address, name)
    const fromPort = this.#nextPort++
    return new Promise((resolve, reject) => {
      let over = false
      const cancel = this.#world.schedule(host, millisecondsMax, () => {
        over = true
        reject(new AurexError('connect-slow', `cannot connect to ${name} port ${port}: no answer`))
      })
      const end = (run: () => void) => () => {
        if (over || !host.alive) return
        cancel()
        run()
      }
      const refused = end(() =>
        reject(new AurexError('connect-failed', `cannot connect to ${name} port ${port}: ECONNREFUSED`)),
      )
      this.#deliver(host.address, to, this.#latency(), `${host.address}:${fromPort}>${to}:${port} connect`, () => {
        if (over || !host.alive || this.#isSilent(to)) return
        const listening = this.#listening.get(`${to}:${port}`)
        if (listening === undefined) {
          this.#deliver(to, host.address, this.#latency(), `${to}:${port}>${host.address}:${fromPort} refused`, refused)
          return
        }
        const near = this.#socket(host, to, name, port, handlers, `>${host.address}:${fromPort}`)
        const seenFrom = to === host.address ? '127.0.0.1' : host.address
        const far = this.#socket(
          listening.host,
          host.address,
          seenFrom,
          fromPort,
          listening.handlers,
          `>${to}:${port}<${fromPort}`,
        )
        near.join(far)
        far.join(near)
        const opened = end(() => {
          near.opened()
          resolve(near)
        })
        this.#deliver(to, host.address, 0, `>${host.address}:${fromPort} open`, () => {
          if (!over) return opened()
          // Nobody waits for it any more.
          near.die(true)
          host.sockets.delete(near)
        })
        far.opened()
      })
    })
  }

  /** The sockets of a host and what listens there are gone. `loud`: the system tells the other sides. */
  crash(host: SimHost, loud: boolean): void {
    for (const socket of host.sockets) socket.die(loud)
    host.sockets.clear()
    for (const [key, listening] of this.#listening) if (listening.host === host) this.#listening.delete(key)
  }

  heal(): void {
    for (const arrive of this.links.heal()) this.#world.at(0, arrive)
  }

  /** A machine without power; an address that nobody ever had refuses. */
  #isSilent(address: string): boolean {
    return !this.#world.host(address).machine.powered
  }

  #socket(
    host: SimHost,
    otherAddress: string,
    shownHost: string,
    port: number,
    handlers: SocketHandlers,
    label: string,
  ): SimSocket {
    const world = this.#world
    const here = host.address
    const isNetwork = here !== otherAddress
    const weather = () => (isNetwork ? world.weather : calm)
    const hear = isNetwork ? world.tap?.() : undefined
    const wire: Wire = {
      later: (milliseconds, what, bytes, run) => {
        if (bytes !== undefined) hear?.(bytes)
        this.#deliver(
          otherAddress,
          here,
          milliseconds,
          `${label} ${what}`,
          run,
          ...(bytes === undefined ? [] : [bytes]),
        )
      },
      after: (milliseconds, run) => void world.schedule(host, Math.max(0, milliseconds), run),
      latency: () => this.#latency(),
      spike: () => (isNetwork ? this.#spike() : 0),
      breaks: () => {
        const breaks = isNetwork && this.#dice.chance(world.weather.reset)
        if (breaks) world.tally.add('reset')
        return breaks
      },
      now: () => world.elapsed,
      bufferBytesMax: this.#options.bufferBytesMax,
      guard: (run) => world.guard(run),
      gone: (one) => void host.sockets.delete(one),
      answers: () => world.answers(here),
    }
    const lines = new LineFaults({ weather, dice: this.#dice, tally: world.tally })
    const socket = new SimSocket(shownHost, port, handlers, lines, wire)
    host.sockets.add(socket)
    return socket
  }

  #latency(): number {
    const [least, most] = this.#options.latencyMilliseconds
    return this.#dice.between(least, most)
  }

  #spike(): number {
    if (!this.#dice.chance(this.#world.weather.delaySpike)) return 0
    this.#world.tally.add('delay-spike')
    return this.#dice.between(...spikeMilliseconds)
  }

  #deliver(from: string, to: string, milliseconds: number, what: string, run: () => void, bytes?: Uint8Array): void {
    const world = this.#world
    if (bytes !== undefined) {
      const way = `${from}>${to}`
      world.traffic.set(way, (world.traffic.get(way) ?? 0) + countLines(bytes))
    }
    const arrive = (): void => world.arrive(world.host(to).machine, what, bytes, run)
    world.at(milliseconds, () => {
      if (this.links.isOpen(from, to)) arrive()
      else this.links.wait(from, to, arrive)
    })
  }
}

function countLines(bytes: Uint8Array): number {
  let count = 0
  for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) count++
  return count
}
const newline = 0x0a
