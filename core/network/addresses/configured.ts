import type { NodeId } from '../../chain/keys.ts'
import type { Result } from '../../errors.ts'
import { hostPortText, type HostPort } from '../hostport.ts'
import type { Dialling, ModuleParts } from '../module.ts'
import type { PeerFacts } from '../peer.ts'
import { backOff, isLasting } from './backoff.ts'
import { jitter } from './chance.ts'
import { canonicalIp } from './ip.ts'
import { lookUp } from './lookup.ts'

export interface ConfiguredParts
  extends Pick<ModuleParts, 'bans' | 'settings' | 'peers' | 'runtime' | 'log'>, Dialling {}

export interface Attempt {
  /** The IP address that was dialled; undefined where the name has none. */
  readonly at: HostPort | undefined
  readonly result: Result<PeerFacts>
}

interface Target {
  /** As the operator wrote it. */
  readonly to: HostPort
  /** What was dialled last. */
  at: HostPort | undefined
  /** Who answered there last. */
  nodeId: NodeId | undefined
  dialling: boolean
  /** In a row. */
  failures: number
  /** Monotonic milliseconds. */
  dueAt: number
  /** The code of the last failure, as the log has it already. */
  said: string | undefined
}

/** An attempt costs little, and a network that was torn has to be whole again soon. */
const retryMillisecondsMax = 15_000
const refusedMilliseconds = 60_000
/** It is a peer already, but nothing tells which of them. */
const duplicateMilliseconds = 30_000

/** The peers that the operator named: dialled wherever they are, for ever, and soon again when they went away. */
export class Configured {
  readonly #parts: ConfiguredParts
  #targets: Target[]
  #toldOfCopy = false

  constructor(parts: ConfiguredParts) {
    this.#parts = parts
    const dueAt = parts.runtime.clock.monotonic()
    this.#targets = parts.settings.peers.map(({ host, port }) => {
      const to = { host: canonicalIp(host) ?? host, port }
      return { to, at: undefined, nodeId: undefined, dialling: false, failures: 0, dueAt, said: undefined }
    })
  }

  /** Whether a node is one of these, by its id or by where it is. */
  has(to: HostPort, nodeId: NodeId | undefined): boolean {
    const text = hostPortText(to)
    return this.#targets.some(
      (target) =>
        (nodeId !== undefined && target.nodeId === nodeId) ||
        hostPortText(target.to) === text ||
        (target.at !== undefined && hostPortText(target.at) === text),
    )
  }

  /** Monotonic milliseconds of the next attempt; Infinity while there is none to make. */
  nextDueAt(): number {
    return this.#absent().reduce((least, { dueAt }) => Math.min(least, dueAt), Number.POSITIVE_INFINITY)
  }

  /** Begins an attempt at the one that waits longest; undefined where it is nobody's turn. Never rejects. */
  dialNext(): Promise<Attempt> | undefined {
    const now = this.#parts.runtime.clock.monotonic()
    const [target] = this.#absent()
      .filter(({ dueAt }) => dueAt <= now)
      .toSorted((one, other) => one.dueAt - other.dueAt)
    return target && this.#dial(target)
  }

  left(nodeId: NodeId, stayedMilliseconds: number): void {
    for (const target of this.#targets) {
      if (target.nodeId === nodeId) {
        // One that sends us away at once is not dialled at full speed.
        target.failures = stayedMilliseconds >= retryMillisecondsMax ? 1 : target.failures + 1
        this.#postpone(target)
      } else if (target.nodeId === undefined && target.said === 'duplicate') {
        // It may have been this one.
        target.failures = 1
        this.#postpone(target)
      }
    }
  }

  /** The last peer is gone: nothing is more urgent. */
  hurry(): void {
    const now = this.#parts.runtime.clock.monotonic()
    for (const target of this.#targets) {
      target.dueAt = Math.min(target.dueAt, now + backOff(this.#parts.runtime, 1, retryMillisecondsMax))
    }
  }

  #absent(): readonly Target[] {
    const { bans, peers } = this.#parts
    return this.#targets.filter(({ dialling, nodeId, at, to }) => {
      if (dialling || bans.find(nodeId, (at ?? to).host) !== undefined) return false
      return nodeId === undefined || peers.get(nodeId) === undefined
    })
  }

  async #dial(target: Target): Promise<Attempt> {
    target.dialling = true
    const at = await this.#resolved(target)
    const result = at.ok ? await this.#parts.dial(at.value) : at
    target.dialling = false
    this.#settle(target, result)
    return { at: at.ok ? at.value : undefined, result }
  }

  async #resolved(target: Target): Promise<Result<HostPort>> {
    const at = await lookUp(this.#parts.runtime, target.to, target.failures)
    if (at.ok) target.at = at.value
    return at
  }

  #settle(target: Target, result: Result<PeerFacts>): void {
    if (result.ok) {
      target.nodeId = result.value.nodeId
      target.said = undefined
      return
    }
    const isAgain = target.said === result.code
    this.#say(target, result.code, result.detail)
    if (result.code === 'self') {
      // One list of peers often serves all nodes of a network.
      this.#targets = this.#targets.filter((other) => other !== target)
    } else if (result.code === 'duplicate') {
      if (isAgain) this.#suspectCopy(target)
      target.nodeId = this.#listening(target.at)
      target.failures = 0
      target.dueAt = this.#parts.runtime.clock.monotonic() + duplicateMilliseconds
    } else {
      target.failures++
      // Its house is full, and there are others.
      const waits = isLasting(result.code) || (result.code === 'too-many-peers' && this.#parts.peers.full().length > 0)
      this.#postpone(target, waits ? refusedMilliseconds : undefined)
    }
  }

  /** A node that has no peer at all, and is a peer of others all the same, has its key elsewhere. It is their word, no proof. */
  #suspectCopy({ to }: Target): void {
    if (this.#toldOfCopy || this.#parts.peers.size > 0) return
    this.#toldOfCopy = true
    const what_to_do = 'one key is for one process: stop the other one, or give this one a key of its own'
    const message =
      'a node of --peers is connected with this node already, and this one has no peer: is its key elsewhere?'
    this.#parts.log.error(message, { peer: hostPortText(to), what_to_do })
  }

  /** The peer that says it listens at this address. */
  #listening(at: HostPort | undefined): NodeId | undefined {
    if (at === undefined) return undefined
    const text = hostPortText(at)
    const isThere = (listens: HostPort | undefined) => listens !== undefined && hostPortText(listens) === text
    return this.#parts.peers.all().find(({ facts }) => isThere(facts.listens))?.nodeId
  }

  #postpone(target: Target, milliseconds?: number): void {
    const { runtime } = this.#parts
    const wait =
      milliseconds === undefined
        ? backOff(runtime, target.failures, retryMillisecondsMax)
        : jitter(runtime, milliseconds)
    target.dueAt = runtime.clock.monotonic() + wait
  }

  /** Once for each reason: it is tried for ever. */
  #say(target: Target, code: string, detail: string): void {
    if (target.said === code) return
    target.said = code
    if (code === 'duplicate') return
    const fields = { peer: hostPortText(target.to), code, detail }
    if (isLasting(code)) this.#parts.log.warn('a node of --peers is no peer', fields)
    else if (code === 'self') this.#parts.log.debug('a node of --peers is this one', fields)
    else this.#parts.log.info('a node of --peers is not reached; it is dialled until it is', fields)
  }
}
