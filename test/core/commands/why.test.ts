import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { JsonObject } from '../../../core/chain/json.ts'
import { command } from '../../../core/commands/why.ts'
import { formatTimestamp } from '../../../core/chain/timestamp.ts'
import { FakeNode } from './fakenode.ts'
import { expectOneScreen } from './screen.ts'
import { failure, hastyRuntime, testIo, type TestIo } from './testio.ts'

let io: TestIo
let node: FakeNode
let waits: JsonObject[] = []
beforeEach(async () => {
  io = testIo()
  node = await FakeNode.start(hastyRuntime())
  node.before = ({ type }, socket) => {
    if (type !== 'why_request') return true
    socket.write(Buffer.from(`${JSON.stringify({ type: 'why', waits })}\n`))
    return false
  }
})
afterEach(() => {
  node.stop()
  io.remove()
})
const why = (...argv: string[]) => command.run([...argv, '--node', node.address], io)

test('--help is one screen, examples first', () => expectOneScreen(command, io))

test('says who waits for what, for how long, and what to do about it', async () => {
  const ago = (seconds: number) => formatTimestamp(Date.now() - seconds * 1_000 - 10)
  waits = [
    { who: 'poa', waits_for: 'a block of 3f2a..91, whose turn it is', since: ago(4), help: 'start that node' },
    { who: 'signing', waits_for: 'the operator', since: ago(3 * 60) },
    { who: 'sync', waits_for: 'blocks', since: ago(-60) },
    { who: 'a', waits_for: 'b', since: ago(200 * 3_600) },
    { who: 'x\u001b[2J', waits_for: 'y\n', help: '\u0007', since: 'yesterday' },
  ]
  expect(await why()).toBe(0)
  expect(io.stdout).toBe(`poa waits for a block of 3f2a..91, whose turn it is, for 4 s
  start that node
signing waits for the operator, for 3 min
sync waits for blocks, for 0 s
a waits for b, for 8 d
x\\u{1b}[2J waits for y\\u{a}
  \\u{7}
`)
})

test('says that nothing is waited for', async () => {
  waits = []
  expect(await why()).toBe(0)
  expect(io.stdout).toBe('it waits for nothing\n')
})

test('--json is what the node said', async () => {
  waits = [{ who: 'pow', waits_for: 'a transaction' }]
  expect(await why('--json')).toBe(0)
  expect(JSON.parse(io.stdout)).toEqual({ node: node.address, waits })
})

test('an answer that is none, a refusal and a node that is not there are exit code 69', async () => {
  waits = [{ who: 7 }]
  expect(await failure(why())).toMatchObject({ code: 'bad-answer', exit: 69 })
  node.before = () => true
  expect(await failure(why())).toMatchObject({ code: 'node-refused', exit: 69 })
  node.stop()
  expect(await failure(why())).toMatchObject({ code: 'node-unreachable', exit: 69 })
  expect(await failure(why('now'))).toMatchObject({ code: 'unexpected-argument', exit: 64 })
})
