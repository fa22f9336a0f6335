import {
  accepted,
  amountOfText,
  decline,
  found,
  type Application,
  type ChainRules,
  type Json,
  type StatedTransaction,
  type StateEntry,
  type Verdict,
} from '../../core/index.ts'
import { accountEntry, accountOf } from './accounts.ts'
import type { Action } from './actions/action.ts'
import { mint } from './actions/mint.ts'
import { purchase } from './actions/purchase.ts'
import { register } from './actions/register.ts'
import { transfer } from './actions/transfer.ts'
import { mayAct } from './authority.ts'
import { Draft } from './draft.ts'
import { isPerson, personExpected } from './names.ts'
import { marketRules, type MarketRules } from './rules.ts'
import type { MarketParameters } from './schema.ts'

/**
 * Pure. The state: `user/<name or address>` is an account, `asset/<id>` an asset, both canonical JSON. `gateways`: as the
 * genesis names them.
 */
export function marketApplication(parameters: MarketParameters, gateways: ChainRules['gateways']): Application {
  const rules = marketRules(parameters, gateways)
  return {
    id: 'market',
    opening: () => openingAccounts(parameters),
    apply(transaction, state) {
      const draft = new Draft(state)
      const verdict = judge(transaction, draft, rules)
      return verdict.ok ? found(draft.changes()) : verdict
    },
  }
}

function openingAccounts({ balances = {}, keys = {} }: MarketParameters): readonly StateEntry[] {
  const bound = new Map(Object.entries(keys))
  const owned = new Map(Object.entries(balances))
  return [...new Set([...owned.keys(), ...bound.keys()])].map((person) =>
    accountEntry(person, { balance: amountOfText(owned.get(person) ?? '0'), publicKey: bound.get(person) }),
  )
}

const actions: ReadonlyMap<Json | undefined, Action> = new Map<Json, Action>([
  ['mint', mint],
  ['transfer', transfer],
  ['purchase', purchase],
])

function judge(transaction: StatedTransaction, draft: Draft, rules: MarketRules): Verdict {
  const { sender, data } = transaction
  // Core lets no other sender through. An account under such a name could never be paid.
  if (!isPerson(sender)) return decline('bad-transaction', `sender: expected ${personExpected}`)
  const action = Object.hasOwn(data, 'action') ? data['action'] : undefined
  // The one action that makes a right instead of needing it.
  if (action === 'register') return register(transaction, draft, rules)
  const allowed = mayAct(transaction, accountOf(draft, sender))
  if (!allowed.ok) return allowed
  // What is none of ours is recorded as it is.
  return actions.get(action)?.(transaction, draft, rules) ?? accepted
}
