// What mint, transfer and purchase do, and when they are declined.
import { describe, expect, test } from 'bun:test'
import { amountMax, amountText } from '../../../core/chain/money.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import type { Gateways } from '../../../core/chain/rules.ts'
import { anna, ben, gateKey, Market, named, own } from './people.ts'

const most = amountText(amountMax)

describe('mint', () => {
  const mint = { action: 'mint', asset_id: 'lamp' }

  test('makes an asset that is the sender’s, called what the data says', () => {
    const market = new Market()
    expect(market.take(own(anna, { ...mint, asset_name: 'A lamp' }))).toBe('taken')
    expect(market.asset('lamp')).toEqual({ name: 'A lamp', owner: anna })
    expect(market.take(named('ben', { action: 'mint', asset_id: 'book' }))).toBe('taken')
    expect(market.asset('book')).toEqual({ name: 'book', owner: 'ben' })
  })

  test('one that is there: declined, also for its owner', () => {
    const market = new Market()
    market.take(own(anna, mint))
    expect(market.take(own(ben, mint))).toBe('asset-exists')
    expect(market.take(own(anna, mint))).toBe('asset-exists')
    expect(market.detail(own(ben, mint))).toBe(
      `the asset lamp is there already and belongs to ${anna}; choose another asset_id`,
    )
  })

  test('an id or a name may be any text within its limits', () => {
    for (const asset_id of ['x'.repeat(256), '😀'.repeat(256), ' ', '/', '../user/anna', '\n', '__proto__']) {
      const market = new Market()
      expect(market.take(own(anna, { ...mint, asset_id, asset_name: '' }))).toBe('taken')
      expect(market.state).toEqual(
        new Map([
          [`asset/${asset_id}`, `{"name":"","owner":"${anna}"}`],
          [`user/${anna}`, '{"balance":"0"}'],
        ]),
      )
    }
  })

  test('opens an account, and leaves one that is there as it is', () => {
    const market = new Market({ balances: { ben: '5' }, keys: { ben } })
    market.take(named('anna', mint))
    market.take(named('ben', { ...mint, asset_id: 'book' }))
    expect(market.account('anna')).toEqual({ balance: '0' })
    expect(market.account('ben')).toEqual({ balance: '5', public_key: ben })
  })

  test.each<[string, JsonObject]>([
    ['asset_id: expected text of 1 to 256 characters, got nothing', { action: 'mint' }],
    ['asset_id: expected text of 1 to 256 characters, got an empty text', { ...mint, asset_id: '' }],
    ['asset_id: expected text of 1 to 256 characters, got number 5', { ...mint, asset_id: 5 }],
    ['asset_id: expected text of 1 to 256 characters, got xxxxx', { ...mint, asset_id: 'x'.repeat(257) }],
    ['asset_name: expected text of 0 to 1024 characters, got null', { ...mint, asset_name: null }],
    ['asset_name: expected text of 0 to 1024 characters, got yyyyy', { ...mint, asset_name: 'y'.repeat(1025) }],
  ])('bad-mint: %s', (detail, data) => {
    const market = new Market()
    expect(market.take(own(anna, data))).toBe('bad-mint')
    expect(market.detail(own(anna, data))).toStartWith(detail)
  })
})

describe('transfer', () => {
  const transfer = { action: 'transfer', to: 'ben', amount: '7.50' }

  test('moves money, from balances that may go below zero', () => {
    const market = new Market({ balances: { ben: '1' } })
    expect(market.take(own(anna, transfer))).toBe('taken')
    expect(market.account(anna)).toEqual({ balance: '-7.5' })
    expect(market.account('ben')).toEqual({ balance: '8.5' })
  })

  test('to oneself it leaves what was there', () => {
    const market = new Market({ money: 'strict', balances: { [anna]: '10' } })
    expect(market.take(own(anna, { ...transfer, to: anna }))).toBe('taken')
    expect(market.account(anna)).toEqual({ balance: '10' })
    expect(market.take(own(anna, { ...transfer, to: anna, amount: '10.00000001' }))).toBe('insufficient-funds')
  })

  test('nothing may be paid, but less than nothing may not', () => {
    const market = new Market({ money: 'strict' })
    expect(market.take(own(anna, { ...transfer, amount: '0' }))).toBe('taken')
    expect(market.take(own(anna, { ...transfer, amount: '-1' }))).toBe('bad-transfer')
    expect(market.account('ben')).toEqual({ balance: '0' })
  })

  test('an address and a name are different accounts, whoever the name is bound to', () => {
    const market = new Market()
    expect(market.take(own(ben, { action: 'register', name: 'ben' }))).toBe('taken')
    market.take(own(anna, transfer))
    expect(market.account('ben')).toEqual({ balance: '7.5', public_key: ben })
    expect(market.account(ben)).toBeNull()
  })

  test.each<[string, JsonObject]>([
    ['to: expected a name of 1 to 128 characters, or the address of', { ...transfer, to: '' }],
    ['to: expected a name of 1 to 128 characters, or the address of', { ...transfer, to: ben.toUpperCase() }],
    ['to: expected a name of 1 to 128 characters, or the address of', { ...transfer, to: '0'.repeat(64) }],
    ['to: expected a name of 1 to 128 characters, or the address of', { action: 'transfer', amount: '1' }],
    [`from: expected the sender, ${anna}, or nothing, got ben (3 long)`, { ...transfer, from: 'ben' }],
    ['from: expected the sender', { ...transfer, from: null }],
    ['amount: expected a decimal such as "12.34"', { ...transfer, amount: 7.5 }],
    ['amount: expected a decimal such as "12.34"', { ...transfer, amount: '1e3' }],
    ['amount: expected a decimal such as "12.34"', { action: 'transfer', to: 'ben' }],
  ])('bad-transfer: %s', (detail, data) => {
    const market = new Market()
    expect(market.take(own(anna, data))).toBe('bad-transfer')
    expect(market.detail(own(anna, data))).toStartWith(detail)
  })
})

describe('money', () => {
  const pay = (amount: string) => ({ action: 'transfer', to: 'ben', amount })

  test('strict: nobody pays what he has not; the text says how much there is', () => {
    const market = new Market({ money: 'strict', balances: { [anna]: '10' } })
    expect(market.take(own(anna, pay('10.00000001')))).toBe('insufficient-funds')
    expect(market.detail(own(anna, pay('10.00000001')))).toBe(
      `${anna} has 10 and was to pay 10.00000001; on this chain only issuers may owe`,
    )
    expect(market.take(own(anna, pay('10')))).toBe('taken')
    expect(market.account(anna)).toEqual({ balance: '0' })
    expect(market.take(own(anna, pay('0.00000001')))).toBe('insufficient-funds')
  })

  test('strict: an issuer may, and owes what it has issued', () => {
    const market = new Market({ money: 'strict', issuers: [anna, 'bank'] })
    expect(market.take(own(anna, pay('100')))).toBe('taken')
    expect(market.account(anna)).toEqual({ balance: '-100' })
    expect(market.take(named('bank', pay('100')))).toBe('taken')
    expect(market.take(named('carla', pay('1')))).toBe('insufficient-funds')
    expect(market.take(named('ben', { ...pay('200'), to: anna }))).toBe('taken')
    expect(market.account(anna)).toEqual({ balance: '100' })
  })

  test('strict: a purchase is a payment too', () => {
    const market = new Market({ money: 'strict', balances: { [anna]: '10' } })
    const purchase = { action: 'purchase', asset_id: 'lamp', to: 'ben', price: '10.5' }
    expect(market.take(own(anna, purchase))).toBe('insufficient-funds')
    expect(market.asset('lamp')).toBeNull()
    expect(market.take(own(anna, { ...purchase, price: '9.5' }))).toBe('taken')
  })

  test('threats row 22: no balance grows beyond what has a text, either way', () => {
    const market = new Market({ balances: { ben: most } })
    expect(market.take(own(anna, pay('0.00000001')))).toBe('too-much')
    expect(market.detail(own(anna, pay('0.00000001')))).toBe(
      `the balance of ben would be beyond ${most}, the most that is kept`,
    )
    expect(market.take(named('ben', { ...pay(most), to: 'carla' }))).toBe('taken')
    expect(market.take(own(anna, pay(most)))).toBe('taken')
    expect(market.account(anna)).toEqual({ balance: `-${most}` })
    expect(market.take(own(anna, { ...pay('0.00000001'), to: 'dora' }))).toBe('too-much')
    expect(market.account('dora')).toBeNull()
  })
})

describe('purchase', () => {
  const purchase = { action: 'purchase', asset_id: 'lamp', asset_name: 'A lamp', to: 'shop', price: '12.34' }
  /** As a gateway writes it (protocol section 6). */
  const full = { ...purchase, from: 'ben', amount: '12.34', tx_id: 'order-1', timestamp: '2026-11-21T01:02:03.456Z' }

  test('an asset that nobody has heard of was the seller’s, and is the buyer’s', () => {
    const market = new Market()
    expect(market.take(named('ben', full))).toBe('taken')
    expect(market.asset('lamp')).toEqual({ name: 'A lamp', owner: 'ben' })
    expect(market.account('ben')).toEqual({ balance: '-12.34' })
    expect(market.account('shop')).toEqual({ balance: '12.34' })
  })

  test('the same again is declined: the asset is the buyer’s now, and can be sold on', () => {
    const market = new Market()
    market.take(named('ben', full))
    expect(market.take(named('ben', full))).toBe('not-owner')
    expect(market.take(named('carla', purchase))).toBe('not-owner')
    expect(market.detail(named('carla', purchase))).toBe('the asset lamp belongs to ben, not to shop, who sells it')
    expect(market.take(named('carla', { ...purchase, asset_name: 'Another', to: 'ben', price: '20' }))).toBe('taken')
    expect(market.asset('lamp')).toEqual({ name: 'A lamp', owner: 'carla' })
    expect(market.account('ben')).toEqual({ balance: '7.66' })
  })

  test('price or amount will do; both must be the same amount', () => {
    const { price: _price, ...without } = purchase
    const market = new Market()
    expect(market.take(named('ben', { ...without, asset_id: 'a', amount: '1' }))).toBe('taken')
    expect(market.take(named('ben', { ...purchase, asset_id: 'b', price: '1', amount: '1.000' }))).toBe('taken')
    expect(market.account('ben')).toEqual({ balance: '-2' })
    expect(market.take(named('ben', { ...purchase, asset_id: 'c', price: '1', amount: '1.01' }))).toBe('bad-purchase')
    expect(market.take(named('ben', { ...without, asset_id: 'c' }))).toBe('bad-purchase')
  })

  test('without a name an asset is called by its id', () => {
    const { asset_name: _name, ...without } = purchase
    const market = new Market()
    market.take(named('ben', without))
    expect(market.asset('lamp')).toEqual({ name: 'lamp', owner: 'ben' })
  })

  test.each<[string, JsonObject]>([
    ['to: expected the seller, who is not the buyer, got ben (3 long)', { ...full, to: 'ben' }],
    ['from: expected the sender, who buys, ben, or nothing, got carla (5 long)', { ...full, from: 'carla' }],
    ['asset_id: expected text of 1 to 256 characters, got an array', { ...full, asset_id: [] }],
    ['asset_name: expected text of 0 to 1024 characters, got an object', { ...full, asset_name: {} }],
    ['to: expected a name', { ...full, to: 7 }],
    ['price: expected a decimal such as "12.34", not negative', { ...full, price: '-12.34' }],
    ['price: expected a decimal', { ...full, price: 12.34 }],
    ['amount: expected a decimal', { ...full, amount: null }],
    ['amount: expected the same as price, got 12.35 (5 long)', { ...full, amount: '12.35' }],
    ['tx_id: expected text, got number 1', { ...full, tx_id: 1 }],
    ['timestamp: expected text, got boolean true', { ...full, timestamp: true }],
  ])('bad-purchase: %s', (detail, data) => {
    const market = new Market()
    expect(market.take(named('ben', data))).toBe('bad-purchase')
    expect(market.detail(named('ben', data))).toStartWith(detail)
  })
})

describe('purchase of what is known, by somebody whom no gateway spoke for', () => {
  const purchase = { action: 'purchase', asset_id: 'lamp', to: anna, price: '0' }
  const withLamp = (gateways: Gateways): Market => {
    const market = new Market({ keys: { ben } }, gateways)
    expect(market.take(own(anna, { action: 'mint', asset_id: 'lamp' }))).toBe('taken')
    return market
  }

  test('threats row 3: where the genesis names gateways, only they sell for an owner who signs nothing', () => {
    const market = withLamp([gateKey.address])
    for (const right of ['own', 'none'] as const) {
      const bought = right === 'own' ? own(ben, purchase) : named('ben', purchase, right, ben)
      expect(market.take(bought)).toBe('not-attested')
      expect(market.detail(bought)).toBe(
        `the asset lamp is ${anna}'s, who signs nothing here: on this chain a gateway that the genesis names must sign for ` +
          'the buyer, who is a name; submit the purchase to a gateway',
      )
    }
    expect(market.asset('lamp')).toEqual({ name: 'lamp', owner: anna })
    expect(market.take(named('ben', purchase))).toBe('taken')
    expect(market.asset('lamp')).toEqual({ name: 'lamp', owner: 'ben' })
  })

  test('one that nobody has heard of may be bought by anybody there, once', () => {
    const market = withLamp([gateKey.address])
    const unknown = { ...purchase, asset_id: 'book' }
    expect(market.take(named('ben', unknown, 'none', ben))).toBe('taken')
    expect(market.take(own(ben, { ...unknown, to: 'ben' }))).toBe('not-attested')
    expect(market.take(own(ben, { ...unknown, asset_id: 'pen' }))).toBe('taken')
  })

  test('where it names none, or lets anybody sign, everybody buys everything', () => {
    for (const gateways of ['any', []] as const) {
      expect(withLamp(gateways).take(own(ben, purchase))).toBe('taken')
      expect(withLamp(gateways).take(named('ben', purchase, gateways === 'any' ? 'anyone' : 'none', ben))).toBe('taken')
    }
  })
})

describe('payment to a name that is bound to no key', () => {
  const pay = { action: 'transfer', to: 'carla', amount: '0' }
  const buy = { action: 'purchase', asset_id: 'lamp', to: 'carla', price: '1' }

  test('where the genesis names nobody who could ever spend it: declined, and the name stays free', () => {
    const market = new Market({}, [])
    for (const data of [pay, buy]) expect(market.take(own(anna, data))).toBe('unbound-name')
    expect(market.detail(own(anna, pay))).toBe(
      'carla is bound to no key, and on this chain no gateway acts for names: let it be registered first, or pay an address',
    )
    expect(market.state.size).toBe(0)
    expect(market.take(own(anna, { ...pay, to: ben }))).toBe('taken')
    expect(market.take(own(ben, { action: 'register', name: 'carla' }))).toBe('taken')
    for (const data of [pay, buy]) expect(market.take(own(anna, data))).toBe('taken')
  })

  test('elsewhere somebody can act for it, so it may be paid', () => {
    for (const gateways of ['any', [gateKey.address]] as const) {
      const market = new Market({}, gateways)
      for (const data of [pay, buy]) expect(market.take(own(anna, data))).toBe('taken')
    }
  })
})

describe('whatever else', () => {
  test('is recorded as it is, and changes nothing', () => {
    const market = new Market()
    const others: JsonObject[] = [
      {},
      { action: 'greet' },
      { action: null },
      { action: ['mint'] },
      { Action: 'mint' },
      { action: 'Mint' },
    ]
    for (const data of others) expect(market.take(own(anna, data))).toBe('taken')
    expect(market.state.size).toBe(0)
  })

  test('fields are the data’s own: what every object has is none of them', () => {
    const market = new Market()
    const data = Object.create({ action: 'mint', asset_id: 'lamp' }) as JsonObject
    expect(market.take(own(anna, data))).toBe('taken')
    expect(
      market.take(own(anna, Object.assign(Object.create({ asset_id: 'lamp' }) as object, { action: 'mint' }))),
    ).toBe('bad-mint')
    expect(market.state.size).toBe(0)
  })
})
