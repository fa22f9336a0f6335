import * as v from 'valibot'
import { readGenesis } from '../../../core/chain/genesis.ts'
import market from '../../../plugins/market/index.ts'
import { applicationContract, stated } from '../../contract/application.ts'
import { makeContext } from '../../support/context.ts'
import { anna, annasKey, ben, bensKey, gateKey, named, own } from './people.ts'

const history = [
  own(anna, { action: 'register', name: 'anna' }),
  own(ben, { action: 'register', name: 'anna' }),
  named('ben', { action: 'register', name: 'ben' }, 'none', ben),
  named('ben', { action: 'register', name: 'ben', public_key: bensKey.pem }, 'none', ben),
  named('carla', { action: 'register', public_key: ben }, 'none', ben),
  named('shop', { action: 'register', public_key: gateKey.address }),
  own(anna, { action: 'mint', asset_id: 'lamp', asset_name: 'A lamp' }),
  own(anna, { action: 'mint', asset_id: 'lamp' }),
  own(anna, { action: 'transfer', from: anna, to: 'ben', amount: '40.5' }),
  own(anna, { action: 'transfer', to: 'ben', amount: '1000' }),
  named('ben', {
    action: 'purchase',
    tx_id: 't1',
    asset_id: 'lamp',
    asset_name: 'A lamp',
    price: '12.34',
    from: 'ben',
    to: anna,
    amount: '12.340',
    timestamp: 'now',
  }),
  named('ben', { action: 'purchase', asset_id: 'lamp', price: '1', to: anna }, 'anyone', ben),
  own(anna, { action: 'purchase', asset_id: 'lamp', price: '1', to: 'ben' }),
  own(anna, { action: 'purchase', asset_id: 'book', price: '1', to: 'ben' }),
  named('carla', { action: 'transfer', to: 'ben', amount: '7' }),
  named('carla', { action: 'greet', text: 'hello' }, 'anyone'),
  named('ben', { action: 'register', public_key: annasKey.pem }, 'none', ben),
  stated({ signer: anna, data: { anything: ['goes', { at: 1 }] } }),
]

const parameters = v.parse(market.parameters!, {
  money: 'strict',
  balances: { [anna]: '100', carla: '5' },
  keys: { dora: ben },
  issuers: ['carla'],
})
const genesis = readGenesis(
  {
    name: 'market',
    timestamp: '2026-11-21T00:00:00.000Z',
    consensus: 'instant',
    application: 'market',
    gateways: [gateKey.address],
  },
  'test',
)

applicationContract('market', {
  id: 'market',
  make: () => market.setup(makeContext({ use: {}, genesis }).context, {}, parameters),
  history,
})
