import type { KeyPair } from './chain/keys.ts'
import type { Contributed } from './contributions.ts'
import type { CoreEvents } from './events.ts'
import type { Log } from './log.ts'
import type { Clock } from './runtime.ts'
import type { JsonObject } from './chain/json.ts'
import type { Verdict } from './errors.ts'
import { EvidenceBook } from './evidence/book.ts'
import { PluginMessages } from './network/pluginmessages.ts'
import type { Context, Slot } from './plugin.ts'
import { Signing } from './signing/signing.ts'

/** What core does for plugins on request. */
export interface PluginServices {
  readonly signing: Signing
  readonly messages: PluginMessages
  readonly evidence: EvidenceBook
}

interface ServicesParts {
  readonly identity: KeyPair
  readonly contributed: Contributed
  readonly clock: Clock
  readonly logFor: (name: string) => Log
  readonly emit: <E extends keyof CoreEvents>(event: E, fact: CoreEvents[E]) => void
}

export const openServices = ({ logFor, ...parts }: ServicesParts): PluginServices => ({
  signing: new Signing({ ...parts, log: logFor('signing') }),
  messages: new PluginMessages(),
  evidence: new EvidenceBook({ ...parts, log: logFor('evidence') }),
})

type Served = Pick<Context<Slot>, 'signer' | 'channel' | 'serve' | 'accuse'>

/** The part of a plugin's context that these services make up. */
export function servicesOf(plugin: string, { signing, messages, evidence }: PluginServices): Served {
  return {
    signer: signing.signerOf(plugin),
    channel: (name, schema, hear, options) => messages.channel(plugin, name, schema, hear, options),
    serve: (name, schema, answering) => messages.serve(plugin, name, schema, answering),
    accuse: (kind: string, proof: JsonObject): Verdict => evidence.accuse(kind, proof),
  }
}
