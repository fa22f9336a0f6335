// Who may act for a name, and how a name gets its key. Threats, row 3: by who, not only by whether.
import { beforeEach, describe, expect, test } from 'bun:test'
import type { JsonObject } from '../../../core/chain/json.ts'
import type { StatedTransaction } from '../../../core/plugin.ts'
import { anna, annasKey, ben, bensKey, gateKey, Market, named, own } from './people.ts'

let market: Market
beforeEach(() => void (market = new Market()))

const greet = { action: 'greet' }
const register = { action: 'register' }
/** As the name, signed by the key that is to be bound. */
const bind = (name: string, key: string) => named(name, { ...register, public_key: key }, 'none', key)

describe('register, by an address', () => {
  test('binds the name to its key, and keeps what the name has', () => {
    market = new Market({ balances: { anna: '5.50' } }, 'any')
    expect(market.take(own(anna, { ...register, name: 'anna' }))).toBe('taken')
    expect(market.account('anna')).toEqual({ balance: '5.5', public_key: anna })
    expect(market.account(anna)).toBeNull()
  })

  test('a second time changes nothing; one key may have many names', () => {
    expect(market.take(own(anna, { ...register, name: 'anna' }))).toBe('taken')
    const before = new Map(market.state)
    const again = own(anna, { ...register, name: 'anna' })
    expect(market.application.apply(again, market.state)).toEqual({ ok: true, value: [] })
    expect(market.take(again)).toBe('taken')
    expect(market.state).toEqual(before)
    expect(market.take(own(anna, { ...register, name: 'shop' }))).toBe('taken')
  })

  test('a name that is taken: declined, and the text says by whom', () => {
    market.take(own(anna, { ...register, name: 'anna' }))
    expect(market.take(own(ben, { ...register, name: 'anna' }))).toBe('name-taken')
    expect(market.detail(own(ben, { ...register, name: 'anna' }))).toBe(
      `anna is bound to the key ${anna}; choose another name, or sign with that key`,
    )
  })

  test('another key than its own is declined', () => {
    expect(market.take(own(anna, { ...register, name: 'anna', public_key: ben }))).toBe('bad-register')
    expect(market.take(own(anna, { ...register, name: 'anna', public_key: annasKey.pem }))).toBe('taken')
  })

  test.each([[undefined], [null], [5], [''], ['x'.repeat(129)], [anna], ['A'.repeat(64)], ['\ud800'], [['anna']]])(
    'the name %p is none',
    (name) => {
      const data = name === undefined ? register : { ...register, name }
      expect(market.take(own(anna, data))).toBe('bad-register')
      expect(market.detail(own(anna, data))).toStartWith('name: expected a name of 1 to 128 characters')
    },
  )

  test('128 characters are a name, whatever they are', () => {
    for (const name of [
      'x'.repeat(128),
      '😀'.repeat(128),
      ' ',
      'a/b',
      '__proto__',
      'constructor',
      '\n',
      'A'.repeat(63),
    ]) {
      expect(market.take(own(anna, { ...register, name }))).toBe('taken')
      expect(market.account(name)).toEqual({ balance: '0', public_key: anna })
    }
  })
})

describe('register, by the name itself, without any right', () => {
  test('binds it to the key that signs', () => {
    expect(market.take(bind('anna', anna))).toBe('taken')
    expect(market.account('anna')).toEqual({ balance: '0', public_key: anna })
  })

  test('threats row 9: without public_key, a stranger’s would be the same transaction: declined', () => {
    for (const right of ['none', 'gateway'] as const) {
      expect(market.take(named('anna', register, right, anna))).toBe('bad-register')
    }
    expect(market.detail(named('anna', register, 'none', anna))).toBe(
      `public_key: expected the key to bind, such as "${anna}", which signs; add it to data, got nothing`,
    )
    market.take(bind('anna', anna))
    expect(market.take(named('anna', register, 'none', anna))).toBe('bad-register')
  })

  test('the name may be said once more, but no other', () => {
    const said = (name: string) => named('anna', { ...register, name, public_key: anna }, 'none', anna)
    expect(market.take(said('ben'))).toBe('bad-register')
    expect(market.detail(said('ben'))).toBe('name: expected the sender, anna, or nothing, got ben (3 long)')
    expect(market.take(said('anna'))).toBe('taken')
  })

  test('to a key that did not sign: declined, since nothing shows that there is one', () => {
    expect(market.take(named('anna', { ...register, public_key: ben }, 'none', anna))).toBe('bad-register')
    expect(market.take(named('anna', { ...register, public_key: annasKey.pem }, 'none', anna))).toBe('taken')
  })

  test('a name that is taken is not given to another key', () => {
    market.take(bind('anna', anna))
    expect(market.take(named('anna', { ...register, public_key: anna }, 'none', ben))).toBe('name-taken')
    expect(market.take(named('anna', { ...register, public_key: ben }, 'none', ben))).toBe('name-taken')
  })

  test('the bound key hands the name on to a new one, and has no say in it from then on', () => {
    market.take(bind('anna', anna))
    expect(market.take(named('anna', { ...register, public_key: bensKey.pem }, 'none', anna))).toBe('taken')
    expect(market.account('anna')).toEqual({ balance: '0', public_key: ben })
    expect(market.take(named('anna', greet, 'none', anna))).toBe('wrong-key')
    expect(market.take(named('anna', greet, 'none', ben))).toBe('taken')
    expect(market.take(named('anna', { ...register, public_key: anna }, 'none', anna))).toBe('name-taken')
  })
})

describe('register, of a name that is in use and bound to no key', () => {
  const purchase = { action: 'purchase', asset_id: 'lamp', to: 'shop', price: '0' }
  const uses: [string, () => Market][] = [
    ['paid to', () => after(named('carla', { action: 'transfer', to: 'anna', amount: '0' }))],
    ['paid from', () => after(named('anna', { action: 'transfer', to: 'carla', amount: '1' }))],
    ['that bought', () => after(named('anna', purchase))],
    ['that sold', () => after(named('carla', { ...purchase, to: 'anna' }))],
    ['that has made an asset', () => after(named('anna', { action: 'mint', asset_id: 'lamp' }))],
    ['that the genesis gave something', () => new Market({ balances: { anna: '1' } })],
  ]
  const after = (...transactions: readonly StatedTransaction[]): Market => {
    const used = new Market()
    for (const one of transactions) expect(used.take(one)).toBe('taken')
    return used
  }

  test.each(uses)('threats row 3: one %s is no stranger’s; a gateway binds it', (_what, used) => {
    market = used()
    const before = market.state
    expect(market.take(bind('anna', ben))).toBe('name-taken')
    expect(market.take(own(ben, { ...register, name: 'anna' }))).toBe('name-taken')
    expect(market.state).toEqual(before)
    expect(market.take(named('anna', { ...register, public_key: anna }))).toBe('taken')
    expect(market.account('anna')).toMatchObject({ public_key: anna })
    expect(market.take(named('anna', { ...register, public_key: ben }, 'none', anna))).toBe('taken')
  })

  test('the text says what to do', () => {
    market = new Market({ balances: { anna: '1' } })
    for (const one of [bind('anna', ben), own(ben, { ...register, name: 'anna' })]) {
      expect(market.detail(one)).toBe(
        'anna has an account already, and no key; only a gateway of the genesis can bind it: ' +
          `have one send {"action":"register","public_key":"${ben}"} as anna`,
      )
    }
    market = new Market({ balances: { anna: '1' } }, [])
    expect(market.detail(bind('anna', ben))).toBe(
      'anna has an account already, and no key; only a gateway of the genesis can bind a name that is in use, and this ' +
        'genesis names none; choose another name',
    )
  })

  test('what is recorded as it is opens no account', () => {
    expect(market.take(named('anna', greet))).toBe('taken')
    expect(market.take(bind('anna', anna))).toBe('taken')
  })

  test('where the genesis names no gateways, it is whose key the genesis has; others cannot come to be in use', () => {
    market = new Market({ balances: { anna: '1', ben: '1' }, keys: { anna } }, [])
    expect(market.take(bind('ben', ben))).toBe('name-taken')
    expect(market.take(bind('anna', ben))).toBe('name-taken')
    expect(market.take(named('anna', { action: 'transfer', to: 'carla', amount: '0' }, 'none', anna))).toBe(
      'unbound-name',
    )
    expect(market.take(bind('carla', ben))).toBe('taken')
    expect(market.take(named('anna', { action: 'transfer', to: 'carla', amount: '1' }, 'none', anna))).toBe('taken')
  })

  test('where the genesis lets anybody sign for names, anybody binds it, by a key’s address too', () => {
    for (const one of [named('anna', register, 'anyone', ben), own(ben, { ...register, name: 'anna' })]) {
      market = new Market({ balances: { anna: '1' } }, 'any')
      expect(market.take(one)).toBe('taken')
      expect(market.account('anna')).toEqual({ balance: '1', public_key: ben })
    }
  })
})

describe('register, where the genesis lets anybody sign for names', () => {
  beforeEach(() => void (market = new Market({}, 'any')))

  test('binds it to the key that signs, or to the one that is given', () => {
    expect(market.take(named('anna', register, 'anyone', anna))).toBe('taken')
    expect(market.account('anna')).toMatchObject({ public_key: anna })
    expect(market.take(named('ben', { ...register, public_key: ben }, 'anyone', anna))).toBe('taken')
    expect(market.account('ben')).toMatchObject({ public_key: ben })
  })

  test('a bound name is its own from then on', () => {
    market.take(named('anna', register, 'anyone', anna))
    expect(market.take(named('anna', register, 'anyone', ben))).toBe('name-taken')
    expect(market.take(named('anna', { ...register, public_key: ben }, 'anyone', anna))).toBe('taken')
    expect(market.account('anna')).toMatchObject({ public_key: ben })
  })
})

describe('register, by a gateway', () => {
  test('needs the key to bind to, an address or a PEM', () => {
    expect(market.take(named('anna', register))).toBe('bad-register')
    expect(market.detail(named('anna', register))).toEndWith('of a proper Ed25519 key, got nothing')
    expect(market.take(named('anna', { ...register, public_key: annasKey.pem }))).toBe('taken')
    expect(market.account('anna')).toEqual({ balance: '0', public_key: anna })
    expect(market.take(named('ben', { ...register, public_key: ben }))).toBe('taken')
  })

  test('again changes nothing, to another key is declined', () => {
    market.take(named('anna', { ...register, public_key: anna }))
    const before = new Map(market.state)
    expect(market.take(named('anna', { ...register, public_key: annasKey.pem }))).toBe('taken')
    expect(market.state).toEqual(before)
    expect(market.take(named('anna', { ...register, public_key: ben }))).toBe('name-taken')
  })

  const smallOrder = `01${'0'.repeat(62)}`
  test.each([[null], [7], [''], ['anna'], [anna.toUpperCase()], [smallOrder], [annasKey.pem.slice(3)], ['-----BEGIN']])(
    '%p is no key',
    (public_key) => {
      for (const right of ['gateway', 'anyone', 'none'] as const)
        expect(market.take(named('anna', { ...register, public_key }, right, anna))).toBe('bad-register')
    },
  )
})

describe('who may act for a name, for whatever is recorded', () => {
  const acts: JsonObject[] = [
    greet,
    {},
    { action: 'mint', asset_id: 'lamp' },
    { action: 'transfer', to: 'ben', amount: '1' },
    { action: 'purchase', asset_id: 'book', to: 'ben', price: '1' },
  ]

  test.each(acts.map((data) => [data]))('%j', (data) => {
    const outcome = (right: 'gateway' | 'anyone' | 'none', signer: string) =>
      market.detail(named('anna', data, right, signer))
    expect(outcome('none', anna)).toContain('bound to no key')
    expect(outcome('anyone', anna)).toBe('taken')
    expect(outcome('gateway', gateKey.address)).toBe('taken')
    market.take(bind('anna', anna))
    expect(outcome('none', anna)).toBe('taken')
    expect(outcome('anyone', anna)).toBe('taken')
    expect(outcome('gateway', gateKey.address)).toBe('taken')
    expect(outcome('none', ben)).toContain('bound to the key')
    expect(outcome('anyone', ben)).toContain('bound to the key')
  })

  test('the text says what to do', () => {
    expect(market.detail(named('anna', greet, 'none', anna))).toBe(
      `anna is bound to no key yet; first send {"action":"register","public_key":"${anna}"} as anna, signed by that key; ` +
        'a name that is in use already is bound by a gateway',
    )
    market.take(bind('anna', anna))
    expect(market.detail(named('anna', greet, 'none', ben))).toBe(
      `anna is bound to the key ${anna}, got a signature by ${ben}; sign with that`,
    )
  })

  test('an address acts for itself, and no other key ever does', () => {
    expect(market.take(own(anna, greet))).toBe('taken')
    for (const right of ['own', 'gateway', 'anyone', 'none'] as const) {
      for (const data of [...acts, { action: 'register', name: 'anna' }])
        expect(market.take(named(anna, data, right, ben))).toBe('wrong-key')
    }
  })
})
