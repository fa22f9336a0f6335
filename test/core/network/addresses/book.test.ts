import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { Book } from '../../../../core/network/addresses/book.ts'
import { NodeTable } from '../../../../core/network/addresses/nodetable.ts'
import { DialPolicy } from '../../../../core/network/addresses/policy.ts'
import type { NodeRecord } from '../../../../core/plugin.ts'
import { simRuntime } from '../../../sim/runtime.ts'

function setUp(entriesMax = 1_000) {
  const runtime = simRuntime({ seed: 1 }).host('8.0.0.1')
  const policy = new DialPolicy({ dialNetworks: [], onLoopbackOnly: () => false })
  const rows = new Map<string, NodeRecord>()
  const nothing = (): void => undefined
  const table = new NodeTable({
    runtime,
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    storage: {
      nodes: () => [...rows.values()],
      saveNode: (node) => void rows.set(node.node_id, node),
      dropNode: (id) => void rows.delete(id),
    },
  })
  const book = new Book({ runtime, policy, table, entriesMax })
  return { book, rows }
}

/** Of 60 networks, 250 in each. */
const hostOf = (n: number): string => `${20 + (n % 60)}.7.1.${1 + (Math.floor(n / 60) % 250)}`
const to = (n: number) => ({ host: hostOf(n), port: 13_245 })

describe('threats row 17: the book is bounded', () => {
  test('100,000 addresses of one source: 64 are kept', () => {
    const { book } = setUp()
    for (let n = 0; n < 100_000; n++) {
      book.offer({ host: `${11 + (n % 80)}.${n & 255}.1.1`, port: 1_024 + (n % 60_000) }, 'loud')
    }
    expect(book.size).toBe(64)
  })

  test('100,000 addresses of one network, told by 1,000 sources: 64 are kept', () => {
    const { book } = setUp()
    for (let n = 0; n < 100_000; n++) {
      book.offer({ host: `66.66.${(n >> 8) & 255}.${n & 255}`, port: 13_245 }, `${n % 1_000}`)
    }
    expect(book.size).toBe(64)
  })

  test('of many networks by many sources: as many as the book holds, and a quiet source keeps its own', () => {
    const { book } = setUp(200)
    book.offer({ host: '150.1.1.1', port: 13_245 }, 'quiet')
    for (let n = 0; n < 20_000; n++) book.offer({ host: `${20 + (n % 99)}.${n % 251}.1.1`, port: 13_245 }, `${n % 7}`)
    expect(book.size).toBe(200)
    // Whoever has most cannot change its own for others at will.
    const before = [...book.entries()]
    for (let n = 0; n < 700; n++) book.offer({ host: `${130 + (n % 9)}.${n % 251}.1.1`, port: 13_245 }, `${n % 7}`)
    expect([...book.entries()].filter((entry) => before.includes(entry)).length).toBeGreaterThan(190)
    expect(book.at({ host: '150.1.1.1', port: 13_245 })).toBeDefined()
  })

  test('an address that failed gives its place to a new one of its source', () => {
    const { book } = setUp()
    for (let n = 0; n < 64; n++) book.offer(to(n), 'one')
    expect(book.offer(to(64), 'one')).toBe(false)
    book.at(to(3))!.failures = 1
    expect(book.offer(to(64), 'one')).toBe(true)
    expect(book.at(to(3))).toBeUndefined()
    expect(book.size).toBe(64)
  })
})

test('whatever is told and reached: within the bounds, one entry a node, and the table says the same', () => {
  const step = fc.oneof(
    fc.record({ op: fc.constant('offer' as const), n: fc.nat(600), who: fc.nat(5) }),
    fc.record({ op: fc.constant('reach' as const), n: fc.nat(600), who: fc.nat(80) }),
    fc.record({ op: fc.constant('fail' as const), n: fc.nat(600), who: fc.nat(1) }),
    fc.record({ op: fc.constant('remove' as const), n: fc.nat(600), who: fc.nat(1) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const { book, rows } = setUp(100)
      for (const { op, n, who } of steps) {
        const known = [...book.entries()].filter(({ node }) => node !== undefined)
        const entry = book.at(to(n))
        if (op === 'offer') {
          book.offer(to(n), `source ${who}`)
          // What was reached is never lost for what is only told.
          for (const one of known) expect(book.at(one.to)).toBe(one)
        } else if (op === 'reach') book.reached(to(n), `node ${who}`, 'full')
        else if (entry !== undefined && op === 'fail') entry.failures++
        else if (entry !== undefined) book.remove(entry)
        expect(book.size).toBeLessThanOrEqual(100)
      }
      const entries = [...book.entries()]
      const nodes = entries.flatMap(({ node }) => node?.nodeId ?? [])
      expect(new Set(nodes).size).toBe(nodes.length)
      expect(new Set(rows.keys())).toEqual(new Set(nodes))
      for (const entry of entries) if (entry.node !== undefined) expect(book.of(entry.node.nodeId)).toBe(entry)
    }),
    { numRuns: 200 },
  )
})
