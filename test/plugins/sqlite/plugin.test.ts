import { expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import * as v from 'valibot'
import sqlite from '../../../plugins/sqlite/index.ts'
import { genesis, storedAt } from '../../contract/storage.ts'
import { makeContext } from '../../support/context.ts'
import { temporaryFolder } from './folder.ts'

const contextIn = (dataDir: string) =>
  makeContext({ use: {}, genesis, node: { name: 'test', dataDir, port: 13_245, version: '0' } })

test('opens the file of the port in the data directory, and lets go of it when the node stops', async () => {
  using folder = temporaryFolder()
  for (const round of [1, 2]) {
    const { context, releases } = contextIn(join(folder.path, 'data'))
    const storage = await sqlite.setup(context, v.parse(sqlite.config, {}), {})
    expect(storage.location).toBe(join(folder.path, 'data', 'node_13245.sqlite3'))
    storage.begin(genesis, genesis.block, storedAt + round)
    expect(releases).toHaveLength(1)
    await releases[0]!()
  }
})

test('takes a path of its own, and can be told to look only', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'elsewhere.sqlite3')
  const { context, releases } = contextIn(folder.path)
  const storage = await sqlite.setup(context, v.parse(sqlite.config, { path }), {})
  storage.begin(genesis, genesis.block, storedAt)
  const looking = contextIn(folder.path)
  const reader = await sqlite.setup(looking.context, v.parse(sqlite.config, { path, readonly: true }), {})
  expect(reader.genesis()).toBe(genesis.text)
  expect(existsSync(join(folder.path, 'node_13245.sqlite3'))).toBe(false)
  for (const release of [...looking.releases, ...releases]) await release()
})

test('knows every key of its config', () => {
  expect(v.safeParse(sqlite.config, { synchronous: 'OFF' }).success).toBe(false)
  expect(v.safeParse(sqlite.config, { path: '' }).success).toBe(false)
  expect(v.parse(sqlite.config, {})).toEqual({ readonly: false })
})
