import type { Bus } from './bus.ts'
import type { Genesis } from './chain/genesis.ts'
import type { KeyPair } from './chain/keys.ts'
import { AurexError, exitCode, messageOf } from './errors.ts'
import type { Limits } from './limits.ts'
import type { Log } from './log.ts'
import type { Contributed } from './contributions.ts'
import type { Context, LoadedPlugin, NetworkView, NodeFacts, Slot, Slots, Transport } from './plugin.ts'
import { builtinsThatProvide, placeOf } from './resolve.ts'
import type { Runtime } from './runtime.ts'
import { servicesOf, type PluginServices } from './services.ts'

export { resolvePlugin } from './resolve.ts'

/** A plugin with its section of the config and its table of the genesis, both parsed by its own schemas. */
export interface PluginEntry {
  readonly plugin: LoadedPlugin
  readonly config: unknown
  readonly parameters: unknown
}

/** What contexts are made of. */
export interface SetUpParts {
  readonly plugins: readonly PluginEntry[]
  readonly bus: Bus
  readonly runtime: Runtime
  readonly identity: KeyPair
  readonly genesis: Genesis | undefined
  readonly node: NodeFacts
  readonly limits: Limits
  readonly network: NetworkView
  readonly contributed: Contributed
  readonly services: PluginServices
  readonly logFor: (name: string) => Log
}

export type FilledSlots = { readonly [S in Exclude<Slot, 'transport'>]?: Slots[S] } & {
  readonly transport: readonly Transport[]
}

export interface SetUp {
  readonly slots: FilledSlots
  /** The transports again, each with the name of its plugin. */
  readonly transports: readonly { readonly plugin: string; readonly transport: Transport }[]
  /** Aborts the plugins' signal, then releases what they hold, last first. Twice is once. Never rejects. */
  readonly dispose: () => Promise<void>
}

/**
 * Sets plugins up in the order of their needs. Before anything is set up, throws `slot-taken`, `slot-empty`,
 * `slot-circle`. When the setup of a plugin that fills a slot throws, takes too long (`setup-slow`) or leaves the slot
 * empty (`slot-empty`), everything that is up is released before the error is thrown. A plugin that fills none, and so
 * is needed by none, is named in the log and left out.
 */
export async function setUpPlugins(parts: SetUpParts): Promise<SetUp> {
  const ordered = await orderByNeed(parts.plugins)
  const stopping = new AbortController()
  const scopes: Scope[] = []
  const filled: Partial<Omit<Slots, 'transport'>> & { transport: Transport[] } = { transport: [] }
  const transports: { readonly plugin: string; readonly transport: Transport }[] = []
  let disposal: Promise<void> | undefined
  const dispose = () =>
    (disposal ??= (async () => {
      stopping.abort()
      for (const scope of scopes.toReversed()) await scope.release()
    })())
  try {
    for (const entry of ordered) {
      const { plugin } = entry
      const scope = new Scope(parts, parts.logFor(plugin.name))
      scopes.push(scope)
      try {
        const value = await setUpOne(entry, contextFor(plugin, parts, scope, filled, stopping.signal), parts)
        fill(filled, plugin, value)
        if (plugin.provides === 'transport') transports.push({ plugin: plugin.name, transport: value as Transport })
      } catch (error) {
        if (plugin.provides !== 'none') throw error
        await scope.release()
        parts.logFor(plugin.name).error('left out: it could not be set up; the node goes on without it', { error })
      }
    }
  } catch (error) {
    await dispose()
    throw error
  }
  return { slots: filled, transports, dispose }
}

/** The plugins, each after those that fill what it needs; otherwise in the order given. Throws as `setUpPlugins`. */
async function orderByNeed<E extends Pick<PluginEntry, 'plugin'>>(entries: readonly E[]): Promise<E[]> {
  refuseTwice(entries.map(({ plugin }) => plugin))
  const ordered: E[] = []
  const visit = async (entry: E, above: readonly E[]): Promise<void> => {
    if (ordered.includes(entry)) return
    if (above.includes(entry)) throw circle([...above.slice(above.indexOf(entry)), entry])
    const { needs, wants = [] } = entry.plugin
    for (const slot of [...needs, ...wants]) {
      const providers = entries.filter(({ plugin }) => plugin.provides === slot)
      // Of transports there may be any number, none among them.
      if (providers.length === 0 && needs.includes(slot) && slot !== 'transport')
        throw await emptySlot(slot, entry.plugin)
      for (const provider of providers) await visit(provider, [...above, entry])
    }
    ordered.push(entry)
  }
  for (const entry of entries) await visit(entry, [])
  return ordered
}

/** Throws `plugin-twice` or `slot-taken`, naming both. */
export function refuseTwice(plugins: readonly LoadedPlugin[]): void {
  const names = new Set<string>()
  const providers = new Map<string, string>()
  for (const { name, provides } of plugins) {
    if (names.has(name)) throw wrongSet('plugin-twice', `there are two plugins of the name ${name}; leave one out`)
    names.add(name)
    if (provides === 'none' || provides === 'transport') continue
    const first = providers.get(provides)
    if (first !== undefined) {
      throw wrongSet('slot-taken', `${provides} is provided by both ${first} and ${name}; name only one of them`)
    }
    providers.set(provides, name)
  }
}

function circle(entries: readonly Pick<PluginEntry, 'plugin'>[]): AurexError {
  const steps = entries.slice(1).map(({ plugin }, at) => {
    return `${entries[at]!.plugin.name} needs ${plugin.provides} from ${plugin.name}`
  })
  return wrongSet('slot-circle', `plugins need each other in a circle: ${steps.join(', ')}; leave one out`)
}

async function emptySlot(slot: Slot, needer: LoadedPlugin): Promise<AurexError> {
  // Core contributes the chain as soon as there are an engine and a place to record.
  const missing: readonly Slot[] = slot === 'chain' ? ['consensus', 'storage'] : [slot]
  const advice = await Promise.all(missing.map(async (one) => `one of ${(await builtinsThatProvide(one)).join(', ')}`))
  const message = `${slot} is needed by ${needer.name} but no plugin provides it; add ${advice.join(' and ')}`
  return wrongSet('slot-empty', message)
}

const wrongSet = (code: string, message: string) => new AurexError(code, message, { exit: exitCode.config })

// ---- one plugin ----

/** What a plugin acquired, and how it is released. */
class Scope {
  readonly #parts: Pick<SetUpParts, 'runtime' | 'limits'>
  readonly #log: Log
  readonly #releases: (() => void | Promise<void>)[] = []
  #over = false

  constructor(parts: Pick<SetUpParts, 'runtime' | 'limits'>, log: Log) {
    this.#parts = parts
    this.#log = log
  }

  defer(release: () => void | Promise<void>): void {
    this.#releases.push(release)
    // A setup that was given up still acquires: nobody else would release that.
    if (this.#over) void this.release()
  }

  /**
   * Last in, first out, each awaited; one that fails or takes too long is logged and does not keep the others from being
   * released.
   */
  async release(): Promise<void> {
    this.#over = true
    for (let release = this.#releases.pop(); release !== undefined; release = this.#releases.pop()) {
      try {
        await this.#withinTime(release)
      } catch (error) {
        this.#log.error('a release failed', { error })
      }
    }
  }

  async #withinTime(release: () => void | Promise<void>): Promise<void> {
    const { runtime, limits } = this.#parts
    const { promise: tooSlow, resolve } = Promise.withResolvers<void>()
    const milliseconds = limits.release_milliseconds_max
    const timer = runtime.clock.after(milliseconds, () => {
      this.#log.error('a release takes too long and is not waited for', { milliseconds })
      resolve()
    })
    try {
      await Promise.race([release(), tooSlow])
    } finally {
      timer.cancel()
    }
  }
}

function contextFor(
  plugin: LoadedPlugin,
  parts: SetUpParts,
  scope: Scope,
  filled: Partial<Omit<Slots, 'transport'>> & { transport: Transport[] },
  signal: AbortSignal,
): Context<Slot> {
  const { bus, node, identity, genesis, limits, network, contributed, runtime, logFor } = parts
  // Exactly the slots that it named; the type says so to the plugin itself.
  const use: Partial<Record<Slot, unknown>> = {}
  for (const slot of [...plugin.needs, ...(plugin.wants ?? [])]) {
    if (slot === 'transport') use[slot] = [...filled.transport]
    else if (filled[slot] !== undefined) use[slot] = filled[slot]
  }
  return {
    use: Object.freeze(use) as Context<Slot>['use'],
    node,
    identity,
    genesis,
    limits,
    network,
    runtime,
    log: logFor(plugin.name),
    signal,
    on: (event, hear) => scope.defer(bus.on(plugin.name, event, hear as (fact: unknown) => void | Promise<void>)),
    onPlugin: (event, hear) => scope.defer(bus.on(plugin.name, event, hear)),
    publish: (event, fact) => bus.publish(plugin.name, event, fact),
    contribute: (kind, what) => scope.defer(contributed.add(kind, what)),
    contributed: (kind) => contributed.all(kind),
    ...servicesOf(plugin.name, parts.services, (release) => scope.defer(release)),
    defer: (release) => scope.defer(release),
  }
}

async function setUpOne(entry: PluginEntry, context: Context<Slot>, parts: SetUpParts): Promise<unknown> {
  const { plugin, config, parameters } = entry
  const { promise: tooSlow, reject } = Promise.withResolvers<never>()
  const millisecondsMax = parts.limits.setup_milliseconds_max
  const timer = parts.runtime.clock.after(millisecondsMax, () => {
    const advice = 'see its log, or raise limits.setup_milliseconds_max'
    reject(new AurexError('setup-slow', `plugin ${plugin.name}: not set up after ${millisecondsMax} ms; ${advice}`))
  })
  try {
    const setup = (async () => plugin.setup(context, config as never, parameters as never))()
    return await Promise.race([setup, tooSlow])
  } catch (error) {
    throw ofPlugin(plugin.name, error)
  } finally {
    timer.cancel()
  }
}

/** The same error, with the plugin's name in front. */
function ofPlugin(name: string, error: unknown): AurexError {
  const message = messageOf(error)
  if (!(error instanceof AurexError)) {
    return new AurexError('setup-failed', `plugin ${name}: setup failed: ${message}${placeOf(error)}`, {
      cause: error,
    })
  }
  if (message.replace(/^plugin /, '').startsWith(`${name}: `)) return error
  return new AurexError(error.code, `${name}: ${message}`, { cause: error, exit: error.exit })
}

function fill(
  filled: Partial<Record<Exclude<Slot, 'transport'>, unknown>> & { transport: Transport[] },
  { name, provides }: LoadedPlugin,
  value: unknown,
): void {
  if (provides === 'none') return
  if (typeof value !== 'object' || value === null) {
    const got = value === null ? 'null' : typeof value
    throw new AurexError('slot-empty', `plugin ${name}: provides ${provides}, but its setup returned ${got}`)
  }
  if (provides === 'transport') filled.transport.push(value as Transport)
  else filled[provides] = value
}
