// What somebody might put into a transaction's data to break whoever reads it. All of it is JSON that core lets through.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { jsonFault, nestingMax, type Json, type JsonObject } from '../../core/chain/json.ts'

const naughtyStrings = JSON.parse(
  readFileSync(join(import.meta.dir, '../vectors/blns/blns.json'), 'utf8'),
) as readonly string[]

const nested = (depth: number, inner: Json): Json => (depth === 0 ? inner : nested(depth - 1, { action: [inner] }))

const odd: readonly Json[] = [
  null,
  true,
  [],
  {},
  [[]],
  0,
  -0,
  -1,
  1.5,
  1e308,
  5e-324,
  2 ** 53,
  Number.MIN_SAFE_INTEGER,
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'user/',
  'user/anna',
  'asset/../user/anna',
  '9'.repeat(60_000),
  `0.${'0'.repeat(60_000)}1`,
  'x'.repeat(60_000),
  '😀'.repeat(128),
  '😀'.repeat(129),
  'A'.repeat(64),
  '0'.repeat(64),
  'f'.repeat(64),
  `01${'0'.repeat(62)}`,
  'line\nbreak\u2028\u0000\u001b[2J',
  nested(14, 'deep'),
  { constructor: { prototype: { action: 'x' } }, toString: 'x', valueOf: 1 },
]

/** Values for a field. */
export const hostileValues = (): readonly Json[] => [...odd, ...naughtyStrings]

/** Any data, near to one of the examples or far from all of them. */
export function hostileData(examples: readonly JsonObject[]): fc.Arbitrary<JsonObject> {
  const fields = [...new Set(examples.flatMap((example) => Object.keys(example)))]
  const said = examples.flatMap((example) => Object.values(example))
  const value = fc.oneof(fc.constantFrom(...odd, ...said), fc.jsonValue(), fc.string({ unit: 'binary' }))
  const field = fc.oneof({ weight: 4, arbitrary: fc.constantFrom('action', ...fields) }, fc.string({ unit: 'binary' }))
  const changes = fc.dictionary(field, value as fc.Arbitrary<Json>, { maxKeys: 4 })
  return fc
    .tuple(fc.constantFrom({}, ...examples), changes)
    .map(([example, change]) => ({ ...example, ...change }))
    .filter((data) => jsonFault(data, nestingMax) === undefined)
}
