import { existsSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as v from 'valibot'
import { builtinNames, builtins } from './builtin.ts'
import { coreEventOwners } from './bus.ts'
import { AurexError, exitCode, messageOf, suggestion } from './errors.ts'
import { coreNames, entriesOf } from './config/keys.ts'
import { issueText } from './config/value.ts'
import type { LoadedPlugin, Slot } from './plugin.ts'

/** Keys of a genesis beside the engine's and the application's own tables (protocol section 4). */
const genesisNames = ['name', 'timestamp', 'consensus', 'application', 'gateways', 'limits', 'finality']
/** `AUREX_LOG_LEVEL` and `AUREX_DATA_DIR` would be theirs; the others name us in logs and errors. */
const ownNames = ['core', 'aurex', 'log', 'data', 'chain', 'network']
/** What core signs, keeps and sends under these names: a plugin's own purposes, records and messages begin with its own. */
const signedNames = ['tx', 'block', 'handshake', 'confirmation', 'signing', 'evidence']
const reservedNames = new Set([...genesisNames, ...coreNames, ...coreEventOwners, ...ownNames, ...signedNames])

/** What a plugin may fill; `chain` is core's own. */
const fillable = ['storage', 'consensus', 'finality', 'application', 'transport'] satisfies Slot[]
const slots = [...fillable, 'chain'] satisfies Slot[]

/** Same as an engine's name in a genesis. */
const pluginName = /^[a-z][a-z0-9-]{0,31}$/
const nameExpected = 'expected up to 32 small letters, digits and dashes'

/**
 * Finds a plugin: a built-in name, a file (it starts with `.` or `/` or ends in `.ts` or `.js`; relative to `cwd`) or an
 * npm package as `cwd` sees it. Throws `unknown-plugin` (there is none), `plugin-broken` (there is, but it cannot be
 * imported or is no plugin).
 */
export async function resolvePlugin(name: string, cwd: string): Promise<LoadedPlugin> {
  const builtin = Object.hasOwn(builtins, name) ? builtins[name] : undefined
  if (builtin !== undefined) return checked((await imported(name, name, builtin)).default, name)
  const url = isFile(name) ? fileUrl(name, cwd) : packageUrl(name, cwd)
  const module = await imported(name, url, () => import(url) as Promise<{ readonly default?: unknown }>)
  return checked(module.default, name)
}

/** Why a plugin of one's own may not have this name; undefined where it may. */
export function nameFault(name: string): string | undefined {
  if (!pluginName.test(name)) return `${nameExpected}, a letter first, got ${JSON.stringify(name)}`
  if (builtinNames.includes(name)) return `${name} is the name of a plugin that comes with aurex; choose another`
  return reservedNames.has(name) ? `${name} is reserved; choose another` : undefined
}

/** Names of the plugins that come with aurex and fill a slot. For suggestions. */
export async function builtinsThatProvide(slot: Slot): Promise<string[]> {
  const loaded = await Promise.allSettled(builtinNames.map((name) => resolvePlugin(name, '/')))
  return loaded.flatMap((one) => (one.status === 'fulfilled' && one.value.provides === slot ? [one.value.name] : []))
}

const isFile = (name: string): boolean => /^[./]|\.[tj]s$/.test(name)

function fileUrl(name: string, cwd: string): string {
  const path = resolve(cwd, name)
  if (!existsSync(path)) throw unknownPlugin(`plugin ${name}: there is no file ${path}`)
  if (statSync(path).isDirectory()) throw unknownPlugin(`plugin ${name}: ${path} is a directory; name a file in it`)
  return pathToFileURL(path).href
}

function packageUrl(name: string, cwd: string): string {
  try {
    // Where nothing is installed, Bun would fetch a package of this name from the registry and run it: a name that was
    // mistyped, or stands in somebody's ledger, must never do that.
    if (isInstalled(name, cwd)) return import.meta.resolve(name, pathToFileURL(join(cwd, 'x.js')).href)
  } catch {
    // It is there and has no entry: for whoever names it, as good as missing.
  }
  const near = suggestion(name, builtinNames)
  const others = 'a file is written ./name.ts, a package must be installed'
  throw unknownPlugin(
    `plugin ${name}: not built in (${builtinNames.join(', ')}), no package in ${cwd}${near || `; ${others}`}`,
  )
}

/** Whether some `node_modules` at or above the folder has the package: `name`, `@scope/name`, each with a path behind. */
function isInstalled(name: string, folder: string): boolean {
  const own = /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0]
  if (own === undefined) return false
  if (existsSync(join(folder, 'node_modules', own))) return true
  return dirname(folder) !== folder && isInstalled(name, dirname(folder))
}

async function imported<M>(name: string, where: string, load: () => Promise<M>): Promise<M> {
  try {
    return await load()
  } catch (cause) {
    const path = where.startsWith('file:') ? fileURLToPath(where) : where
    throw broken(name, `importing ${path} failed: ${faultOf(cause)}`, cause)
  }
}

/** What a file's author must mend, and the line. */
function faultOf(thrown: unknown): string {
  // Several mistakes of syntax come together, each with its place.
  const [first] = thrown instanceof AggregateError ? (thrown.errors as unknown[]) : [thrown]
  const { position } = (first ?? {}) as { readonly position?: { file: string; line: number; column: number } | null }
  if (position) return `${position.file}:${position.line}:${position.column}: ${messageOf(first)}`
  return `${messageOf(first)}${placeOf(first)}`
}

/** ` (/home/me/mine.ts:4:7)`: where something was thrown, as near to a plugin's own code as can be told; or nothing. */
export function placeOf(thrown: unknown): string {
  const stack = thrown instanceof Error ? (thrown.stack ?? '') : ''
  const frames = stack.split('\n').flatMap((line) => /^\s+at .*?(\/[^()]+:\d+:\d+)\)?$/.exec(line)?.[1] ?? [])
  const frame = frames.find((one) => !one.includes('/node_modules/'))
  return frame === undefined ? '' : ` (${frame})`
}

const isObjectSchema = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && 'kind' in value && 'entries' in value && '~run' in value
const objectSchema = v.custom<v.GenericSchema>(isObjectSchema, 'expected a valibot object: v.strictObject({ ... })')

const pluginShape = v.looseObject({
  name: v.pipe(v.string(), v.regex(pluginName, nameExpected)),
  summary: v.pipe(v.string(), v.minLength(1)),
  provides: v.picklist([...fillable, 'none']),
  needs: v.array(v.picklist(slots)),
  wants: v.optional(v.array(v.picklist(slots))),
  config: objectSchema,
  parameters: v.optional(objectSchema),
  setup: v.function(),
})

function checked(value: unknown, name: string): LoadedPlugin {
  const shape = v.safeParse(pluginShape, value)
  if (!shape.success) {
    const issue = shape.issues[0]
    const path = v.getDotPath(issue)
    if (path === null)
      throw broken(name, 'its default export is no plugin; write: export default definePlugin({ ... })')
    throw broken(name, `${path}: ${issueText(issue, pluginShape)}`)
  }
  // What it was is what is used: the check made a copy, and a plugin may be an instance of a class.
  const plugin = value as LoadedPlugin
  refuseName(plugin, name)
  const twice = Object.keys(entriesOf(plugin.parameters)).find((key) => key in entriesOf(plugin.config))
  if (twice !== undefined) throw broken(name, `${twice} is a key of both config and parameters; rename one`)
  return plugin
}

/** The genesis names the engine and the application; whoever says what is final it finds by the name of the slot. */
function refuseName({ name, provides }: LoadedPlugin, given: string): void {
  if (provides === 'finality' && name !== 'finality') {
    throw broken(given, `name: a plugin that fills finality is called finality, got ${name}`)
  }
  if (provides !== 'finality' && reservedNames.has(name))
    throw broken(given, `name: ${name} is reserved; choose another`)
}

const unknownPlugin = (message: string) => new AurexError('unknown-plugin', message, { exit: exitCode.config })

const broken = (name: string, what: string, cause?: unknown) =>
  new AurexError('plugin-broken', `plugin ${name}: ${what}`, { cause, exit: exitCode.config })
