import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import { readGenesis } from '../../../core/chain/genesis.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'
import poa from '../../../plugins/poa/index.ts'
import { configSchema, parametersSchema } from '../../../plugins/poa/schema.ts'
import { makeContext } from '../../support/context.ts'
import { addressOf } from './support.ts'

const fault = (table: object): string | undefined => {
  const read = v.safeParse(parametersSchema, table)
  return read.success ? undefined : read.issues[0].message
}

describe('parameters', () => {
  test('defaults', () => {
    expect(v.parse(parametersSchema, {})).toEqual({ authorities: [], block_time: 1, epoch: 1_000 })
    expect(v.parse(configSchema, {})).toEqual({ produce: true, heartbeat: 0, patience: 500 })
  })

  test.each([
    ['text', 'boss'],
    ['a key of small order', '01'.padEnd(64, '0')],
    ['no point of the curve', 'f'.repeat(64)],
    ['capitals', addressOf('A').toUpperCase()],
  ])('an authority that can be no key: %s', (_what, address) => {
    expect(fault({ authorities: [addressOf('B'), address] })).toContain('expected the address of a proper key')
    expect(fault({ authorities: [addressOf('B'), address] })).toContain(`got ${address}`)
  })

  test('an authority twice, and too many', () => {
    expect(fault({ authorities: [addressOf('A'), addressOf('B'), addressOf('A')] })).toBe(
      `expected each address once, got ${addressOf('A')} twice`,
    )
    expect(fault({ authorities: Array.from({ length: 201 }, () => addressOf('A')) })).toContain('200')
  })

  test('block times may have decimals; epochs are whole', () => {
    expect(fault({ block_time: 0.25 })).toBeUndefined()
    for (const block_time of [0, -1, Infinity, '1']) expect(fault({ block_time })).toBeDefined()
    for (const epoch of [1, 2.5, 0]) expect(fault({ epoch })).toBeDefined()
    expect(fault({ color: 'red' })).toBeDefined()
  })
})

describe('a genesis of a file', () => {
  const genesisOf = (name: string, poaTable: object) =>
    readGenesis({ name, timestamp: '2026-01-01T00:00:00.000Z', consensus: 'poa', poa: poaTable as never }, 'test')
  const setUp = (name: string, authorities: string[]) => {
    const { context } = makeContext<'storage'>({
      use: { storage: new MemoryLedger() },
      genesis: genesisOf(name, { authorities }),
    })
    return poa.setup(context, v.parse(configSchema, {}), v.parse(parametersSchema, { authorities }))
  }

  test('names at least one authority; the development chain need not', () => {
    expect(() => setUp('ring', [])).toThrow(/genesis of ring names no authority/)
    expect(setUp('ring', [addressOf('A')])).toHaveProperty('verify')
    expect(setUp('development', [])).toHaveProperty('verify')
  })
})
