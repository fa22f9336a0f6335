import { expect, test } from 'bun:test'
import { builtinNames } from '../../../core/builtin.ts'
import { command as config } from '../../../core/commands/config.ts'
import { command as genesis } from '../../../core/commands/genesis.ts'
import { command as key } from '../../../core/commands/key.ts'
import { command as newPlugin } from '../../../core/commands/new.ts'
import { command as peers } from '../../../core/commands/peers.ts'
import { command as node } from '../../../core/commands/node.ts'
import { command as status } from '../../../core/commands/status.ts'
import { command as testPlugin } from '../../../core/commands/test.ts'
import { command as tx } from '../../../core/commands/tx.ts'
import { command as verify } from '../../../core/commands/verify.ts'
import { command as vote } from '../../../core/commands/vote.ts'
import { command as votes } from '../../../core/commands/votes.ts'
import { describeKeys } from '../../../core/config.ts'
import { resolvePlugin } from '../../../core/load.ts'
import { testIo } from './testio.ts'

test.each([
  ['config', config],
  ['genesis', genesis],
  ['key', key],
  ['new', newPlugin],
  ['node', node],
  ['peers', peers],
  ['status', status],
  ['test', testPlugin],
  ['tx', tx],
  ['verify', verify],
  ['vote', vote],
  ['votes', votes],
])('aurex %s --help is one screen, examples first', async (name, command) => {
  const io = testIo()
  expect(command.name).toBe(name)
  expect(await command.run(['--help'], io)).toBe(0)
  const lines = io.stdout.split('\n')
  expect(lines.length).toBeLessThanOrEqual(40)
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80)
  expect(lines.find((line) => line.startsWith('  '))).toStartWith(`  aurex ${name}`)
  io.remove()
})

test('aurex node --help names every plugin and every flag of a node', async () => {
  const io = testIo()
  await node.run(['--help'], io)
  for (const name of builtinNames) expect(io.stdout).toMatch(new RegExp(`^ +(?:[a-z]+ +)?${name} `, 'm'))
  const own = describeKeys([]).filter((described) => !described.key.includes('.'))
  for (const { flag } of [...own, { flag: '--difficulty' }]) expect(io.stdout).toContain(`  ${flag} `)
  io.remove()
})

test('every key of core and of the plugins says what it means, in a line', async () => {
  const plugins = await Promise.all(builtinNames.map((name) => resolvePlugin(name, '/')))
  for (const { key: name, summary } of describeKeys(plugins)) expect(`${name}: ${summary}`).toMatch(/: \S.{5,75}$/)
})

test('aurex config --describe lists them, and those of a plugin of one’s own', async () => {
  const io = testIo()
  io.file(
    'mine.ts',
    `import * as v from '${import.meta.resolve('valibot')}'
    const depth = v.optional(v.pipe(v.number(), v.description('how deep')), 3)
    export default { name: 'mine', summary: 'mine', provides: 'none', needs: [], setup() {}, config: v.strictObject({ depth }) }`,
  )
  expect(await config.run(['--plugins', './mine.ts', '--describe'], io)).toBe(0)
  expect(io.stdout).toContain('mine.depth (number, 3)\n    how deep\n    --mine.depth  AUREX_MINE_DEPTH\n')
  io.stdout = ''
  await config.run(['--plugins', './mine.ts', '--describe', '--json'], io)
  expect(JSON.parse(io.stdout)).toContainEqual({
    key: 'mine.depth',
    type: 'number',
    default: '3',
    description: 'how deep',
    flag: '--mine.depth',
    variable: 'AUREX_MINE_DEPTH',
  })
  io.remove()
})
