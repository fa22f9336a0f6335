import { afterEach, beforeEach, expect, test } from 'bun:test'
import { command } from '../../../core/commands/vote.ts'
import { FakeNode } from './fakenode.ts'
import { expectOneScreen } from './screen.ts'
import { failure, hastyRuntime, testIo, type TestIo } from './testio.ts'

let io: TestIo
let node: FakeNode
let consensus = 'poa'
beforeEach(async () => {
  io = testIo()
  consensus = 'poa'
  node = await FakeNode.start(hastyRuntime())
  const id = 'c'.repeat(64)
  node.before = ({ type }, socket) => {
    if (type !== 'chain_info') return true
    const info = { type, chain_id: id, genesis_name: 'ring', consensus, height: 3, head: id, pending: 0 }
    socket.write(Buffer.from(`${JSON.stringify(info)}\n`))
    return false
  }
})
afterEach(() => {
  node.stop()
  io.remove()
})

const target = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a' // RFC 8032, 7.1, test 1
const vote = (...argv: string[]) => command.run([...argv, '--node', node.address], io)

test('--help is one screen, examples first', () => expectOneScreen(command, io))

test('where the data directory has no key, nobody is told to make one: it would be no authority’s', async () => {
  const error = await failure(vote('add', target, '--data-dir', 'nowhere'))
  expect(error).toMatchObject({ code: 'no-key-file', exit: 78 })
  expect(error.message).toContain('--key')
  expect(error.message).not.toContain('key new')
})

test('on another chain there is nobody to vote on', async () => {
  consensus = 'pow'
  expect(await failure(vote('add', target))).toMatchObject({ code: 'not-poa', message: expect.stringContaining('pow') })
})

test.each([
  [['ad', target], 'missing-argument', 'did you mean add?'],
  [['add'], 'missing-argument', 'Give an address'],
  [['add', target.slice(1)], 'bad-value', '64 lowercase hex digits'],
  [['add', target, '--key', 'a.pem', '--data-dir', 'b'], 'bad-value', 'not both'],
])('%j is %s', async (argv, code, says) => {
  expect(await failure(vote(...argv))).toMatchObject({ code, exit: 64, message: expect.stringContaining(says) })
})
