import { messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { Waiting } from '../plugin.ts'
import type { Clock, Files } from '../runtime.ts'

/** How soon a key that another process has is asked for again. */
const retryMilliseconds = 1_000

export interface KeyHoldParts {
  readonly files: Pick<Files, 'hold'>
  /** The key file. */
  readonly path: string
  readonly clock: Clock
  readonly log: Log
}

/**
 * Makes this process the only one on this machine that signs with a key file. Only who signs what must not be signed twice
 * asks for it, so that any number of nodes may share a key that has no such part.
 */
export class KeyHold {
  readonly #parts: KeyHoldParts
  #state: 'free' | 'held' | 'unknown' = 'free'
  #letGo: (() => void) | undefined
  #refused: { readonly waiting: Waiting; readonly at: number } | undefined

  constructor(parts: KeyHoldParts) {
    this.#parts = parts
  }

  /** undefined: it is held from now on; else who has it. */
  take(): Waiting | undefined {
    if (this.#state !== 'free') return undefined
    const now = this.#parts.clock.monotonic()
    if (this.#refused !== undefined && now - this.#refused.at < retryMilliseconds) return this.#refused.waiting
    try {
      this.#letGo = this.#parts.files.hold(this.#parts.path)
    } catch (error) {
      return this.#cannotKnow(error)
    }
    if (this.#letGo === undefined) return this.#refuse(now)
    this.#state = 'held'
    this.#refused = undefined
    return undefined
  }

  release(): void {
    this.#letGo?.()
    this.#letGo = undefined
    this.#state = 'free'
  }

  #refuse(now: number): Waiting {
    const { path, clock, log } = this.#parts
    const waiting = this.#refused?.waiting ?? {
      waitsFor: `another process on this machine, which signs with the key ${path}`,
      since: clock.now(),
      help: 'stop that process, or this one; a node needs a key of its own: aurex key new',
    }
    if (this.#refused === undefined) log.error('nothing is signed while another process has the key', { path })
    this.#refused = { waiting, at: now }
    return waiting
  }

  /** A folder in which nothing can be made, as that of a key on a read-only disk: who runs the node sees to it there. */
  #cannotKnow(error: unknown): undefined {
    const { path, log } = this.#parts
    log.warn('whether another process has the key cannot be seen: no lock file can be made beside it', {
      path,
      why: messageOf(error),
    })
    this.#state = 'unknown'
    return undefined
  }
}
