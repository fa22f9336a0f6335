import { pay } from '../accounts.ts'
import { Fields } from '../fields.ts'
import type { Action } from './action.ts'

/** Money from the sender to somebody. Declines `bad-transfer`, and what `pay` declines. */
export const transfer: Action = ({ sender, data }, draft, rules) => {
  const fields = new Fields('transfer', data)
  fields.repeats('from', sender, 'the sender')
  const to = fields.person('to')
  const amount = fields.amount('amount')
  return fields.fault ?? pay(draft, { from: sender, to, amount }, rules)
}
