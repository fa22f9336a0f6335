import { accepted, decline, excerpt, type Amount } from '../../../core/index.ts'
import { pay } from '../accounts.ts'
import { assetIdCharactersMax, assetNameCharactersMax, assetOf, keepAsset } from '../assets.ts'
import { Fields } from '../fields.ts'
import type { Action } from './action.ts'

/**
 * The sender buys an asset of `to`: money one way, the asset the other. An asset that nobody has heard of was the
 * seller's until now; where the genesis names gateways, one that is known is bought through them only. Declines
 * `bad-purchase`, `not-owner`, `not-attested`, and what `pay` declines.
 */
export const purchase: Action = ({ sender, right, data }, draft, rules) => {
  const fields = new Fields('purchase', data)
  const id = fields.text('asset_id', 1, assetIdCharactersMax)
  const name = fields.get('asset_name') === undefined ? id : fields.text('asset_name', 0, assetNameCharactersMax)
  fields.repeats('from', sender, 'the sender, who buys')
  const to = fields.person('to')
  if (to === sender) fields.refuse('to', 'the seller, who is not the buyer')
  const price = priceIn(fields)
  fields.textOrNothing('tx_id')
  fields.textOrNothing('timestamp')
  if (fields.fault !== undefined) return fields.fault
  const there = assetOf(draft, id)
  const { owner } = there ?? { owner: to }
  if (owner !== to) {
    return decline(
      'not-owner',
      `the asset ${excerpt(id)} belongs to ${excerpt(owner)}, not to ${excerpt(to)}, who sells it`,
    )
  }
  // The seller signs nothing: somebody whom the chain trusts must say that he sells, and for how much.
  if (there !== undefined && rules.speakers === 'gateways' && right !== 'gateway') return notAttested(id, to)
  const paid = pay(draft, { from: sender, to, amount: price }, rules)
  if (!paid.ok) return paid
  keepAsset(draft, id, { name: there?.name ?? name, owner: sender })
  return accepted
}

const notAttested = (id: string, seller: string) =>
  decline(
    'not-attested',
    `the asset ${excerpt(id)} is ${excerpt(seller)}'s, who signs nothing here: on this chain a gateway that the genesis names ` +
      'must sign for the buyer, who is a name; submit the purchase to a gateway',
  )

/** `price` and `amount` are two names of one thing: either will do, and both must say the same. */
function priceIn(fields: Fields): Amount {
  const [first = 'price', second] = ['price', 'amount'].filter((field) => fields.get(field) !== undefined)
  const price = fields.amount(first)
  if (second !== undefined && fields.amount(second) !== price) fields.refuse(second, `the same as ${first}`)
  return price
}
