// What every application must do, whatever its transactions mean. An author of an application runs it on his own
// (plugins/README.md).
import { beforeAll, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { jsonFault, type Json, type JsonObject } from '../../core/chain/json.ts'
import type { Application, StatedTransaction, StateEntry, StateView } from '../../core/plugin.ts'
import { hostileData, hostileValues } from './hostiledata.ts'
import { testKey } from '../support/headers.ts'

export interface ApplicationUnderTest {
  /** The name of its plugin. */
  readonly id: string
  /** Made afresh with every call, from the same parameters. */
  make(): Promise<Application> | Application
  /** Taken one after the other from the opening state on, but for those that it must refuse there. Each kind at least once. */
  readonly history: readonly StatedTransaction[]
}

type State = ReadonlyMap<string, string>

/** Its state before block 1. */
export const openingState = (application: Application): State => after(new Map(), application.opening())

/** A state and what changes it. */
export function after(state: State, changes: readonly StateEntry[]): State {
  const next = new Map(state)
  for (const { key, value } of changes) {
    if (value === undefined) next.delete(key)
    else next.set(key, value)
  }
  return next
}

export function applicationContract(name: string, { id, history, ...given }: ApplicationUnderTest): void {
  const make = () => given.make()
  describe(`${name} keeps the contract of an application`, () => {
    let application: Application
    /** The state before each transaction of the history, and the one after the last. */
    let states: State[]
    const last = () => states[history.length]!

    beforeAll(async () => {
      history.forEach(freeze)
      application = await make()
      states = statesOf(application, history)
    })

    test('its id is the name of its plugin', () => expect(application.id).toBe(id))

    test('the opening state is text under unique keys, the same every time', async () => {
      const opening = application.opening()
      expectEntries(opening)
      for (const { value } of opening) expect(value).toBeString()
      expect(application.opening()).toEqual(opening)
      expect((await make()).opening()).toEqual(opening)
    })

    test('the history shows something: it changes the state, and something in it is refused', () => {
      const results = history.map((transaction, at) => application.apply(transaction, viewOf(states[at]!)))
      expect(results.some((result) => result.ok && result.value.length > 0)).toBe(true)
      expect(results.some((result) => !result.ok)).toBe(true)
    })

    test('the same transaction on the same state has the same outcome: again, by another instance, in any order', async () => {
      const another = await make()
      const outcomes = history.map((transaction, at) => application.apply(transaction, viewOf(states[at]!)))
      for (const at of [...history.keys()].toReversed()) {
        const view = viewOf(states[at]!)
        expect(application.apply(history[at]!, view)).toEqual(outcomes[at]!)
        expect(another.apply(history[at]!, view)).toEqual(outcomes[at]!)
      }
    })

    test('the whole history again leaves the same state', async () => {
      expect(statesOf(await make(), history)).toEqual(states)
    })

    test('the order of names in data means nothing', () => {
      for (const [at, transaction] of history.entries()) {
        const view = viewOf(states[at]!)
        const turned = { ...transaction, data: turnedAround(transaction.data) as JsonObject }
        expect(application.apply(turned, view)).toEqual(application.apply(transaction, view))
      }
    })

    test('what it changes is text, or nothing, under keys that come once', () => {
      for (const [at, transaction] of history.entries())
        expectOutcome(application.apply(transaction, viewOf(states[at]!)))
    })

    test('a refusal changes nothing: what follows is as if it had never been', () => {
      const taken = history.filter((transaction, at) => application.apply(transaction, viewOf(states[at]!)).ok)
      expect(statesOf(application, taken).at(-1)).toEqual(last())
    })

    test('a name that is signed for without any right, and says nothing, is declined: wrong-key', () => {
      const transaction = stated({ sender: 'somebody that nobody knows', right: 'none', data: {} })
      for (const state of states)
        expect(application.apply(transaction, viewOf(state))).toMatchObject({ code: 'wrong-key' })
    })

    test('threats row 22, 32: any data of the history, with a field replaced by hostile text or JSON, gets an outcome', () => {
      const values = hostileValues()
      for (const [at, transaction] of history.entries()) {
        for (const field of Object.keys(transaction.data)) {
          for (const value of values) {
            const data = { ...transaction.data, [field]: value }
            if (jsonFault(data, 32) !== undefined) continue
            expectOutcome(application.apply({ ...transaction, data }, viewOf(states[at]!)))
          }
          const { [field]: _without, ...rest } = transaction.data
          expectOutcome(application.apply({ ...transaction, data: rest }, viewOf(states[at]!)))
        }
      }
    })

    test('any sender, with any right, gets an outcome', () => {
      const senders = [...hostileValues().filter((value) => typeof value === 'string'), testKey(8).address]
      for (const [at, transaction] of history.entries()) {
        for (const sender of senders) {
          for (const right of rights)
            expectOutcome(application.apply({ ...transaction, sender, right }, viewOf(states[at]!)))
        }
      }
    })

    test('any JSON at all gets an outcome', () => {
      const rightOf = fc.constantFrom(...rights)
      fc.assert(
        fc.property(
          hostileData(history.map(({ data }) => data)),
          rightOf,
          fc.nat(history.length),
          (data, right, at) => {
            expectOutcome(application.apply(stated({ sender: 'anna', right, data }), viewOf(states[at]!)))
          },
        ),
        { numRuns: 500 },
      )
    })
  })
}

const rights = ['own', 'gateway', 'anyone', 'none'] as const

/** A transaction as core hands it over; by default one that an address signed for itself. */
export function stated(what: Partial<StatedTransaction>): StatedTransaction {
  const signer = what.signer ?? testKey(7).address
  return { hash: '0'.repeat(64), sender: signer, data: {}, right: 'own', ...what, signer }
}

/** The states before each transaction, and the last one. */
function statesOf(application: Application, history: readonly StatedTransaction[]): State[] {
  const states = [openingState(application)]
  for (const transaction of history) {
    const state = states.at(-1)!
    const result = application.apply(transaction, viewOf(state))
    states.push(result.ok ? after(state, result.value) : state)
  }
  return states
}

/** Nothing but `get`: what an application may not do with a state, it cannot. */
const viewOf = (state: State): StateView => Object.freeze({ get: (key: string) => state.get(key) })

function expectOutcome(result: ReturnType<Application['apply']>): void {
  if (result.ok) return expectEntries(result.value)
  expect(result.code).toMatch(/^[a-z][a-z-]{0,63}$/)
  // It depends on the state, so no peer is to blame for handing it on.
  expect(result.provable).toBe(false)
  // It is read by people and written into logs: short, and without control characters and line breaks.
  expect(result.detail).toMatch(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]{1,1000}$/u)
}

function expectEntries(entries: readonly StateEntry[]): void {
  expect(new Set(entries.map(({ key }) => key)).size).toBe(entries.length)
  for (const { key, value } of entries) {
    expect(key.isWellFormed()).toBe(true)
    expect(value === undefined || (typeof value === 'string' && value.isWellFormed())).toBe(true)
  }
}

function turnedAround(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(turnedAround)
  const members = Object.entries(value).map(([name, member]) => [name, turnedAround(member)] as const)
  return Object.fromEntries(members.toReversed())
}

/** So that an application that writes into what it is given fails instead of passing. */
function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(freeze)
    Object.freeze(value)
  }
  return value
}
