import type { StatedTransaction, Verdict } from '../../../core/index.ts'
import type { Draft } from '../draft.ts'
import type { MarketRules } from '../rules.ts'

/** Writes what a transaction means into the draft, or declines it: the draft is then thrown away. */
export type Action = (transaction: StatedTransaction, draft: Draft, rules: MarketRules) => Verdict
