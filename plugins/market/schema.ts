import * as v from 'valibot'
import { isObject, parseAmount, publicKeyOf } from '../../core/index.ts'
import { isName, isPerson, nameExpected, personExpected } from './names.ts'

// Not `v.record`: it drops names such as `constructor` without a word, and with them somebody's money.
const table = (expected: string, faultOf: (key: string, value: unknown) => string | undefined) =>
  v.pipe(
    v.custom<Readonly<Record<string, string>>>(isObject, `expected ${expected}`),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return
      for (const [key, value] of Object.entries(dataset.value)) {
        const fault = faultOf(key, value)
        if (fault === undefined) continue
        const path = { type: 'object', origin: 'value', input: dataset.value, key, value } as const
        addIssue({ message: fault, path: [path] })
      }
    }),
  )

const balances = v.pipe(
  table('a table of names or addresses, each with a decimal', (key, value) => {
    if (!isPerson(key)) return `expected ${personExpected}, got this name`
    const amount = parseAmount(value)
    return amount.ok ? undefined : amount.detail
  }),
  v.description('what names and addresses own before block 1: { alice = "100" }'),
)

const keys = v.pipe(
  table('a table of names, each with an address', (key, value) => {
    if (!isName(key)) return `expected ${nameExpected}, got this name`
    const isKey = typeof value === 'string' && publicKeyOf(value).ok
    return isKey ? undefined : 'expected the address of a proper key (64 lowercase hex digits)'
  }),
  v.description('names that are bound before block 1: { alice = "<address>" }'),
)

const issuers = v.pipe(
  v.array(
    v.pipe(
      v.string(),
      v.check(isPerson, ({ received }) => `expected ${personExpected}, got ${received}`),
    ),
  ),
  v.description('names or addresses that may owe where money is strict: what they have issued'),
)

/** The table `[market]` of the genesis. Optional keys stay out of it: the chain's id covers only what was written. */
export const parametersSchema = v.strictObject({
  money: v.optional(
    v.pipe(v.picklist(['record', 'strict']), v.description('record: balances may go below zero; strict: they may not')),
    'record',
  ),
  balances: v.exactOptional(balances),
  keys: v.exactOptional(keys),
  issuers: v.exactOptional(issuers),
})
export type MarketParameters = v.InferOutput<typeof parametersSchema>
