import * as v from 'valibot'
import { isNodeId, publicKeyOf } from '../chain/keys.ts'
import { AurexError } from '../errors.ts'
import { limitsSchema } from '../limits.ts'
import { logLevels } from '../log.ts'
import { parseNetwork } from '../network/addresses/cidr.ts'
import { parseHostPort } from '../network/hostport.ts'
import type { LoadedPlugin } from '../plugin.ts'
import { kindOf } from './value.ts'

/** One thing that can be set, whatever the way. */
export interface Key {
  /** `port`, `limits.connections_max`, `pow.difficulty`. */
  readonly id: string
  /** The table of the file; `''` for core's own keys. */
  readonly section: string
  readonly name: string
  readonly entry: v.GenericSchema
  /** Where the value is a path: relative to the file that says so, or to the working directory. */
  readonly path: boolean
  /** What nodes must agree on: shapes the development genesis, and is fixed by a genesis that is given. */
  readonly parameter: boolean
  /** Without the dashes. */
  readonly flag: string
  readonly variable: string
}

type Entries = Readonly<Record<string, v.GenericSchema>>

const text = v.pipe(v.string(), v.minLength(1))
const described = (summary: string) => v.pipe(text, v.description(summary))

/** A list's item that some reader takes; `advice` says how it is written, for the text that was given. */
const written = (
  isRight: (text: string) => boolean,
  expected: string,
  advice: (text: string) => string,
): v.GenericSchema<string, string> =>
  v.pipe(
    v.string(),
    v.check(isRight, ({ input, received }) => `expected ${expected}, got ${received}; ${advice(input)}`),
  )

const peer = written((text) => parseHostPort(text).ok, 'host:port', likeHostPort)
const network = written((text) => parseNetwork(text).ok, 'a network such as 10.0.0.0/8 or fd00::/8', likeNetwork)
const node = written(
  (text) => isNodeId(text) || publicKeyOf(text).ok,
  'a node id or an address (64 lowercase hex digits)',
  () => 'aurex key show prints both of a key; a node prints its own when it starts',
)

function likeHostPort(text: string): string {
  const bare = text
    .trim()
    .replace(/^[a-z]+:\/\//, '')
    .replace(/\/+$/, '')
  const unbracketed = /^([0-9A-Fa-f:]*:[0-9A-Fa-f:]*):(\d{1,5})$/.exec(bare)
  const guesses = [
    bare,
    ...(unbracketed === null ? [] : [`[${unbracketed[1]}]:${unbracketed[2]}`]),
    `[${bare}]:13245`,
    `${bare}:13245`,
  ]
  return `write it like ${guesses.find((guess) => parseHostPort(guess).ok) ?? '127.0.0.1:13245'}`
}

function likeNetwork(text: string): string {
  const read = parseNetwork(text)
  return read.ok ? '' : read.detail
}

export const coreSchema = v.strictObject({
  config: v.optional(described('read this file first: TOML, one a role in config/')),
  plugins: v.optional(
    v.pipe(v.array(text), v.minLength(1), v.description('names, files or packages of plugins')),
    () => ['pow', 'tcp', 'sqlite'],
  ),
  name: v.optional(v.pipe(text, v.maxLength(64), v.description('what this node is called')), 'node'),
  data_dir: v.optional(described('for ledger and key (default: ~/.local/share/aurex)')),
  genesis: v.optional(described('of the chain, TOML or JSON; none: a development chain')),
  key: v.optional(described("the node's private key; none: one is made in data_dir")),
  port: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(0),
      v.maxValue(65_535),
      v.description('for peers and clients; 0: any that is free'),
    ),
    13_245,
  ),
  peers: v.optional(v.pipe(v.array(peer), v.description('nodes to connect to, host:port; they know others')), () => []),
  allow_peers: v.optional(
    v.pipe(v.array(node), v.description('node ids or addresses: nobody else may be a peer')),
    () => [],
  ),
  dial_networks: v.optional(
    v.pipe(v.array(network), v.description('private ones that may be dialled: 10.0.0.0/8')),
    () => [],
  ),
  advertise: v.optional(v.pipe(peer, v.description('host:port that others are to dial'))),
  log_level: v.optional(v.pipe(v.picklist(logLevels), v.description('debug, info, warning or error')), 'info'),
  log_file: v.optional(described('log there too, as JSON lines')),
})

const pathKeys = new Set(['config', 'data_dir', 'genesis', 'key', 'log_file'])

/** Tables and keys of the file that are core's own: no plugin may be called so. */
export const coreNames: readonly string[] = [...Object.keys(coreSchema.entries), 'limits']

/** Other names of a key. A section or variable of that name sets it too. */
const aliases: Readonly<Record<string, string>> = { 'tcp.port': 'port' }

/** Variables that predate aurex, and what they set where that plugin is loaded. */
export const foreignVariables: Readonly<Record<string, string>> = {
  RPC_LISTEN_HOST: 'gateway.host',
  RPC_LISTEN_PORT: 'gateway.port',
  SERVER_NOTIFY_HOST: 'notifier.host',
  SERVER_NOTIFY_PORT: 'notifier.port',
}

/** The keys that exist with these plugins. Flags are found by `flag`, variables by `variable`, the rest by `id`. */
export class Keys {
  readonly all: readonly Key[]
  /** Tables of the file, by name. */
  readonly sections: readonly string[]
  readonly #byId: ReadonlyMap<string, Key>
  readonly #byFlag: ReadonlyMap<string, Key>
  readonly #byVariable: ReadonlyMap<string, Key>

  constructor(plugins: readonly LoadedPlugin[]) {
    this.all = [
      ...section('', coreSchema.entries),
      ...section('limits', limitsSchema.entries),
      ...plugins.flatMap((plugin) => [
        ...section(plugin.name, entriesOf(plugin.config)),
        ...section(plugin.name, entriesOf(plugin.parameters), true),
      ]),
    ]
    this.sections = ['limits', ...plugins.map(({ name }) => name)]
    const index = (nameOf: (id: string) => string): Map<string, Key> => {
      const map = new Map(this.all.map((key) => [nameOf(key.id), key]))
      for (const [alias, id] of Object.entries(aliases)) {
        const key = map.get(nameOf(id))
        // A plugin that has a key of that name keeps it.
        if (key !== undefined && !map.has(nameOf(alias))) map.set(nameOf(alias), key)
      }
      return map
    }
    const byFlag = index(flagOf)
    // `--difficulty` is whatever the engine that is loaded calls so.
    const engine = plugins.find(({ provides }) => provides === 'consensus')
    const difficulty = engine && byFlag.get(`${engine.name}.difficulty`)
    if (difficulty !== undefined) byFlag.set('difficulty', difficulty)
    this.#byId = index((id) => id)
    this.#byFlag = byFlag
    this.#byVariable = index(variableOf)
    this.#refuseTwins()
  }

  find = (id: string): Key | undefined => this.#byId.get(id)
  byFlag = (flag: string): Key | undefined => this.#byFlag.get(flag)
  byVariable = (variable: string): Key | undefined => this.#byVariable.get(variable)
  get flags(): readonly string[] {
    return [...this.#byFlag.keys()]
  }
  get variables(): readonly string[] {
    return [...this.#byVariable.keys()]
  }
  /** Names of the keys of a section, for suggestions. */
  namesIn = (section: string): readonly string[] =>
    this.all.filter((key) => key.section === section && key.id !== 'config').map(({ name }) => name)

  /** Two plugins, `a` with `b_c` and `a-b` with `c`, would share a variable. */
  #refuseTwins(): void {
    const seen = new Map<string, Key>()
    for (const key of this.all) {
      const twin = seen.get(key.variable)
      if (twin !== undefined) {
        const message = `${twin.id} and ${key.id} are both set by ${key.variable}; one of the plugins needs another name`
        throw new AurexError('ambiguous-key', message)
      }
      seen.set(key.variable, key)
    }
  }
}

const flagOf = (id: string): string => id.replaceAll('_', '-')
export const variableOf = (id: string): string => `AUREX_${id.replace(/[.-]/g, '_').toUpperCase()}`

/** Whether a flag needs no value. */
export const isSwitch = (key: Key): boolean => kindOf(key.entry) === 'boolean'

/** Keys whose values are not shown. */
export const isSecret = (key: Key): boolean => /(token|secret)$/.test(key.name)

/** The entries of an object schema, with or without a pipe behind it. */
export const entriesOf = (schema: v.GenericSchema | undefined): Entries =>
  (schema as { readonly entries?: Entries } | undefined)?.entries ?? {}

const section = (section: string, entries: Entries, parameter = false): Key[] =>
  Object.entries(entries).map(([name, entry]) => {
    const id = section === '' ? name : `${section}.${name}`
    const path = section === '' && pathKeys.has(name)
    return { id, section, name, entry, path, parameter, flag: flagOf(id), variable: variableOf(id) }
  })
