// Random histories against a model that knows nothing of keys under prefixes, JSON or decimals.
import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { JsonObject } from '../../../core/chain/json.ts'
import type { Gateways } from '../../../core/chain/rules.ts'
import type { StatedTransaction } from '../../../core/plugin.ts'
import { anna, ben, gateKey, Market, own, named } from './people.ts'

const names = ['anna', 'ben', 'user/anna', '__proto__'] as const
const everybody = [...names, anna, ben]
const keys = [anna, ben, gateKey.address]
const assets = ['lamp', 'book', 'anna', 'constructor']

type Command =
  | { readonly action: 'register'; readonly name: string; readonly key: string | undefined }
  | { readonly action: 'mint'; readonly id: string }
  | { readonly action: 'transfer'; readonly to: string; readonly cents: bigint }
  | { readonly action: 'purchase'; readonly to: string; readonly id: string; readonly cents: bigint }
  | { readonly action: 'greet' }

interface Step {
  /** undefined: the signer's own address. */
  readonly name: string | undefined
  readonly signer: string
  readonly command: Command
}

const cents = fc.bigInt(0n, 30_000n)
const to = fc.constantFrom(...everybody)
const id = fc.constantFrom(...assets)
const command: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    action: fc.constant('register' as const),
    name: fc.constantFrom(...names),
    key: fc.constantFrom(undefined, ...keys),
  }),
  fc.record({ action: fc.constant('mint' as const), id }),
  fc.record({ action: fc.constant('transfer' as const), to, cents }),
  fc.record({ action: fc.constant('purchase' as const), to, id, cents }),
  fc.constant({ action: 'greet' as const }),
)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ name: fc.constant(undefined), signer: fc.constantFrom(...keys), command }),
  fc.record({ name: fc.constantFrom(...names), signer: fc.constantFrom(...keys), command }),
)

/** Cents, as anybody might write them. */
const written = (amount: bigint): string => `${amount / 100n}.${String(amount % 100n).padStart(2, '0')}`

function transactionOf({ name, signer, command }: Step, gateways: Gateways): StatedTransaction {
  const data = dataOf(command)
  if (name === undefined) return own(signer, data)
  // As core has it of a genesis.
  const right = gateways === 'any' ? 'anyone' : gateways.includes(signer) ? 'gateway' : 'none'
  return named(name, data, right, signer)
}

function dataOf(command: Command): JsonObject {
  switch (command.action) {
    case 'register': {
      const { key, ...said } = command
      return key === undefined ? said : { ...said, public_key: key }
    }
    case 'mint':
      return { action: 'mint', asset_id: command.id }
    case 'transfer':
      return { action: 'transfer', to: command.to, amount: written(command.cents) }
    case 'purchase':
      return { action: 'purchase', to: command.to, asset_id: command.id, price: written(command.cents) }
    default:
      return { ...command }
  }
}

interface Settings {
  readonly gateways: Gateways
  readonly strict: boolean
  readonly issuer: string
  readonly opening: readonly (readonly [string, bigint])[]
  readonly bound: readonly (readonly [string, string])[]
}

class Model {
  readonly cents = new Map<string, bigint>()
  readonly owners = new Map<string, string>()
  readonly bound = new Map<string, string>()
  readonly #settings: Settings

  constructor(settings: Settings) {
    this.#settings = settings
    for (const [name, key] of settings.bound) {
      this.bound.set(name, key)
      this.cents.set(name, 0n)
    }
    for (const [name, amount] of settings.opening) this.cents.set(name, amount)
  }

  take({ name, signer, command }: Step): boolean {
    const sender = name ?? signer
    if (command.action === 'register') return this.#register(name, signer, command)
    if (name !== undefined && !this.#speaks(name, signer)) return false
    switch (command.action) {
      case 'mint':
        if (this.owners.has(command.id)) return false
        this.owners.set(command.id, sender)
        this.cents.set(sender, this.cents.get(sender) ?? 0n)
        return true
      case 'transfer':
        return this.#pay(sender, command.to, command.cents)
      case 'purchase':
        if (command.to === sender || (this.owners.get(command.id) ?? command.to) !== command.to) return false
        if (
          this.owners.has(command.id) &&
          this.#sellsThroughGateways() &&
          (name === undefined || !this.#isGateway(signer))
        )
          return false
        if (!this.#pay(sender, command.to, command.cents)) return false
        this.owners.set(command.id, sender)
        return true
      default:
        return true
    }
  }

  #isGateway = (key: string): boolean => this.#settings.gateways !== 'any' && this.#settings.gateways.includes(key)
  #sellsThroughGateways = (): boolean =>
    this.#settings.gateways === 'any' ? false : this.#settings.gateways.length > 0

  #speaks(name: string, signer: string): boolean {
    const key = this.bound.get(name)
    if (this.#isGateway(signer)) return true
    return key === undefined ? this.#settings.gateways === 'any' : key === signer
  }

  #register(
    sender: string | undefined,
    signer: string,
    said: { readonly name: string; readonly key: string | undefined },
  ) {
    if (sender !== undefined && said.name !== sender) return false
    const { name, key = signer } = said
    const before = this.bound.get(name)
    const development = this.#settings.gateways === 'any'
    const gateway = sender !== undefined && this.#isGateway(signer)
    if (sender === undefined ? key !== signer : said.key === undefined && !development) return false
    if (before === undefined) {
      if (!gateway && !development && (key !== signer || this.cents.has(name))) return false
    } else if (before !== signer && !(gateway && before === key)) return false
    this.bound.set(name, key)
    if (!this.cents.has(name)) this.cents.set(name, 0n)
    return true
  }

  #pay(from: string, payee: string, amount: bigint): boolean {
    const { gateways, strict, issuer } = this.#settings
    const left = (this.cents.get(from) ?? 0n) - amount
    if (left < 0n && strict && from !== issuer) return false
    const isName = (names as readonly string[]).includes(payee)
    if (gateways.length === 0 && isName && !this.bound.has(payee)) return false
    this.cents.set(from, left)
    this.cents.set(payee, (this.cents.get(payee) ?? 0n) + amount)
    return true
  }
}

/** The state, read without the market's code. */
function read(state: ReadonlyMap<string, string>) {
  const cents = new Map<string, bigint>()
  const owners = new Map<string, string>()
  const bound = new Map<string, string>()
  for (const [key, text] of state) {
    const value = JSON.parse(text) as Record<string, string>
    const name = key.slice(key.indexOf('/') + 1)
    if (key.startsWith('asset/')) owners.set(name, value['owner']!)
    else {
      const [, sign, whole, fraction = ''] = /^(-?)(\d+)(?:\.(\d\d?))?$/.exec(value['balance']!)!
      cents.set(name, BigInt(`${sign}${whole}${fraction.padEnd(2, '0')}`))
      if (value['public_key'] !== undefined) bound.set(name, value['public_key'])
    }
  }
  return { cents, owners, bound }
}

test('money is conserved, an asset has one owner, a name one key: as a naive model has it, step by step', () => {
  const settings: fc.Arbitrary<Settings> = fc.record({
    gateways: fc.constantFrom<Gateways>('any', [gateKey.address], []),
    bound: fc.uniqueArray(fc.tuple(fc.constantFrom(...names), fc.constantFrom(...keys)), {
      selector: ([name]) => name,
      maxLength: 2,
    }),
    strict: fc.boolean(),
    issuer: to,
    opening: fc.uniqueArray(fc.tuple(to, cents), { selector: ([name]) => name }),
  })
  let taken = 0
  fc.assert(
    fc.property(settings, fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), (given, steps) => {
      const { gateways, bound, strict, issuer, opening } = given
      const balances = Object.fromEntries(opening.map(([name, amount]) => [name, written(amount)]))
      const money = strict ? 'strict' : 'record'
      const market = new Market({ money, balances, keys: Object.fromEntries(bound), issuers: [issuer] }, gateways)
      const model = new Model(given)
      const total = opening.reduce((sum, [, amount]) => sum + amount, 0n)
      for (const one of steps) {
        const outcome = market.take(transactionOf(one, gateways))
        expect(outcome === 'taken').toBe(model.take(one))
        if (outcome === 'taken') taken++
        const state = read(market.state)
        expect(state).toEqual({ cents: model.cents, owners: model.owners, bound: model.bound })
        expect([...state.cents.values()].reduce((sum, amount) => sum + amount, 0n)).toBe(total)
      }
    }),
    { numRuns: 300 },
  )
  expect(taken).toBeGreaterThan(2_000)
})
