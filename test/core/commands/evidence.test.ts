import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { JsonObject } from '../../../core/chain/json.ts'
import { command } from '../../../core/commands/evidence.ts'
import { FakeNode } from './fakenode.ts'
import { expectOneScreen } from './screen.ts'
import { failure, hastyRuntime, testIo, type TestIo } from './testio.ts'

let io: TestIo
let node: FakeNode
let evidence: JsonObject[] = []
let consensus = 'poa'
beforeEach(async () => {
  io = testIo()
  node = await FakeNode.start(hastyRuntime())
  const id = 'c'.repeat(64)
  node.before = ({ type }, socket) => {
    const info = { type, chain_id: id, genesis_name: 'ring', consensus, height: 3, head: id, pending: 0 }
    const answer =
      type === 'evidence_request' ? { type: 'evidence_list', evidence } : type === 'chain_info' ? info : undefined
    if (answer !== undefined) socket.write(Buffer.from(`${JSON.stringify(answer)}\n`))
    return answer === undefined
  }
})
afterEach(() => {
  node.stop()
  io.remove()
})
const run = (...argv: string[]) => command.run([...argv, '--node', node.address], io)
const [one, other] = ['a'.repeat(64), 'b'.repeat(64)]
const entry = (address: string, what: string): JsonObject => ({
  kind: 'block',
  address,
  what,
  found_at: '2026-11-21T00:00:00.000Z',
  proof: { first: {}, second: {} },
})

test('--help is one screen, examples first', () => expectOneScreen(command, io))

test('lists it key by key, and on a poa chain with the vote that removes the key', async () => {
  consensus = 'poa'
  evidence = [entry(one, 'height 17'), entry(other, 'height 4'), entry(one, 'height\u001b 9')]
  expect(await run()).toBe(0)
  expect(io.stdout).toBe(`${one}
  block: height 17, found 2026-11-21T00:00:00.000Z
  block: height\\u{1b} 9, found 2026-11-21T00:00:00.000Z
  to vote it out: aurex vote remove ${one}

${other}
  block: height 4, found 2026-11-21T00:00:00.000Z
  to vote it out: aurex vote remove ${other}
`)
})

test('on other chains there is nobody to vote', async () => {
  consensus = 'bft'
  evidence = [entry(one, 'height 17')]
  await run()
  expect(io.stdout).toContain('block: height 17')
  expect(io.stdout).not.toContain('vote')
})

test('says that there is none', async () => {
  evidence = []
  expect(await run()).toBe(0)
  expect(io.stdout).toStartWith('there is none: ')
})

test('--json has the proofs, or null for those that the node left out', async () => {
  consensus = 'poa'
  evidence = [entry(one, 'height 17'), { ...entry(other, 'height 4'), proof: null }]
  expect(await run('--json')).toBe(0)
  expect(JSON.parse(io.stdout)).toEqual({ node: node.address, consensus: 'poa', evidence })
})

test('an answer that is none, and a node that is not there, are exit code 69', async () => {
  evidence = [{ ...entry(one, 'height 17'), address: 'bob' }]
  expect(await failure(run())).toMatchObject({ code: 'bad-answer', exit: 69 })
  node.stop()
  expect(await failure(run())).toMatchObject({ code: 'node-unreachable', exit: 69 })
})
