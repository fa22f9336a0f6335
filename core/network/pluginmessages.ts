import type * as v from 'valibot'
import { isObject } from '../chain/json.ts'
import { AurexError, decline, type Result } from '../errors.ts'
import type { JsonObject } from '../chain/json.ts'
import type { Log } from '../log.ts'
import type { Answering, Channel, ChannelOptions, Context, Slot } from '../plugin.ts'
import type { Clock } from '../runtime.ts'
import { isLoopback } from './addresses/ip.ts'
import { PluginChannel, type Hear } from './channels/channel.ts'
import { Lines } from './channels/lines.ts'
import { PluginWork } from './channels/work.ts'
import type { MessageType, ModuleParts, NetworkModule } from './module.ts'
import type { Answer } from './session.ts'

/** What a message is called on the wire where that is not `<plugin>.<name>`. */
const wireTypes: Readonly<Record<string, string>> = {
  // Protocol section 5 names it.
  'finality.vote': 'finality_vote',
}

/** With a plugin's name, at most 64 characters: what a handshake takes as the name of a feature. */
const namePattern = /^[a-z][a-z0-9_-]{0,30}$/
/** They stand among the 32 features that others read of a handshake. */
const channelsMax = 24

export interface PluginMessagesParts {
  readonly clock: Clock
  readonly logFor: (plugin: string) => Log
}

type Defer = (release: () => void) => void

/** What plugins say to each other over the network, and answer to clients. They register before there is a network. */
export class PluginMessages {
  readonly #parts: PluginMessagesParts
  readonly #types = new Map<string, MessageType>()
  readonly #channels = new Map<string, PluginChannel>()
  #isOpen = false

  constructor(parts: PluginMessagesParts) {
    this.#parts = parts
  }

  /** For one plugin; `defer` is told how what it registers is taken back. */
  of(plugin: string, defer: Defer): Pick<Context<Slot>, 'channel' | 'serve'> {
    return {
      channel: (name, schema, hear, options) => this.#channel({ plugin, name, schema, hear, options, defer }),
      serve: (name, schema, answering) => this.#serve({ plugin, name, schema, answering, defer }),
    }
  }

  /** Types of the channels: this node understands messages of them. */
  features(): readonly string[] {
    return [...this.#channels.keys()]
  }

  /** The part of the network that hears and says them. Nothing is registered any more. */
  module({ peers, runtime, limits, log }: ModuleParts): NetworkModule {
    this.#isOpen = true
    const lines = new Lines({ peers, clock: runtime.clock, limits, log })
    for (const channel of this.#channels.values()) channel.attach(lines)
    return {
      messages: Object.fromEntries(this.#types),
      joined: (peer) => lines.joined(peer),
      left: (peer) => lines.left(peer),
      stop: () => lines.end(),
    }
  }

  #channel({ plugin, name, schema, hear, options = {}, defer }: ChannelAsked): Channel<object> {
    const type = this.#typeOf(plugin, name)
    if (this.#channels.size >= channelsMax) {
      throw new AurexError('too-many-channels', `plugin ${plugin}: ${name}: a node has at most ${channelsMax} channels`)
    }
    const work = new PluginWork({ clock: this.#parts.clock, log: this.#parts.logFor(plugin), type })
    const channel = new PluginChannel({ type, schema, hear, gossip: options.gossip === true, work })
    this.#types.set(type, channel.messageType)
    this.#channels.set(type, channel)
    defer(() => {
      this.#types.delete(type)
      this.#channels.delete(type)
    })
    return channel
  }

  #serve({ plugin, name, schema, answering, defer }: ServiceAsked): void {
    const type = this.#typeOf(plugin, name)
    const work = new PluginWork({ clock: this.#parts.clock, log: this.#parts.logFor(plugin), type })
    this.#types.set(type, {
      schema,
      async handle(fields: never, _message, { connection }): Promise<Answer> {
        if (answering.loopbackOnly === true && !isLoopback(connection.remoteHost)) return loopbackOnly
        const result = await work.run(async () => resultOf(await answering.answer(fields)))
        if (result === undefined) return failed
        return result.ok ? { message: { ...result.value, type } } : { refusal: result }
      },
    })
    defer(() => void this.#types.delete(type))
  }

  /** Throws `too-late`, `bad-name`, `name-taken`. */
  #typeOf(plugin: string, name: string): string {
    const full = `${plugin}.${name}`
    const type = wireTypes[full] ?? full
    if (this.#isOpen) {
      throw new AurexError('too-late', `${full}: messages are registered in setup(), and the network is open already`)
    }
    if (!namePattern.test(name)) {
      const rule = 'up to 31 small letters, digits, dashes and underscores, a letter first'
      throw new AurexError('bad-name', `plugin ${plugin}: a message's name: expected ${rule}, got ${name}`)
    }
    if (this.#types.has(type)) throw new AurexError('name-taken', `there is a message ${full} already`)
    return type
  }
}

interface Asked {
  readonly plugin: string
  readonly name: string
  readonly schema: v.GenericSchema<unknown, object>
  readonly defer: Defer
}

interface ChannelAsked extends Asked {
  readonly hear: Hear
  readonly options: ChannelOptions | undefined
}

interface ServiceAsked extends Asked {
  readonly answering: Answering<never>
}

/** A plugin may be written without types. Throws for whoever logs it. */
function resultOf(result: Result<JsonObject>): Result<JsonObject> {
  const given = result as Partial<Result<JsonObject>> | undefined
  if (given?.ok === false || (given?.ok === true && isObject(given.value))) return result
  throw new TypeError('answer: expected found(an object), or what refuse() or decline() made')
}

const loopbackOnly: Answer = {
  refusal: decline('loopback-only', 'this is only answered on the machine of the node itself'),
}
const failed: Answer = {
  refusal: decline('internal', 'the plugin that is asked failed to answer; the log of its node says why'),
}
