import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'bun:test'
import { resolveConfig } from '../../../core/config.ts'

test('the files in config/ make a node of a council', async () => {
  const resolved = await resolveConfig({
    argv: ['--config', 'config/bft.toml', '--genesis', 'config/genesis-bft.toml'],
    env: { HOME: '/home/me' },
    cwd: join(import.meta.dir, '../../..'),
    readText: (path) => readFileSync(path, 'utf8'),
  })
  expect(resolved.plugins.map(({ plugin }) => plugin.name)).toEqual(['bft', 'tcp', 'sqlite'])
  expect(resolved.genesis).toMatchObject({ name: 'council', consensus: 'bft' })
  expect(resolved.genesis!.parameters).toMatchObject({ block_time: 0.1, timeout: 1 })
  expect(resolved.genesis!.parameters['authorities']).toHaveLength(4)
  expect(resolved.unused).toEqual([])
})
