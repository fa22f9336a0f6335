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
import { Signing, type SigningParts } from './signing/signing.ts'

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
  /** As `SigningParts.holdKey`. */
  readonly holdKey?: SigningParts['holdKey']
}

export const openServices = ({ logFor, ...parts }: ServicesParts): PluginServices => ({
  signing: new Signing({ ...parts, log: logFor('signing') }),
  messages: new PluginMessages({ clock: parts.clock, logFor }),
  evidence: new EvidenceBook({ ...parts, log: logFor('evidence') }),
})

type Served = Pick<Context<Slot>, 'signer' | 'channel' | 'serve' | 'accuse'>

/** The part of a plugin's context that these services make up. `defer`: as the plugin's own. */
export function servicesOf(
  plugin: string,
  { signing, messages, evidence }: PluginServices,
  defer: (release: () => void) => void,
): Served {
  return {
    signer: signing.signerOf(plugin),
    ...messages.of(plugin, defer),
    accuse: (kind: string, proof: JsonObject): Verdict => evidence.accuse(kind, proof),
  }
}
