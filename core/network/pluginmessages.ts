import type * as v from 'valibot'
import type { JsonObject } from '../chain/json.ts'
import { AurexError, decline, type Verdict } from '../errors.ts'
import type { Answering, Channel, ChannelOptions, PeerView } from '../plugin.ts'
import { isLoopback } from './addresses/ip.ts'
import type { MessageType, NetworkModule } from './module.ts'
import type { Peers } from './peers.ts'
import type { Answer } from './session.ts'
import { peerView } from './view.ts'

/** What plugins say to each other over the network, and answer to clients. They register before there is a network. */
export class PluginMessages {
  readonly #types: Record<string, MessageType> = {}
  #peers: Peers | undefined

  channel(
    plugin: string,
    name: string,
    schema: v.GenericSchema<unknown, object>,
    hear: (message: never, from: PeerView) => Verdict | Promise<Verdict>,
    _options: ChannelOptions = {},
  ): Channel<object> {
    const type = this.#register(plugin, name, {
      schema,
      handle: (fields: never, _message, { peer }): Answer | Promise<Answer> => {
        if (peer === undefined) return { refusal: decline('peers-only', 'shake hands first') }
        const judged = (verdict: Verdict): Answer =>
          verdict.ok || !verdict.provable ? undefined : { refusal: verdict }
        const verdict = hear(fields, peerView(peer))
        return verdict instanceof Promise ? verdict.then(judged) : judged(verdict)
      },
    })
    const line = (message: object): JsonObject => ({ ...(message as JsonObject), type })
    return {
      broadcast: (message) => this.#peers?.all().forEach((peer) => peer.send(line(message))),
      send: (to, message) =>
        this.#peers
          ?.all()
          .find(({ nodeId }) => nodeId === to)
          ?.send(line(message)),
    }
  }

  serve(plugin: string, name: string, schema: v.GenericSchema<unknown, object>, answering: Answering<never>): void {
    const type = this.#register(plugin, name, {
      schema,
      handle: async (fields: never, _message, { connection }): Promise<Answer> => {
        if (answering.loopbackOnly === true && !isLoopback(connection.remoteHost)) {
          return { refusal: decline('loopback-only', 'this is only answered on the machine of the node itself') }
        }
        const result = await answering.answer(fields)
        return result.ok ? { message: { ...result.value, type } } : { refusal: result }
      },
    })
  }

  /** The part of the network that hears them. */
  module(peers: Peers): NetworkModule {
    this.#peers = peers
    return { messages: this.#types }
  }

  #register(plugin: string, name: string, type: MessageType): string {
    const full = `${plugin}.${name}`
    if (Object.hasOwn(this.#types, full)) throw new AurexError('name-taken', `there is a message ${full} already`)
    this.#types[full] = type
    return full
  }
}
