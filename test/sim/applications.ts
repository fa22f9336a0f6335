import * as v from 'valibot'
import { readGenesis, type Genesis } from '../../core/chain/genesis.ts'
import type { JsonObject } from '../../core/chain/json.ts'
import type { Gateways } from '../../core/chain/rules.ts'
import type { Application } from '../../core/index.ts'
import type { PluginEntry } from '../../core/load.ts'
import { marketApplication } from '../../plugins/market/application.ts'
import market from '../../plugins/market/index.ts'
import { parametersSchema, type MarketParameters } from '../../plugins/market/schema.ts'
import { Dice } from './dice.ts'
import { clientKeys, gatewayKey, names } from './people.ts'

export const applicationNames = ['market', 'none'] as const
export type ApplicationName = (typeof applicationNames)[number]

/** What all nodes of a world take transactions for. */
export interface WorldApplication {
  /** The engine's, with the application's table. */
  readonly genesis: Genesis
  /** What each node loads. */
  readonly entry: PluginEntry
  /** One of its own for the oracle: pure, so it is as good as that of a node. */
  readonly oracle: Application
}

/** A market on an engine's chain: whether money is strict, who has some, and who speaks for names is the seed's. */
export function marketOn(chain: Genesis, seed: number): WorldApplication {
  const dice = new Dice(`${seed}/market`)
  const gateways = dice.pick<Gateways>(['any', [gatewayKey.address], []])
  const parameters = v.parse(parametersSchema, {
    ...moneyOf(dice),
    ...(gateways.length === 0 ? { keys: boundKeys } : {}),
  })
  const table = JSON.parse(chain.text) as JsonObject
  const genesis = readGenesis(
    { ...table, gateways, application: 'market', market: parameters },
    'the genesis of the simulator',
  )
  return {
    genesis,
    entry: { plugin: market, config: v.parse(market.config, {}), parameters },
    oracle: marketApplication(parameters, gateways),
  }
}

/** Mostly strict, and so little of it that two payments often contradict each other. */
function moneyOf(dice: Dice): Pick<MarketParameters, 'money' | 'balances'> {
  if (dice.chance(0.2)) return { money: 'record' }
  const people = [...names, ...clientKeys.map(({ address }) => address)]
  return { money: 'strict', balances: Object.fromEntries(people.map((one) => [one, String(dice.between(2, 6))])) }
}

const boundKeys = Object.fromEntries(names.map((name, n) => [name, clientKeys[n % clientKeys.length]!.address]))
