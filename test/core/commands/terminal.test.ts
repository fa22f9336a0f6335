import { expect, test } from 'bun:test'
import { pause } from '../../../core/commands/command.ts'
import { paint, printable, Progress } from '../../../core/commands/terminal.ts'
import { hastyRuntime, testIo } from './testio.ts'

test('colours are for terminals, and not where NO_COLOR is set', () => {
  expect(paint({ isTerminal: true, env: {} }, 'red', 'x')).toBe('\x1b[31mx\x1b[0m')
  expect(paint({ isTerminal: true, env: { NO_COLOR: '1' } }, 'red', 'x')).toBe('x')
  expect(paint({ isTerminal: false, env: {} }, 'red', 'x')).toBe('x')
})

test('what could redraw a terminal or forge a line is made visible', () => {
  expect(printable('a\x1b[2K\r\nb\u202e\u2028ü')).toBe('a\\u{1b}[2K\\u{d}\\u{a}b\\u{202e}\\u{2028}ü')
})

test('progress is one line that fits, drawn at most ten times a second', () => {
  const runtime = hastyRuntime()
  let now = 0
  const io = testIo({ isTerminal: true, runtime: { ...runtime, clock: { ...runtime.clock, monotonic: () => now } } })
  const progress = new Progress(io)
  progress.show(0.5, 'x'.repeat(200))
  expect(io.stderr).toStartWith('\r\x1b[2K████████████░░░░░░░░░░░░  50 %  xxx')
  expect(io.stderr.length - '\r\x1b[2K'.length).toBe(79)
  now = 99
  progress.show(0.6, 'too early')
  expect(io.stderr).not.toContain('too early')
  now = 100
  progress.show(2, 'now')
  expect(io.stderr).toEndWith('100 %  now')
  progress.clear()
  progress.clear()
  expect(io.stderr).toEndWith('now\r\x1b[2K')
  io.remove()
})

test('a pause ends with the interruption', async () => {
  const io = testIo()
  const long = pause(io, 1_000_000_000)
  io.controller.abort()
  await long
  await pause(io, 1_000_000_000)
  io.remove()
})
