import { afterEach, beforeEach, expect, test } from 'bun:test'
import { command } from '../../../core/commands/test.ts'
import { failure, testIo, type TestIo } from './testio.ts'

let io: TestIo
beforeEach(() => (io = testIo()))
afterEach(() => io.remove())

const passing = `
  import { expect, test } from 'bun:test'
  import { definePlugin } from 'aurex'
  import { testKey } from 'aurex/testing'
  import * as v from 'valibot'
  test('what it imports by name is there', () => {
    expect(definePlugin({ config: v.strictObject({}) })).toHaveProperty('config.kind', 'schema')
    expect(testKey(1).address).toHaveLength(64)
  })
  test('and an engine gets the same', async () => {
    expect((await import('./mine.ts')).definePlugin).toBe(definePlugin)
  })
`

test('runs a test in any folder, with nothing installed there', async () => {
  io.file('mine.test.ts', passing)
  io.file('mine.ts', `export { definePlugin } from 'aurex'`)
  const code = await command.run(['mine.test.ts'], io)
  expect(io.stderr).toContain('2 pass')
  expect({ code, stdout: io.stdout.includes('internal') }).toEqual({ code: 0, stdout: false })
})

test('runs only the tests that are asked for', async () => {
  io.file('mine.test.ts', passing)
  expect(await command.run(['./mine.test.ts', '--only', 'by name'], io)).toBe(0)
  expect(io.stderr).toContain('1 pass')
})

test('ends with 1 when a test fails, and fetches nothing that nobody installed', async () => {
  io.file('red.test.ts', `import { expect, test } from 'bun:test'\ntest('is red', () => expect(1).toBe(2))`)
  expect(await command.run(['red.test.ts'], io)).toBe(1)
  expect(io.stderr).toContain('(fail) is red')
  io.file('far.test.ts', `import 'left-pad'`)
  io.stderr = ''
  expect(await command.run(['far.test.ts'], io)).toBe(1)
  expect(io.stderr).toContain("Cannot find package 'left-pad'")
})

test('a file that is none of tests is not called good', async () => {
  io.file('mine.ts', `export const nothing = 1`)
  const error = await failure(command.run(['./mine.ts'], io))
  expect(error).toMatchObject({ code: 'bad-value', exit: 64, message: expect.stringContaining('NAME.test.ts') })
})

test('ends when it is interrupted', async () => {
  io.file(
    'long.test.ts',
    `import { test } from 'bun:test'\nconsole.error('begun')\ntest('long', () => new Promise(() => {}), 60_000)`,
  )
  const heard = {
    ...io,
    err: (text: string) => {
      if (text.includes('begun')) io.controller.abort('SIGINT')
    },
  }
  expect(await failure(command.run(['long.test.ts'], heard))).toMatchObject({ code: 'interrupted', exit: 75 })
})

test.each<[string[], string, string]>([
  [[], 'missing-argument', 'which file?'],
  [['nowhere.test.ts'], 'no-such-file', 'nowhere.test.ts'],
  [['a', 'b'], 'unexpected-argument', '"b"'],
])('%j is %s', async (argv, code, says) => {
  const error = await failure(command.run(argv, io))
  expect(error).toMatchObject({ code, exit: 64 })
  expect(error.message).toContain(says)
})
