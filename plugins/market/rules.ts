import type { ChainRules } from '../../core/index.ts'
import type { MarketParameters } from './schema.ts'

/** What the actions need to know of their chain. All of it comes from the genesis. */
export interface MarketRules {
  /** Who may owe. */
  readonly mayOwe: (person: string) => boolean
  /** Who speaks for a name that is bound to no key: `anybody`, the gateways that the genesis names, or `nobody`. */
  readonly speakers: 'anybody' | 'gateways' | 'nobody'
}

export function marketRules({ money, issuers = [] }: MarketParameters, gateways: ChainRules['gateways']): MarketRules {
  const names = new Set(issuers)
  return {
    mayOwe: (person) => money === 'record' || names.has(person),
    speakers: gateways === 'any' ? 'anybody' : gateways.length > 0 ? 'gateways' : 'nobody',
  }
}
