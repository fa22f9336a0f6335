// The market in a real node: what is refused at the door, what is in the ledger, and what a stranger makes of it.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'bun:test'
import type { JsonObject } from '../../../core/chain/json.ts'
import { purposes, type KeyPair } from '../../../core/chain/keys.ts'
import { signTransaction, transactionHash, transactionText, type Transaction } from '../../../core/chain/transaction.ts'
import { eventually } from '../../support/eventually.ts'
import { useHome } from '../../support/home.ts'
import { LineClient, type Answer } from '../../support/lines.ts'
import { aurex, type NodeProcess } from '../../support/process.ts'
import { anna, annasKey, ben, bensKey, gateKey } from './people.ts'

const home = useHome()
const plugins = ['--plugins', 'instant,market,tcp,sqlite', '--port', '0']

/** A client that knows how to sign. */
class Customer {
  readonly #client: LineClient
  readonly #chainId: string
  #nonce = 0

  constructor(client: LineClient, chainId: string) {
    this.#client = client
    this.#chainId = chainId
  }

  static of = async ({ ready }: NodeProcess) => new Customer(await LineClient.open(ready.port), ready.chain_id)

  own = (key: KeyPair, data: JsonObject) => this.#send(signTransaction(key, this.#chainId, data, ++this.#nonce))

  /** Signed by `key` for a name. */
  named(sender: string, key: KeyPair, data: JsonObject): Promise<string> {
    // The id does not cover the key: without it, the same data under another key would be the same transaction.
    const unsigned = { sender, data, nonce: ++this.#nonce, public_key_pem: key.pem }
    const text = transactionText(unsigned, this.#chainId).slice(purposes.transaction.length + 1)
    return this.#send({ ...unsigned, signature: key.sign(purposes.transaction, text) })
  }

  async #send(transaction: Transaction): Promise<string> {
    const answer = await this.#client.ask({ type: 'NEW_TRANSACTION', ...transaction })
    if (answer['type'] !== 'MINING_STARTED') return String(answer['code'])
    const status = { type: 'transaction_status', tx_hash: transactionHash(transaction, this.#chainId) }
    let last: Answer = {}
    await eventually(async () => {
      last = await this.#client.ask(status)
      return last['status'] !== 'pending'
    }, 'it is in a block')
    return String(last['status'])
  }
}

const sqlite = (ledger: string, query: string): string =>
  Bun.spawnSync(['sqlite3', '-readonly', ledger, query]).stdout.toString().trim()

function witness(genesis: JsonObject, ledger: string): unknown {
  const file = join(home.path, 'witnessed.json')
  writeFileSync(file, JSON.stringify(genesis))
  const { stdout, stderr } = Bun.spawnSync(['python3', join(import.meta.dir, 'witness.py'), file, ledger])
  expect(stderr.toString()).toBe('')
  return JSON.parse(stdout.toString())
}

describe('a development chain', () => {
  test('a day of a shop: the sums in the ledger, after a restart too, and every state_root as a stranger computes it', async () => {
    const node = await home.start(...plugins)
    const shop = await Customer.of(node)
    const purchase = (n: number, to: string) => ({
      action: 'purchase',
      asset_id: `item-${n}`,
      asset_name: 'Ein Ding',
      price: `${n}.99`,
      to,
    })
    expect(await shop.own(annasKey, { action: 'mint', asset_id: 'item-1', asset_name: 'A lamp' })).toBe('included')
    // Anybody may sign for names here, and a known asset may be bought by anybody.
    expect(await shop.named('ben', gateKey, purchase(1, anna))).toBe('included')
    for (let n = 2; n <= 6; n++) expect(await shop.named('carla', gateKey, purchase(n, 'shop'))).toBe('included')
    expect(await shop.named('ben', gateKey, purchase(1, anna))).toBe('not-owner')
    expect(await shop.named('ben', bensKey, { action: 'register', name: 'ben' })).toBe('included')
    expect(await shop.named('ben', gateKey, { action: 'transfer', to: 'shop', amount: '1' })).toBe('wrong-key')
    expect(await shop.named('ben', bensKey, { action: 'transfer', to: 'shop', amount: '0.5' })).toBe('included')
    expect(await shop.own(annasKey, { action: 'transfer', to: 'shop', amount: 5 })).toBe('bad-transfer')
    expect(await shop.own(annasKey, { hello: 'world' })).toBe('included')
    const { ledger } = node.ready

    const check = () => {
      expect(sqlite(ledger, 'SELECT round(sum(balance), 8) FROM users')).toBe('0.0')
      expect(sqlite(ledger, "SELECT balance FROM users WHERE username = 'shop'")).toBe('25.45')
      expect(sqlite(ledger, "SELECT balance, public_key FROM users WHERE username = 'ben'")).toBe(`-2.49|${ben}`)
      expect(sqlite(ledger, "SELECT owner, asset_name FROM assets WHERE asset_id = 'item-1'")).toBe('ben|A lamp')
      expect(sqlite(ledger, 'SELECT owner, count(*) FROM assets GROUP BY owner ORDER BY owner')).toBe('ben|1\ncarla|5')
      expect(witness({ gateways: 'any' }, ledger)).toEqual({ differences: [], transactions: 10, users: 4, assets: 6 })
    }
    check()
    expect(await node.stop()).toBe(0)
    const verified = await aurex(home.path, 'verify', ledger)
    expect(verified).toMatchObject({ code: 0 })
    const again = await home.start(...plugins)
    check()
    expect(await (await Customer.of(again)).named('dora', gateKey, purchase(1, anna))).toBe('not-owner')
  }, 60_000)
})

describe('a chain of its own', () => {
  const genesis = {
    name: 'shop',
    timestamp: '2026-11-21T00:00:00.000Z',
    consensus: 'instant',
    application: 'market',
    gateways: [gateKey.address],
    market: { money: 'strict', balances: { [anna]: '100', carla: '1' }, keys: { fritz: ben }, issuers: ['bank'] },
  }
  const file = (what: object): string => {
    const path = join(home.path, 'genesis.json')
    writeFileSync(path, JSON.stringify(what))
    return path
  }

  test('threats row 3: who acts for a name is a gateway or its own key; money is there, or is not', async () => {
    const node = await home.start(...plugins, '--genesis', file(genesis))
    const shop = await Customer.of(node)
    const pay = (to: string, amount: string) => ({ action: 'transfer', to, amount })
    expect(await shop.own(annasKey, pay('ben', '100.01'))).toBe('insufficient-funds')
    expect(await shop.own(annasKey, pay('ben', '60'))).toBe('included')
    expect(await shop.named('ben', bensKey, pay('carla', '1'))).toBe('wrong-key')
    // Money was paid to ben: only a gateway says whose that is.
    const bind = (key: string) => ({ action: 'register', public_key: key })
    expect(await shop.named('ben', annasKey, bind(anna))).toBe('name-taken')
    expect(await shop.own(annasKey, { action: 'register', name: 'ben' })).toBe('name-taken')
    expect(await shop.named('ben', gateKey, bind(ben))).toBe('included')
    expect(await shop.named('dora', bensKey, { action: 'register' })).toBe('bad-register')
    expect(await shop.named('dora', bensKey, bind(ben))).toBe('included')
    expect(await shop.named('dora', annasKey, bind(anna))).toBe('name-taken')
    expect(await shop.named('ben', bensKey, pay('carla', '1'))).toBe('included')
    expect(await shop.named('ben', annasKey, pay('carla', '1'))).toBe('wrong-key')
    expect(await shop.named('ben', gateKey, pay('carla', '2'))).toBe('included')
    expect(await shop.named('bank', gateKey, pay('carla', '1000'))).toBe('included')
    expect(await shop.named('fritz', bensKey, pay('carla', '0'))).toBe('included')
    expect(await shop.own(annasKey, { action: 'mint', asset_id: 'lamp' })).toBe('included')
    const buy = { action: 'purchase', asset_id: 'lamp', to: anna, price: '0' }
    expect(await shop.named('ben', bensKey, buy)).toBe('not-attested')
    expect(await shop.own(bensKey, buy)).toBe('not-attested')
    expect(await shop.named('ben', gateKey, { ...buy, price: '3' })).toBe('included')
    expect(sqlite(node.ready.ledger, 'SELECT round(sum(balance), 8) FROM users')).toBe('101.0')
    expect(sqlite(node.ready.ledger, "SELECT balance FROM users WHERE username = 'carla'")).toBe('1004')
    expect(witness(genesis, node.ready.ledger)).toEqual({ differences: [], transactions: 9, users: 6, assets: 1 })
    expect(await node.stop()).toBe(0)
    expect(await aurex(home.path, 'verify', node.ready.ledger)).toMatchObject({ code: 0 })
  }, 60_000)

  test.each([
    [{ ...genesis.market, balances: { anna: '-1' } }, 'market.balances.anna: expected a decimal such as "12.34"'],
    [{ ...genesis.market, balances: { [anna.toUpperCase()]: '1' } }, 'expected a name of 1 to 128 characters'],
    [{ ...genesis.market, issuers: [''] }, 'market.issuers.0: expected a name of 1 to 128 characters'],
    [{ ...genesis.market, keys: { anna: 'x' } }, 'market.keys.anna: expected the address of a proper key'],
    [{ money: 'loose' }, 'market.money: expected one of record, strict'],
  ])(
    'a table that is wrong is said at the start: %j',
    async (market, message) => {
      const { code, stderr } = await aurex(
        home.path,
        'node',
        ...plugins,
        '--data-dir',
        home.path,
        '--genesis',
        file({ ...genesis, market }),
      )
      expect(stderr).toContain(message)
      expect(code).toBe(78)
    },
    30_000,
  )
})
