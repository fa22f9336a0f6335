// Transactions of a few people, and a state to record them in one after the other.
import type { JsonObject } from '../../../core/chain/json.ts'
import type { Gateways } from '../../../core/chain/rules.ts'
import type { StatedTransaction } from '../../../core/plugin.ts'
import * as v from 'valibot'
import { marketApplication } from '../../../plugins/market/application.ts'
import { parametersSchema } from '../../../plugins/market/schema.ts'
import { after, openingState, stated } from '../../contract/application.ts'
import { testKey } from '../../support/headers.ts'

export const [annasKey, bensKey, gateKey] = [testKey(11), testKey(12), testKey(13)] as const
export const [anna, ben] = [annasKey.address, bensKey.address] as const

export type Parameters = v.InferInput<typeof parametersSchema>

/** By the sender's own address. */
export const own = (signer: string, data: JsonObject): StatedTransaction => stated({ signer, data })

/** For a name. By default a gateway's. */
export const named = (
  sender: string,
  data: JsonObject,
  right: StatedTransaction['right'] = 'gateway',
  signer = gateKey.address,
) => stated({ sender, data, right, signer })

export class Market {
  readonly application
  state

  /** `gateways`: as the genesis names them. */
  constructor(parameters: Parameters = {}, gateways: Gateways = [gateKey.address]) {
    this.application = marketApplication(v.parse(parametersSchema, parameters), gateways)
    this.state = openingState(this.application)
  }

  /** Records it: `taken`, or the code for which it was declined. */
  take(transaction: StatedTransaction): string {
    const result = this.application.apply(transaction, this.state)
    if (!result.ok) return result.code
    this.state = after(this.state, result.value)
    return 'taken'
  }

  /** Why it is declined. */
  detail(transaction: StatedTransaction): string {
    const result = this.application.apply(transaction, this.state)
    return result.ok ? 'taken' : result.detail
  }

  account = (person: string): unknown => JSON.parse(this.state.get(`user/${person}`) ?? 'null')
  asset = (id: string): unknown => JSON.parse(this.state.get(`asset/${id}`) ?? 'null')
}
