import {
  accepted,
  amountMax,
  amountOfText,
  amountText,
  canonicalJson,
  decline,
  excerpt,
  type Address,
  type Amount,
  type StateEntry,
  type StateView,
  type Verdict,
} from '../../core/index.ts'
import type { Draft } from './draft.ts'
import { isName } from './names.ts'
import type { MarketRules } from './rules.ts'

export interface Account {
  readonly balance: Amount
  /** Of a name that is bound: the key that acts for it. */
  readonly publicKey?: Address | undefined
}

export interface Payment {
  readonly from: string
  readonly to: string
  readonly amount: Amount
}

/** The account of a name or an address; of whom nothing is known, an empty one. */
export function accountOf(state: StateView, person: string): Account {
  const text = state.get(keyOf(person))
  if (text === undefined) return { balance: 0n }
  const { balance, public_key } = JSON.parse(text) as { readonly balance: string; readonly public_key?: Address }
  const account = { balance: amountOfText(balance) }
  return public_key === undefined ? account : { ...account, publicKey: public_key }
}

/** Whether somebody has an account: money went to or from it, an asset was made under it, or it is bound. */
export const hasAccount = (state: StateView, person: string): boolean => state.get(keyOf(person)) !== undefined

export function accountEntry(person: string, { balance, publicKey }: Account) {
  const bound = publicKey === undefined ? {} : { public_key: publicKey }
  return { key: keyOf(person), value: canonicalJson({ balance: amountText(balance), ...bound }) } satisfies StateEntry
}

export function keepAccount(draft: Draft, person: string, account: Account): void {
  const { key, value } = accountEntry(person, account)
  draft.set(key, value)
}

/** Moves money. Declines `insufficient-funds`, `too-much` and `unbound-name`; what is in the draft is then of no use. */
export function pay(draft: Draft, { from, to, amount }: Payment, { mayOwe, speakers }: MarketRules): Verdict {
  const payer = accountOf(draft, from)
  const left = payer.balance - amount
  if (left < 0n && !mayOwe(from)) return insufficient(from, payer.balance, amount)
  keepAccount(draft, from, { ...payer, balance: left })
  // Read only now: who pays himself is left with what he had.
  const payee = accountOf(draft, to)
  // Nobody could ever spend it, and since a name in use is not given away, a payment of nothing would take any name away.
  if (speakers === 'nobody' && isName(to) && payee.publicKey === undefined) return unboundName(to)
  const sum = payee.balance + amount
  // Bounded, so that every balance is an amount with a text, and nobody can make one that takes long to add to.
  if (left < -amountMax) return tooMuch(from)
  if (sum > amountMax) return tooMuch(to)
  keepAccount(draft, to, { ...payee, balance: sum })
  return accepted
}

// A prefix of its own, and behind it nothing but the name: whatever characters that has, no two make the same key.
const keyOf = (person: string): string => `user/${person}`

function insufficient(who: string, balance: Amount, amount: Amount) {
  return decline(
    'insufficient-funds',
    `${excerpt(who)} has ${amountText(balance)} and was to pay ${amountText(amount)}; on this chain only issuers may owe`,
  )
}

const unboundName = (who: string) =>
  decline(
    'unbound-name',
    `${excerpt(who)} is bound to no key, and on this chain no gateway acts for names: let it be registered first, or pay an address`,
  )

const tooMuch = (who: string) =>
  decline('too-much', `the balance of ${excerpt(who)} would be beyond ${amountText(amountMax)}, the most that is kept`)
