import { AurexError, messageOf } from './errors.ts'
import type { CoreEvents } from './events.ts'
import type { Clock } from './runtime.ts'

export type EventName = `${string}:${string}`
/** What a listener of an event hears. What plugins tell has a type only they know. */
export type FactOf<E extends EventName> = E extends keyof CoreEvents ? CoreEvents[E] : unknown
export type Hear<E extends EventName> = (fact: FactOf<E>) => void | Promise<void>

/** What a listener did wrong. `listener-failed`: it threw, and hears on. `listener-detached`: it hears nothing more. */
export interface ListenerFault {
  readonly code: 'listener-failed' | 'listener-detached'
  readonly owner: string
  readonly event: string
  readonly detail: string
}

export interface Bus {
  /** Hears the facts of an event, in order, one at a time, from now on. Returns what ends it. */
  on<E extends EventName>(owner: string, event: E, hear: Hear<E>): () => void
  /** Core's own facts. Returns before any listener runs. */
  emit<E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]): void
  /** A plugin's fact, heard as `owner:name`. Throws `bad-event` where that is not a name of its own. */
  publish(owner: string, name: string, fact: unknown): void
  /** How many facts wait for each listener. */
  depths(): readonly { readonly owner: string; readonly event: string; readonly waiting: number }[]
}

export interface BusParts {
  readonly clock: Pick<Clock, 'soon'>
  /** Facts that wait for one listener; with one more it is detached. */
  readonly mailboxFactsMax: number
  readonly report: (fault: ListenerFault) => void
}

type OwnerOf<E> = E extends `${infer Owner}:${string}` ? Owner : never

// A record and not a list, so that the compiler asks for an entry when core tells a new kind of fact.
const coreOwnersTable: Record<OwnerOf<keyof CoreEvents>, true> = {
  node: true,
  tx: true,
  block: true,
  head: true,
  peer: true,
  sync: true,
  clock: true,
  reorganisation: true,
  storage: true,
  listener: true,
  evidence: true,
  chain: true,
}
/** What stands before the colon in core's own events: no plugin may bear such a name. */
export const coreEventOwners: readonly string[] = Object.keys(coreOwnersTable)

/** Carries facts to whoever listens, off the stack of whoever tells them. */
export function createBus({ clock, mailboxFactsMax, report }: BusParts): Bus {
  const mailboxes = new Map<string, Set<Mailbox>>()

  const on = <E extends EventName>(owner: string, event: E, hear: Hear<E>) => {
    const failed = (error: unknown) =>
      report({ code: 'listener-failed', owner, event, detail: `${owner} failed to hear ${event}: ${messageOf(error)}` })
    const mailbox = new Mailbox(owner, event, hear as (fact: unknown) => void | Promise<void>, clock, failed)
    const listeners = mailboxes.get(event) ?? new Set()
    mailboxes.set(event, listeners.add(mailbox))
    return () => remove(mailbox)
  }

  function remove(mailbox: Mailbox): void {
    mailbox.close()
    const listeners = mailboxes.get(mailbox.event)
    listeners?.delete(mailbox)
    if (listeners?.size === 0) mailboxes.delete(mailbox.event)
  }

  function deliver(event: string, fact: unknown): void {
    // One that is detached leaves the set meanwhile, which a Set's own iteration allows.
    for (const mailbox of mailboxes.get(event) ?? []) {
      if (mailbox.waiting < mailboxFactsMax) mailbox.put(fact)
      else detach(mailbox)
    }
  }

  function detach(mailbox: Mailbox): void {
    // First of all: the fact about it may find the same listener, or another full one.
    remove(mailbox)
    const { owner, event } = mailbox
    const reason = `${mailboxFactsMax} facts were waiting`
    report({ code: 'listener-detached', owner, event, detail: `${owner} hears ${event} no more: ${reason}` })
    deliver('listener:detached', { owner, event, reason } satisfies CoreEvents['listener:detached'])
  }

  return {
    on,
    emit: deliver,
    publish(owner, name, fact) {
      if (coreEventOwners.includes(owner) || !/^[a-z][a-z0-9-]*$/.test(name)) {
        const expected = 'a name of small letters, digits and dashes under the name of the plugin'
        throw new AurexError('bad-event', `${owner} publishes ${JSON.stringify(name)}: expected ${expected}`)
      }
      deliver(`${owner}:${name}`, fact)
    },
    depths: () =>
      [...mailboxes.values()].flatMap((listeners) =>
        [...listeners].map(({ owner, event, waiting }) => ({ owner, event, waiting })),
      ),
  }
}

/** The facts that wait for one listener, and its one turn at a time. */
class Mailbox {
  readonly owner: string
  readonly event: string
  readonly #hear: (fact: unknown) => void | Promise<void>
  readonly #clock: Pick<Clock, 'soon'>
  readonly #failed: (error: unknown) => void
  #facts: unknown[] = []
  #draining = false
  #closed = false

  constructor(
    owner: string,
    event: string,
    hear: (fact: unknown) => void | Promise<void>,
    clock: Pick<Clock, 'soon'>,
    failed: (error: unknown) => void,
  ) {
    this.owner = owner
    this.event = event
    this.#hear = hear
    this.#clock = clock
    this.#failed = failed
  }

  /** Without the one that is being heard. */
  get waiting(): number {
    return this.#facts.length
  }

  put(fact: unknown): void {
    if (this.#closed) return
    this.#facts.push(fact)
    if (!this.#draining) this.#drainSoon()
  }

  close(): void {
    this.#closed = true
    this.#facts = []
  }

  #drainSoon(): void {
    this.#draining = true
    this.#clock.soon(() => void this.#drain())
  }

  async #drain(): Promise<void> {
    // What comes while these are heard waits for another turn: a listener that tells facts to itself must not keep the
    // event loop to itself.
    for (let left = this.#facts.length; left > 0 && !this.#closed; left--) {
      const fact = this.#facts.shift()
      try {
        const heard = this.#hear(fact)
        if (heard instanceof Promise) await heard
      } catch (error) {
        this.#failed(error)
      }
    }
    this.#draining = false
    if (this.#facts.length > 0) this.#drainSoon()
  }
}
