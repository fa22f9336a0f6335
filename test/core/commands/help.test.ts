import { expect, test } from 'bun:test'
import { command as genesis } from '../../../core/commands/genesis.ts'
import { command as key } from '../../../core/commands/key.ts'
import { command as tx } from '../../../core/commands/tx.ts'
import { testIo } from './testio.ts'

test.each([
  ['genesis', genesis],
  ['key', key],
  ['tx', tx],
])('aurex %s --help is one screen, examples first', async (name, command) => {
  const io = testIo()
  expect(command.name).toBe(name)
  expect(await command.run(['--help'], io)).toBe(0)
  expect(io.stdout).toBe(command.help)
  const lines = io.stdout.split('\n')
  expect(lines.length).toBeLessThanOrEqual(40)
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80)
  expect(lines[2]).toStartWith(`  aurex ${name} `)
  io.remove()
})
