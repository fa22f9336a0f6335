import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'bun:test'
import * as v from 'valibot'
import type { SealedHeader } from '../../../core/chain/block.ts'
import { developmentGenesis } from '../../../core/chain/genesis.ts'
import { formatTimestamp } from '../../../core/chain/timestamp.ts'
import type { JsonObject } from '../../../core/index.ts'
import bft from '../../../plugins/bft/index.ts'
import { Crew } from '../../contract/consensus-crew.ts'
import { makeContext } from '../../support/context.ts'
import { ancestryOf, signedHeader, testKey, timeOf } from '../../support/headers.ts'
import { MemoryLedger } from '../../../plugins/memory/ledger.ts'

const codeOf = (verdict: { ok: boolean; code?: string }) => (verdict.ok ? 'ok' : verdict.code)

describe('the rules of bft', () => {
  test('name what is wrong with a header', async () => {
    const crew = await Crew.of(bft, {})
    await crew.sealNext()
    const good = await crew.sealNext()
    const below = ancestryOf(crew.branch.slice(0, -1))
    const verify = (more: object) => codeOf(crew.engine.verify({ ...good, ...more }, below))
    const { round, signatures } = good.certificate as { round: number; signatures: JsonObject }
    const [first, second] = Object.keys(signatures)
    const { [first!]: one, ...fewer } = signatures
    expect(verify({})).toBe('ok')
    expect(verify({ work: 2 })).toBe('bad-work')
    expect(verify({ nonce: 1 })).toBe('bad-seal')
    expect(verify({ seal: {} })).toBe('bad-block')
    expect(verify({ signer_id: good.miner_id })).toBe('bad-block')
    expect(verify({ timestamp: formatTimestamp(timeOf(below.parent) + 99) })).toBe('too-early')
    expect(verify({ public_key_pem: testKey(99).pem })).toBe('not-authority')
    expect(verify({ certificate: undefined })).toBe('bad-certificate')
    expect(verify({ certificate: { round, signatures: fewer } })).toBe('bad-certificate')
    expect(verify({ certificate: { round: round + 1, signatures } })).toBe('bad-certificate')
    expect(verify({ certificate: { round, signatures: { ...fewer, [second!]: one } } })).toBe('bad-certificate')
    expect(verify({ current_hash: 'ab'.repeat(32) })).toBe('bad-certificate')
    await crew.dispose()
  })

  test('make every block final, of the same weight, and propose in turns', async () => {
    const crew = await Crew.of(bft, {})
    expect(crew.engine.finalAtOnce).toBe(true)
    expect(crew.engine.authorities!(crew.ancestry)).toEqual(crew.keys.map(({ address }) => address))
    while (crew.head.index < 6) await crew.sealNext()
    const makers = crew.branch.slice(1).map(({ miner_id }) => crew.keys.findIndex(({ nodeId }) => nodeId === miner_id))
    expect(makers).toEqual([1, 2, 0, 1, 2, 0])
    await crew.dispose()
  })

  test('let whoever makes block 1 be the one authority where the genesis names nobody', async () => {
    const crew = await Crew.of(bft, { parameters: () => ({}), producers: 1 })
    const stranger = await crew.stranger(testKey(9))
    const first = await crew.sealNext()
    expect(crew.engine.authorities!(crew.ancestry)).toEqual([crew.keys[0]!.address])
    expect(codeOf(stranger.verify(first, ancestryOf(crew.branch.slice(0, 1))))).toBe('ok')
    const by = (key = testKey(9), header: SealedHeader = first): SealedHeader => {
      const { current_hash: _hash, nonce, signature: _signature, certificate, ...rest } = header
      const own = { ...rest, miner_id: key.nodeId, public_key_pem: key.pem, index: 2, prev_hash: first.current_hash }
      return signedHeader({ ...own, timestamp: formatTimestamp(timeOf(first) + 1_000) }, nonce, key, certificate)
    }
    expect(codeOf(stranger.verify(by(), crew.ancestry))).toBe('not-authority')
    await crew.dispose()
  })

  test('take parameters that make sense, and have defaults for a chain for development', () => {
    const [one, two] = [testKey(1).address, testKey(2).address]
    expect(v.parse(bft.parameters!, {})).toEqual({ authorities: [], block_time: 0.1, timeout: 1 })
    expect(v.is(bft.parameters!, { authorities: [one, two], block_time: 0, timeout: 0.05 })).toBe(true)
    const wrong = [
      { authorities: [one, one] },
      { authorities: ['x'] },
      { authorities: Array.from({ length: 129 }, (_, n) => testKey(n + 1).address) },
      { block_time: -1 },
      { timeout: 0 },
      { timeout: Number.POSITIVE_INFINITY },
      { quorum: 1 },
    ]
    for (const table of wrong) expect(v.is(bft.parameters!, table)).toBe(false)
  })

  test('refuse to go on with a record that cannot be read: what was held must not be forgotten', async () => {
    const genesis = developmentGenesis('bft', {})
    const storage = new MemoryLedger()
    storage.begin(genesis, genesis.block, 0)
    storage.records('bft').write([['lock', '{"round":']])
    const { context } = makeContext<'storage'>({ use: { storage }, genesis })
    const engine = await bft.setup(context, {}, v.parse(bft.parameters!, {}))
    const never = () => {
      throw new Error('not asked for')
    }
    const door = { head: () => storage.head(), ancestry: never, pendingCount: () => 0, examine: never, submit: never }
    expect(() => engine.open!({ ...door, changed: () => {}, onHead: () => {} })).toThrow(
      expect.objectContaining({ code: 'ledger-damaged' }),
    )
  })
})

test('bft stays what one can read in an evening: under three hundred lines', () => {
  const folder = new URL('../../../plugins/bft/', import.meta.url)
  const sources = readdirSync(folder).filter((name) => name.endsWith('.ts'))
  const lines = sources.flatMap((name) => readFileSync(new URL(name, folder), 'utf8').trimEnd().split('\n'))
  expect(sources.length).toBeGreaterThan(0)
  expect(lines.length).toBeLessThan(300)
})
