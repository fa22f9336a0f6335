import * as v from 'valibot'
import { AurexError, exitCode, suggestion } from '../errors.ts'
import { canonicalJson, sha256Hex, type Hash } from './canonical.ts'
import { genesisBlock, type Block } from './block.ts'
import { isObject, jsonFault, nestingMax, type JsonObject } from './json.ts'
import { publicKeyOf } from './keys.ts'
import { defaultLimits, type ChainLimits, type ChainRules } from './rules.ts'
import { parseTimestamp, type Timestamp } from './timestamp.ts'

/** Everything that the nodes of a chain must agree on (protocol section 4). */
export interface Genesis {
  readonly name: string
  readonly timestamp: Timestamp
  /** The engine's name. */
  readonly consensus: string
  /** The engine's own table, as it stands in the file. The engine's schema reads it. */
  readonly parameters: JsonObject
  /** The application's name; undefined: any data is taken as it is. */
  readonly application: string | undefined
  /** The application's own table, as it stands in the file; empty without an application. */
  readonly applicationParameters: JsonObject
  /** The table of whoever says what is final, as it stands in the file; undefined: nobody does. */
  readonly finality: JsonObject | undefined
  readonly rules: ChainRules
  /** Canonical JSON of the whole file: `chainId` is its SHA-256. */
  readonly text: string
  readonly block: Block
}

/** Room that a block keeps for its header, the engine's fields among it. */
const headerBytesReserved = 64 * 1024

const limit = (max: number) => v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(max)))

const pluginName = /^[a-z][a-z0-9-]{0,31}$/

const genesisFields = v.looseObject({
  name: v.pipe(v.string(), v.minLength(1), v.maxLength(64)),
  timestamp: v.pipe(
    v.string(),
    v.check((text) => parseTimestamp(text) !== undefined, 'expected the form 2026-11-21T00:00:00.000Z'),
  ),
  consensus: v.pipe(v.string(), v.regex(pluginName, "expected an engine's name")),
  application: v.optional(v.pipe(v.string(), v.regex(pluginName, "expected an application's name"))),
  gateways: v.optional(
    v.union([
      v.literal('any'),
      v.array(
        v.pipe(
          v.string(),
          v.check((address) => publicKeyOf(address).ok, 'expected the address of a proper key'),
        ),
      ),
    ]),
  ),
  finality: v.optional(v.custom<JsonObject>(isObject, 'expected a table of its parameters')),
  limits: v.optional(
    v.strictObject({
      transaction_bytes_max: limit(1024 * 1024),
      block_transactions_max: limit(100_000),
      block_bytes_max: limit(8 * 1024 * 1024),
    }),
  ),
})

/**
 * Reads a genesis from its parsed file. `where` is named in errors. Throws `bad-genesis`.
 * The chain's id is the hash of what stands in the file, nothing added: defaults of a later version cannot change it.
 */
export function readGenesis(value: JsonObject, where: string): Genesis {
  const fault = jsonFault(value, nestingMax)
  if (fault !== undefined) throw badGenesis(where, fault.detail)
  const shaped = v.safeParse(genesisFields, value)
  if (!shaped.success) {
    const issue = shaped.issues[0]
    const what = issue.received === 'undefined' ? 'is missing' : `${issue.message}, got ${issue.received}`
    throw badGenesis(where, `${v.getDotPath(issue) ?? 'the file'}: ${what}`)
  }
  const { name, timestamp, consensus, application, gateways, limits, finality } = shaped.output
  for (const table of [consensus, application ?? '']) {
    if (Object.hasOwn(genesisFields.entries, table)) throw badGenesis(where, `${table}: is no name of a plugin`)
  }
  if (application === consensus) throw badGenesis(where, `application: ${application} is the engine's name already`)
  const tables = new Set([...Object.keys(genesisFields.entries), consensus, ...(application ? [application] : [])])
  const unknown = Object.keys(value).find((key) => !tables.has(key))
  if (unknown !== undefined) {
    const advice = suggestion(unknown, [...tables]) || `; expected one of ${[...tables].join(', ')}`
    throw badGenesis(where, `unknown key ${unknown}${advice}`)
  }
  const chainLimits: ChainLimits = {
    transactionBytesMax: limits?.transaction_bytes_max ?? defaultLimits.transactionBytesMax,
    blockTransactionsMax: limits?.block_transactions_max ?? defaultLimits.blockTransactionsMax,
    blockBytesMax: limits?.block_bytes_max ?? defaultLimits.blockBytesMax,
  }
  // A transaction that is taken must fit into a block, or it would wait for ever.
  const blockBytesMin = chainLimits.transactionBytesMax + headerBytesReserved
  if (chainLimits.blockBytesMax < blockBytesMin) {
    throw badGenesis(where, `limits.block_bytes_max: expected at least ${blockBytesMin}, for one largest transaction`)
  }
  const parameters = tableIn(value, consensus, 'engine', where)
  const applicationParameters = application === undefined ? {} : tableIn(value, application, 'application', where)
  const text = canonicalJson(value)
  const chainId: Hash = sha256Hex(text)
  const rules: ChainRules = {
    chainId,
    consensus,
    gateways: gateways ?? [],
    application,
    finality: finality !== undefined,
    limits: chainLimits,
  }
  return {
    name,
    timestamp,
    consensus,
    application,
    applicationParameters,
    parameters,
    finality,
    rules,
    text,
    block: genesisBlock(rules, timestamp),
  }
}

function tableIn(value: JsonObject, name: string, whose: 'engine' | 'application', where: string): JsonObject {
  const table = value[name] ?? {}
  if (isObject(table)) return table
  throw badGenesis(where, `${name}: expected a table of the ${whose}'s parameters`)
}

/**
 * The chain that a node starts with when it is given no genesis: the same for everybody who starts the same engine and
 * the same application with the same parameters. Anyone may sign for a name on it.
 */
export function developmentGenesis(
  consensus: string,
  parameters: JsonObject,
  application?: { readonly name: string; readonly parameters: JsonObject },
): Genesis {
  return readGenesis(
    {
      name: 'development',
      timestamp: '2026-01-01T00:00:00.000Z',
      consensus,
      gateways: 'any',
      ...tableOf(consensus, parameters),
      ...(application && { application: application.name, ...tableOf(application.name, application.parameters) }),
    },
    'the development genesis',
  )
}

const tableOf = (name: string, parameters: JsonObject): JsonObject =>
  Object.keys(parameters).length === 0 ? {} : { [name]: parameters }

const badGenesis = (where: string, what: string) =>
  new AurexError('bad-genesis', `${where}: ${what}`, { exit: exitCode.config })
