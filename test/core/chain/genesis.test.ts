import { describe, expect, test } from 'bun:test'
import { AurexError } from '../../../core/errors.ts'
import { transactionsRoot } from '../../../core/chain/block.ts'
import { canonicalJson, sha256Hex } from '../../../core/chain/canonical.ts'
import { developmentGenesis, readGenesis } from '../../../core/chain/genesis.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { defaultLimits } from '../../../core/chain/rules.ts'
import { alice, nested } from './made.ts'

const file: JsonObject = {
  name: 'market',
  timestamp: '2026-11-21T00:00:00.000Z',
  consensus: 'pow',
  gateways: [alice.address],
  pow: { difficulty: 4 },
}

function faultOf(value: JsonObject): string {
  try {
    readGenesis(value, 'market.json')
    return 'none'
  } catch (error) {
    if (!(error instanceof AurexError)) throw error
    expect(error.code).toBe('bad-genesis')
    expect(error.exit).toBe(78)
    return error.message
  }
}

test('its id is the hash of what stands in the file, nothing added and in any order', () => {
  const genesis = readGenesis(file, 'market.json')
  expect(genesis.rules.chainId).toBe(sha256Hex(canonicalJson(file)))
  expect(genesis.text).toBe(canonicalJson(file))
  const backwards = Object.fromEntries(Object.entries(file).toReversed())
  expect(readGenesis(backwards, 'market.json').rules.chainId).toBe(genesis.rules.chainId)
  const explicit = { ...file, limits: { transaction_bytes_max: 65_536 } }
  expect(readGenesis(explicit, 'market.json').rules.limits).toEqual(defaultLimits)
  expect(readGenesis(explicit, 'market.json').rules.chainId).not.toBe(genesis.rules.chainId)
})

test('everything in it changes the id', () => {
  const changes: JsonObject[] = [
    { name: 'bazaar' },
    { timestamp: '2026-11-21T00:00:00.001Z' },
    { consensus: 'poa', poa: {} },
    { gateways: 'any' },
    { pow: { difficulty: 5 } },
    { limits: { block_transactions_max: 10 } },
  ]
  const files = changes.map((change) => ('poa' in change ? { ...without('pow'), ...change } : { ...file, ...change }))
  const ids = [file, ...files].map((value) => readGenesis(value, 'market.json').rules.chainId)
  expect(new Set(ids).size).toBe(changes.length + 1)
})

const without = (name: string): JsonObject => Object.fromEntries(Object.entries(file).filter(([key]) => key !== name))

test('what is not given: no gateway may sign for names, and the engine gets an empty table', () => {
  const genesis = readGenesis({ name: 'a', timestamp: '2026-11-21T00:00:00.000Z', consensus: 'instant' }, 'a.json')
  expect(genesis.rules.gateways).toEqual([])
  expect(genesis.parameters).toEqual({})
  expect(genesis.application).toBeUndefined()
})

test('the application’s table is kept as it stands, and is part of the id', () => {
  const market = { money: 'strict', balances: { alice: '10.50', constructor: '1' } }
  const genesis = readGenesis({ ...file, application: 'market', market }, 'market.json')
  expect(genesis).toMatchObject({ application: 'market', applicationParameters: market, parameters: { difficulty: 4 } })
  expect(genesis.rules.application).toBe('market')
  const other = readGenesis({ ...file, application: 'market' }, 'market.json')
  expect(other.applicationParameters).toEqual({})
  expect(other.rules.chainId).not.toBe(genesis.rules.chainId)
  expect(readGenesis(file, 'market.json').rules.application).toBeUndefined()
})

test('block 0', () => {
  const { block, rules } = readGenesis(file, 'market.json')
  expect(block.current_hash).toBe(rules.chainId)
  expect(block.tx_root).toBe(transactionsRoot([]))
  expect([block.index, block.nonce, block.work]).toEqual([0, 0, 0])
})

describe('errors name the file, the key and what is expected', () => {
  const table: [string, JsonObject, string][] = [
    ['a misspelt key', { ...file, gateway: [] }, 'market.json: unknown key gateway; did you mean gateways?'],
    ['another engine’s table', { ...file, poa: {} }, 'unknown key poa'],
    ['a name of Object.prototype', { ...file, constructor: {} }, 'unknown key constructor'],
    ['no name', without('name'), 'market.json: name'],
    ['an empty name', { ...file, name: '' }, 'market.json: name'],
    ['a timestamp without zone', { ...file, timestamp: '2026-11-21T00:00:00.000' }, 'expected the form'],
    ['an impossible day', { ...file, timestamp: '2026-02-30T00:00:00.000Z' }, 'expected the form'],
    ['an engine’s name', { ...file, consensus: '../evil' }, "expected an engine's name"],
    ['an engine named as a key', { ...without('pow'), consensus: 'limits' }, 'limits: is no name of a plugin'],
    ['an application that is the engine', { ...file, application: 'pow' }, "application: pow is the engine's name"],
    ['an application’s name', { ...file, application: './mine.ts' }, "expected an application's name"],
    [
      'an application’s parameters that are no table',
      { ...file, application: 'market', market: 'strict' },
      "market: expected a table of the application's parameters",
    ],
    ['a table of no application', { ...file, market: {} }, 'unknown key market'],
    ['an application named as a key', { ...file, application: 'gateways' }, 'gateways: is no name of a plugin'],
    ['parameters that are no table', { ...file, pow: [4] }, "pow: expected a table of the engine's parameters"],
    ['an engine like Object’s own', { ...without('pow'), consensus: 'constructor' }, 'constructor: expected a table'],
    ['a gateway that is no address', { ...file, gateways: ['bob'] }, 'gateways'],
    ['a gateway in capitals', { ...file, gateways: [alice.address.toUpperCase()] }, 'gateways'],
    [
      'a gateway of small order',
      { ...file, gateways: [`01${'00'.repeat(31)}`] },
      'expected the address of a proper key',
    ],
    ['an unknown limit', { ...file, limits: { bytes: 1 } }, 'limits.bytes'],
    ['a limit that is no count', { ...file, limits: { block_transactions_max: 0 } }, 'limits.block_transactions_max'],
    ['blocks too small for a transaction', { ...file, limits: { block_bytes_max: 70_000 } }, 'limits.block_bytes_max'],
    ['nesting', { ...file, pow: nested(40) }, 'nesting'],
    ['text that has no canonical form', { ...file, pow: { a: '\ud800' } }, 'lone surrogate'],
  ]
  test.each(table)('%s', (_what, value, message) => {
    expect(faultOf(value)).toStartWith('market.json: ')
    expect(faultOf(value)).toContain(message)
  })
})

test('the development genesis is the same for the same parameters, and anybody may sign for a name', () => {
  const one = developmentGenesis('pow', { difficulty: 4 })
  expect(one.rules.gateways).toBe('any')
  expect(developmentGenesis('pow', { difficulty: 4 }).rules.chainId).toBe(one.rules.chainId)
  expect(developmentGenesis('pow', { difficulty: 3 }).rules.chainId).not.toBe(one.rules.chainId)
  expect(developmentGenesis('instant', {}).text).not.toContain('"instant":{')
  const market = developmentGenesis('pow', { difficulty: 4 }, { name: 'market', parameters: { money: 'record' } })
  expect(market).toMatchObject({ application: 'market', applicationParameters: { money: 'record' } })
  expect(market.rules.chainId).not.toBe(one.rules.chainId)
  expect(developmentGenesis('pow', {}, { name: 'market', parameters: {} }).text).not.toContain('"market":{')
})
