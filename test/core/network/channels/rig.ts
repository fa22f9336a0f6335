// Nodes whose plugin has a channel of notes, and what becomes of them is the test's affair.
import * as v from 'valibot'
import { accepted, type Verdict } from '../../../../core/errors.ts'
import { PluginMessages } from '../../../../core/network/pluginmessages.ts'
import type { Channel, ChannelOptions, Context, PeerView, Slot } from '../../../../core/plugin.ts'
import { Town, type TownNode, type TownNodeOptions } from '../town.ts'

/** Fields that it does not name are left out. */
export const note = v.object({ text: v.pipe(v.string(), v.maxLength(100)), n: v.optional(v.number()) })
export type Note = v.InferOutput<typeof note>

export type Judge = (said: Note, from: PeerView) => Verdict | Promise<Verdict>

export interface NoteNode extends TownNode {
  readonly channel: Channel<Note>
  /** What its plugin was given, accepted or not. */
  readonly given: Note[]
  /** What its plugins logged: whose it is, and what it says. */
  readonly ofPlugins: { readonly plugin: string; readonly level: string; readonly fields: Record<string, unknown> }[]
}

export interface NoteOptions extends TownNodeOptions {
  readonly judge?: Judge
  readonly channel?: ChannelOptions
  /** Registers more, before there is a network. */
  readonly more?: (of: (plugin: string) => Pick<Context<Slot>, 'channel' | 'serve'>) => void
}

const nothing = (): void => undefined

export class NoteTown extends Town {
  /** `from>to` of each note that was sent. */
  readonly sent: string[] = []

  constructor(seed = 1) {
    super(seed)
    this.inOrder = true
    this.post = (message, from, to) => {
      if (message['type'] === 'paper.note') this.sent.push(`${from}>${to}`)
      return [{ message, after: 5 }]
    }
  }

  /** `n`: the last number of its address. */
  noteNode(n: number, { judge = () => accepted, more, channel: options, ...rest }: NoteOptions = {}): NoteNode {
    const host = `10.0.0.${n}`
    const given: Note[] = []
    const ofPlugins: NoteNode['ofPlugins'] = []
    const messages = this.messages(host, ofPlugins)
    const hear: Judge = (said, from) => {
      given.push(said)
      return judge(said, from)
    }
    const channel = messages.of('paper', nothing).channel('note', note, hear, options ?? { gossip: true })
    more?.((plugin) => messages.of(plugin, nothing))
    return Object.assign(this.node(host, { ...rest, messages, settings: { dialNetworks: [] } }), {
      channel,
      given,
      ofPlugins,
    })
  }

  messages(host: string, ofPlugins: NoteNode['ofPlugins'] = []): PluginMessages {
    const say =
      (plugin: string, level: string) =>
      (_message: string, fields: Record<string, unknown> = {}): void =>
        void ofPlugins.push({ plugin, level, fields })
    return new PluginMessages({
      clock: this.world.host(host).clock,
      logFor: (plugin) => ({
        debug: say(plugin, 'debug'),
        info: say(plugin, 'info'),
        warn: say(plugin, 'warn'),
        error: say(plugin, 'error'),
      }),
    })
  }

  async connect(...pairs: readonly (readonly [TownNode, TownNode])[]): Promise<void> {
    for (const [a, b] of pairs) {
      const result = await this.dial(a, b)
      if (!result.ok) throw new Error(`${result.code}: ${result.detail}`)
    }
    await this.world.advance(50)
  }
}

/** Each with the next. */
export const inLine = <T>(nodes: readonly T[]): [T, T][] => nodes.slice(1).map((node, i) => [nodes[i]!, node])

/** Each with all others. */
export const inMesh = <T>(nodes: readonly T[]): [T, T][] =>
  nodes.flatMap((a, i) => nodes.slice(i + 1).map((b): [T, T] => [a, b]))
