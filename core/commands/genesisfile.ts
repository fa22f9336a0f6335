import { parse, stringify } from 'smol-toml'
import { readGenesis, type Genesis } from '../chain/genesis.ts'
import { isObject, type Json, type JsonObject } from '../chain/json.ts'
import { defaultLimits, type Gateways } from '../chain/rules.ts'
import type { Timestamp } from '../chain/timestamp.ts'

export interface GenesisSettings {
  readonly name: string
  readonly timestamp: Timestamp
  /** The engine's name. */
  readonly consensus: string
  /** The engine's own table, complete. */
  readonly parameters: JsonObject
  readonly application: string | undefined
  /** The application's own table, complete; empty without one. */
  readonly applicationParameters?: JsonObject
  /** The table of whoever says what is final, complete; undefined: nobody does. */
  readonly finality?: JsonObject | undefined
  readonly gateways: Gateways
}

/**
 * A genesis as a TOML file for people: commented, everything explicit. Throws `bad-genesis`; `where` is named in it.
 * The genesis that is returned beside the text was read back from it, as every node will.
 */
export function genesisFile(settings: GenesisSettings, where: string): { text: string; genesis: Genesis } {
  const { consensus, parameters, application, applicationParameters = {}, finality } = settings
  const text = [
    `# The genesis of a chain: everything that its nodes must agree on. Its SHA-256, as canonical JSON, is the chain's
# id: whoever changes a value has another chain. Comments and the order of lines have no say.

${assignments({ name: settings.name, timestamp: settings.timestamp })}
# The engine that makes and judges blocks.
${assignments({ consensus })}`,
    application === undefined
      ? `# No application: transactions say what they like.\n`
      : `# What transactions mean.\n${assignments({ application })}`,
    `# Whose keys may sign for senders that are names: addresses, or "any" (for development).
${assignments({ gateways: settings.gateways })}`,
    table(consensus, parameters, "The engine's own rules."),
    application === undefined ? '' : table(application, applicationParameters, "The application's own rules."),
    finality === undefined ? '' : table('finality', finality, 'Who says by votes which blocks can never be undone.'),
    `# The largest transaction and block that are valid, as canonical JSON.
[limits]
${assignments({
  transaction_bytes_max: defaultLimits.transactionBytesMax,
  block_transactions_max: defaultLimits.blockTransactionsMax,
  block_bytes_max: defaultLimits.blockBytesMax,
})}`,
  ]
    .filter((part) => part !== '')
    .join('\n')
  return { text, genesis: readGenesis(parse(text) as JsonObject, where) }
}

/** A plugin's own table; a table in it stands below, so that it can grow line by line. */
function table(name: string, entries: JsonObject, comment: string): string {
  const all = Object.entries(entries)
  if (all.length === 0) return ''
  const plain = assignments(Object.fromEntries(all.filter(([, value]) => !isObject(value))))
  const inner = all.map(([key, value]) => (isObject(value) ? `\n[${name}.${keyText(key)}]\n${assignments(value)}` : ''))
  return `# ${comment}\n[${name}]\n${plain}${inner.join('')}`
}

/** `key = value` lines, a longer list with one item a line. */
function assignments(values: JsonObject): string {
  return Object.entries(values)
    .map(([key, value]) => {
      const list = Array.isArray(value) && value.length > 1
      const text = list ? `[\n${value.map((item) => `  ${inline(item)},\n`).join('')}]` : inline(value)
      return `${keyText(key)} = ${text}\n`
    })
    .join('')
}

/** A value on one line. Scalars and keys are the library's to write: their escapes are not JSON's. */
function inline(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(inline).join(', ')}]`
  if (!isObject(value)) return stringify({ x: value }).trim().slice('x = '.length)
  const fields = Object.entries(value).map(([key, inner]) => `${keyText(key)} = ${inline(inner)}`)
  return `{ ${fields.join(', ')} }`
}

const keyText = (key: string): string =>
  stringify({ [key]: 0 })
    .trim()
    .slice(0, -' = 0'.length)
