import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'bun:test'
import * as v from 'valibot'
import { zeroHash } from '../../core/chain/canonical.ts'
import { Overlay, stateRootAfter } from '../../core/chain/execution.ts'
import type { Gateways } from '../../core/chain/rules.ts'
import type { StatedTransaction } from '../../core/plugin.ts'
import { marketApplication } from '../../plugins/market/application.ts'
import { parametersSchema } from '../../plugins/market/schema.ts'
import { after, openingState, stated } from '../contract/application.ts'

// What a market makes of transactions can never change without a fork: these values were written once.

interface Golden {
  readonly inputs: {
    /** As the genesis has them. */
    readonly gateways: Gateways
    readonly parameters: v.InferInput<typeof parametersSchema>
    readonly transactions: readonly Omit<StatedTransaction, 'hash'>[]
  }
  readonly outputs: {
    /** `taken`, or the code of the refusal. */
    readonly outcomes: readonly string[]
    /** After each transaction, as if each stood in a block of its own. */
    readonly state_roots: readonly string[]
    readonly state: Readonly<Record<string, string>>
  }
}

const file = join(import.meta.dir, 'market.json')
const chains = JSON.parse(readFileSync(file, 'utf8')) as readonly Golden[]

test.each(chains)('what the market makes of the transactions is what was written: chain %#', ({ inputs, outputs }) => {
  const market = marketApplication(v.parse(parametersSchema, inputs.parameters), inputs.gateways)
  let state = openingState(market)
  let root = zeroHash
  const got = inputs.transactions.map((transaction) => {
    const result = market.apply(stated(transaction), state)
    if (result.ok) {
      const block = new Overlay(state)
      block.put(result.value)
      root = stateRootAfter(root, block.changes())
      state = after(state, result.value)
    }
    return { outcome: result.ok ? 'taken' : result.code, root }
  })
  expect(got.map(({ outcome }) => outcome)).toEqual([...outputs.outcomes])
  expect(got.map(({ root }) => root)).toEqual([...outputs.state_roots])
  expect(Object.fromEntries(state)).toEqual(outputs.state)
})

test('it has every code that the market knows, and many that are taken', () => {
  const codes = ['bad-mint', 'bad-purchase', 'bad-register', 'bad-transfer', 'wrong-key', 'name-taken']
    .concat(['asset-exists', 'insufficient-funds', 'not-owner', 'not-attested', 'too-much', 'unbound-name', 'taken'])
    .toSorted()
  expect([...new Set(chains.flatMap(({ outputs }) => outputs.outcomes))].toSorted()).toEqual(codes)
})

test('a program without any code in common computes the same', () => {
  const { exitCode, stdout, stderr } = Bun.spawnSync(['python3', join(import.meta.dir, 'market.py'), file])
  expect({ exitCode, stderr: stderr.toString() }).toEqual({ exitCode: 0, stderr: '' })
  expect(JSON.parse(stdout.toString())).toEqual(chains.map(({ outputs }) => outputs))
})
