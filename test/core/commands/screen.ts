import { expect } from 'bun:test'
import type { Command } from '../../../core/commands/command.ts'
import type { TestIo } from './testio.ts'

/** What every command's --help must be: one screen of 40 lines and 80 columns, examples first. */
export async function expectOneScreen(command: Command, io: TestIo): Promise<void> {
  expect(await command.run(['--help'], io)).toBe(0)
  const lines = io.stdout.split('\n')
  expect(lines.length).toBeLessThanOrEqual(40)
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80)
  expect(lines.find((line) => line.startsWith('  '))).toStartWith(`  aurex ${command.name}`)
}
