// An application that is as small as one can be, and a model of it that is made another way: {counter, add} adds to a
// counter, which may not fall below zero.
import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { developmentGenesis, type Genesis } from '../../core/chain/genesis.ts'
import { decline, definePlugin, found, type Application, type JsonObject, type StateEntry } from '../../core/index.ts'

export const openingCounters = { bank: 100 } as const

/** `trap`: adding this much makes it throw, as a plugin with a fault does. */
export const countersApplication = (trap?: number): Application => ({
  id: 'counters',
  opening: () => Object.entries(openingCounters).map(([key, value]) => ({ key, value: String(value) })),
  apply({ data, right }, state) {
    if (right === 'none') return decline('wrong-key', 'nobody signs for a name here')
    const { counter, add } = data
    if (add === undefined) return found([])
    if (typeof counter !== 'string' || !Number.isSafeInteger(add)) return decline('bad-count', 'counter and add')
    if (add === trap) throw new Error('the trap')
    const before = Number(state.get(counter) ?? '0')
    const after = before + (add as number)
    if (after < 0) return decline('below-zero', `${counter} has ${before}, got ${add as number}`)
    return found([{ key: counter, value: after === 0 ? undefined : String(after) }])
  },
})

export const countersPlugin = definePlugin({
  name: 'counters',
  summary: 'counters that do not fall below zero',
  provides: 'application',
  needs: [],
  config: v.strictObject({}),
  setup: () => countersApplication(),
})

export const countersGenesis = (): Genesis =>
  developmentGenesis('pow', { difficulty: 1 }, { name: 'counters', parameters: {} })

/** What the counters are, block after block; undefined where a block would not hold. */
export class CountersModel {
  readonly counters: ReadonlyMap<string, number>
  readonly root: string
  readonly changes: readonly StateEntry[]

  constructor(counters: ReadonlyMap<string, number>, root: string, changes: readonly StateEntry[] = []) {
    this.counters = counters
    this.root = root
    this.changes = changes
  }

  static opening(): CountersModel {
    return new CountersModel(new Map(Object.entries(openingCounters)), '0'.repeat(64))
  }

  after(transactions: readonly { readonly data: JsonObject }[]): CountersModel | undefined {
    const counters = new Map(this.counters)
    for (const { data } of transactions) {
      if (data['add'] === undefined) continue
      const counter = data['counter'] as string
      const value = (counters.get(counter) ?? 0) + (data['add'] as number)
      if (value < 0) return undefined
      if (value === 0) counters.delete(counter)
      else counters.set(counter, value)
    }
    const changed = [...new Set([...this.counters.keys(), ...counters.keys()])]
      .filter((key) => this.counters.get(key) !== counters.get(key))
      .toSorted()
    const changes = changed.map((key) => ({ key, value: counters.get(key)?.toString() }))
    // Names of counters in tests are small letters: an object keeps their order.
    const json = JSON.stringify(Object.fromEntries(changes.map(({ key, value }) => [key, value ?? null])))
    const root = createHash('sha256').update(`aurex/state/1\n${this.root}\n${json}`).digest('hex')
    return new CountersModel(counters, changes.length === 0 ? this.root : root, changes)
  }
}
