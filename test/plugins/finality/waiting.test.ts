import { expect, test } from 'bun:test'
import type { Rules } from '../../../plugins/finality/rules.ts'
import { missingVotes } from '../../../plugins/finality/waiting.ts'
import { testKey } from '../../support/headers.ts'

const authorities = [1, 2, 3, 4].map((n) => testKey(n).address)
const rules: Rules = { chainId: 'c'.repeat(64), authorities, quorum: 3, every: 1, haltAfter: undefined }

/** What the node of an authority says that signs nothing up to a height. */
const helpAt = (index: number, floor: number, address = authorities[0]!): string | undefined =>
  missingVotes({ rules, index, ballot: undefined, since: 0, own: { address, floor: () => floor } }).help

test('a node that was resumed does not tell its operator to start it', () => {
  expect(helpAt(9, 9)).toContain('this node signs nothing up to height 9')
  expect(helpAt(10, 9)).toStartWith('start the nodes')
  expect(helpAt(9, 9, testKey(5).address)).toStartWith('start the nodes')
})
