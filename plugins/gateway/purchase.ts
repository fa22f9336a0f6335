import * as v from 'valibot'
import { amountOfClient, decline, excerpt, found, isAddress, type JsonObject, type Result } from '../../core/index.ts'

/** A purchase as the chain records it: `data` of a transaction whose sender is the buyer (protocol section 6). */
export interface Purchase {
  /** The shop's own number for it: the same again is the same purchase. */
  readonly txId: string
  /** The buyer's name. */
  readonly sender: string
  readonly data: JsonObject
}

/**
 * Reads the body of `submit_purchase`. Fields that are not a purchase's are not looked at and not recorded. Declines
 * `bad-purchase`, with the field, what was expected and what came.
 */
export function readPurchase(body: JsonObject): Result<Purchase> {
  const shaped = v.safeParse(schema, body, { abortEarly: true })
  if (!shaped.success) {
    const field = v.getDotPath(shaped.issues[0]) ?? 'body'
    return badField(field, shaped.issues[0].received === 'undefined' ? undefined : body[field])
  }
  const { tx_id, buyer, seller, asset_id, asset_name, price, timestamp } = shaped.output
  if (isAddress(buyer.toLowerCase())) {
    return decline(
      'bad-purchase',
      "buyer: expected a name, got an address: only an address's own key may sign for it; send it signed, with submit_transaction",
    )
  }
  const amount = amountOfClient(price)
  if (!amount.ok) return badField('price', price)
  const paid = { price: amount.value, from: buyer, to: seller, amount: amount.value }
  const data = { action: 'purchase', tx_id, asset_id, asset_name, ...paid, timestamp }
  return found({ txId: tx_id, sender: buyer, data })
}

/** Characters are code points. */
const charactersMax = {
  tx_id: 128,
  buyer: 128,
  seller: 128,
  asset_id: 256,
  asset_name: 1_024,
  timestamp: 128,
} as const

const label = (max: number) =>
  v.pipe(
    v.string(),
    // What is longer than twice as many code units need not be counted.
    v.check((text) => text.length > 0 && text.length <= 2 * max),
    v.check((text) => Array.from(text).length <= max && text.isWellFormed() && !/\p{Cc}/u.test(text)),
  )

const schema = v.object({
  tx_id: label(charactersMax.tx_id),
  buyer: label(charactersMax.buyer),
  seller: label(charactersMax.seller),
  asset_id: label(charactersMax.asset_id),
  asset_name: label(charactersMax.asset_name),
  price: v.union([v.string(), v.number()]),
  timestamp: label(charactersMax.timestamp),
})

const priceExpected =
  'a decimal such as "12.34" (or the number 12.34), not negative, with at most 8 decimals and no exponent'

function badField(field: string, got: unknown) {
  const max = charactersMax[field as keyof typeof charactersMax]
  const expected = field === 'price' ? priceExpected : `text of 1 to ${max} characters, without control characters`
  return decline('bad-purchase', `${field}: expected ${expected}, got ${shown(got)}`)
}

/** What came, short enough for a message. */
function shown(got: unknown): string {
  if (got === undefined) return 'nothing'
  if (typeof got === 'string') return got === '' ? 'empty text' : excerpt(JSON.stringify(got))
  if (typeof got === 'number' || typeof got === 'boolean' || got === null) return String(got)
  return Array.isArray(got) ? 'an array' : 'an object'
}
