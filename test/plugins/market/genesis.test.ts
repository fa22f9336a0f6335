// The table [market] of a genesis.
import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { issueText } from '../../../core/config/value.ts'
import { parametersSchema } from '../../../plugins/market/schema.ts'
import { anna, ben, Market, named } from './people.ts'

/** `<key>: <what is wrong>`, as it is shown at the start. */
const faultOf = (table: unknown): string => {
  const read = v.safeParse(parametersSchema, table)
  if (read.success) return 'none'
  const [issue] = read.issues
  return `${v.getDotPath(issue)}: ${issueText(issue, parametersSchema)}`
}

test('without a table money is a record, and nobody has any; what was not written stays out of the genesis', () => {
  expect(v.parse(parametersSchema, {})).toEqual({ money: 'record' })
  expect(new Market().state.size).toBe(0)
})

test('balances are there before block 1, as the shortest decimals', () => {
  const names = ['anna', anna, 'a/b', 'constructor', 'toString', '7']
  const balances = Object.fromEntries(names.map((name, at) => [name, `${at}.50`]))
  const opening = names.map((name, at) => [`user/${name}`, `{"balance":"${at}.5"}`] as const)
  expect(new Market({ balances }).state).toEqual(new Map(opening))
})

test('a name of keys is bound before block 1, to what it has', () => {
  const market = new Market({ balances: { shop: '5' }, keys: { shop: anna, constructor: ben } })
  expect(market.account('shop')).toEqual({ balance: '5', public_key: anna })
  expect(market.account('constructor')).toEqual({ balance: '0', public_key: ben })
  expect(market.state.size).toBe(2)
  const greet = (right: 'none' | 'anyone', signer: string) => market.take(named('shop', {}, right, signer))
  expect([greet('none', anna), greet('none', ben), greet('anyone', ben)]).toEqual(['taken', 'wrong-key', 'wrong-key'])
})

describe('what is wrong with it is said at the start', () => {
  test.each([
    [{ money: 'loose' }, 'money: expected one of record, strict, got "loose"'],
    [{ balances: [] }, 'balances: expected a table of names or addresses, each with a decimal'],
    [{ balances: 'anna=5' }, 'balances: expected a table of names or addresses, each with a decimal, got "anna=5"'],
    [{ balances: { anna: 5 } }, 'balances.anna: expected a decimal such as "12.34", not negative'],
    [{ balances: { anna: '-5' } }, 'balances.anna: expected a decimal such as "12.34", not negative'],
    [{ balances: { ben: '1', anna: '1.123456789' } }, 'balances.anna: expected a decimal such as "12.34"'],
    [{ balances: { constructor: 'x' } }, 'balances.constructor: expected a decimal'],
    [{ balances: { '': '1' } }, 'balances.: expected a name of 1 to 128 characters'],
    [
      { balances: { ['A'.repeat(64)]: '1' } },
      `balances.${'A'.repeat(64)}: expected a name of 1 to 128 characters, or the address`,
    ],
    [{ keys: [] }, 'keys: expected a table of names, each with an address'],
    [{ keys: { anna: 'x' } }, 'keys.anna: expected the address of a proper key (64 lowercase hex digits)'],
    [{ keys: { anna: 5 } }, 'keys.anna: expected the address of a proper key'],
    [{ keys: { shop: anna, anna: '0'.repeat(64) } }, 'keys.anna: expected the address of a proper key'],
    [{ keys: { [anna]: anna } }, `keys.${anna}: expected a name of 1 to 128 characters, which is not 64 hex digits`],
    [{ issuers: 'anna' }, 'issuers: expected'],
    [{ issuers: ['anna', ''] }, 'issuers.1: expected a name of 1 to 128 characters, or the address of a proper key'],
    [{ issuers: ['0'.repeat(64)] }, 'issuers.0: expected a name'],
    [{ balance: {} }, 'balance: there is no such key; did you mean balances?'],
  ])('%j', (table, fault) => expect(faultOf(table)).toStartWith(fault))
})

test('every key says what it is', () => {
  for (const { wrapped } of Object.values(parametersSchema.entries)) expect(v.getDescription(wrapped)).toBeTruthy()
})
