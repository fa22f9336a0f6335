import { afterEach, beforeEach, expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { command } from '../../../core/commands/new.ts'
import { failure, testIo, type TestIo } from './testio.ts'

let io: TestIo
beforeEach(() => (io = testIo()))
afterEach(() => io.remove())

const text = (path: string) => readFileSync(join(io.cwd, path), 'utf8')

test('writes an engine, its test and its config, in the name that was asked for, and says what to run next', async () => {
  expect(await command.run(['consensus', 'ring'], io)).toBe(0)
  expect(readdirSync(io.cwd).toSorted()).toEqual(['ring.test.ts', 'ring.toml', 'ring.ts'])
  for (const name of ['ring.ts', 'ring.test.ts', 'ring.toml']) expect(text(name)).not.toContain('my-engine')
  expect(text('ring.ts')).toContain("name: 'ring'")
  expect(text('ring.toml').split('\n')[0]).toEndWith('aurex node --config ring.toml')
  expect(io.stdout).toBe(`written: ring.ts, ring.test.ts, ring.toml
next:    aurex test ./ring.test.ts
         aurex node --config ./ring.toml
         aurex genesis --name lab --consensus ./ring.ts --authorities <addresses> --out lab.toml
`)
})

test('writes into another folder, which it makes, and tells a script what it wrote', async () => {
  expect(await command.run(['consensus', 'ring', '--dir', 'engines/mine', '--json'], io)).toBe(0)
  const files = ['ring.ts', 'ring.test.ts', 'ring.toml'].map((name) => join('engines/mine', name))
  expect(JSON.parse(io.stdout)).toEqual({ name: 'ring', files })
  for (const path of files) expect(text(path)).not.toBe('')
})

test('speaks of the program as it was called', async () => {
  const clone = testIo({ env: { npm_lifecycle_event: 'aurex' } })
  await command.run(['consensus', 'ring'], clone)
  expect(clone.stdout).toContain('bun run aurex test ./ring.test.ts')
  clone.remove()
})

test.each(['ring.ts', 'ring.test.ts', 'ring.toml'])('keeps a %s that is there, and writes nothing', async (taken) => {
  io.file(taken, 'mine')
  expect(await failure(command.run(['consensus', 'ring'], io))).toMatchObject({ code: 'file-exists', exit: 64 })
  expect(readdirSync(io.cwd)).toEqual([taken])
  expect(text(taken)).toBe('mine')
})

test.each<[string[], string, string]>([
  [[], 'bad-value', 'expected consensus; as in: aurex new consensus my-engine'],
  [['concensus', 'ring'], 'bad-value', 'got "concensus"; did you mean consensus?'],
  [['consensus'], 'missing-argument', 'what is it called?'],
  [['consensus', 'My Ring'], 'bad-name', 'small letters, digits and dashes'],
  [['consensus', '../ring'], 'bad-name', 'small letters, digits and dashes'],
  [['consensus', 'pow'], 'bad-name', 'the name of a plugin that comes with aurex'],
  [['consensus', 'block'], 'bad-name', 'block is reserved'],
  [['consensus', 'ring', 'more'], 'unexpected-argument', '"more"'],
])('%j is %s', async (argv, code, says) => {
  const error = await failure(command.run(argv, io))
  expect(error).toMatchObject({ code, exit: 64 })
  expect(error.message).toContain(says)
  expect(readdirSync(io.cwd)).toEqual([])
})

test('a folder that cannot be is named', async () => {
  io.file('taken', '')
  const error = await failure(command.run(['consensus', 'ring', '--dir', 'taken/deeper'], io))
  expect(error).toMatchObject({ code: 'file-failed' })
  expect(error.message).toStartWith('taken/deeper: cannot be written to')
})
