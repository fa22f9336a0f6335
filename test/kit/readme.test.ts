// What plugins/README.md teaches, as it stands there: its commands are run, its plugin speaks with another node's.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'bun:test'
import * as v from 'valibot'
import { provideToPlugins } from '../../core/bun.ts'
import { canonicalJson } from '../../core/chain/canonical.ts'
import type { JsonObject } from '../../core/chain/json.ts'
import type { KeyPair } from '../../core/chain/keys.ts'
import * as core from '../../core/index.ts'
import type { EvidenceKind } from '../../core/plugin.ts'
import { resolvePlugin } from '../../core/resolve.ts'
import { makeGenesis } from '../support/blocks.ts'
import { Cluster } from '../support/cluster.ts'
import { makeContext } from '../support/context.ts'
import { testKey } from '../support/headers.ts'
import { useHome } from '../support/home.ts'
import { aurex } from '../support/process.ts'

const plugins = join(import.meta.dir, '../../plugins')
const manual = readFileSync(join(plugins, 'README.md'), 'utf8')
const blocksOf = (language: string): string[] =>
  [...manual.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\`$`, 'gm'))].map(([, block]) => block!)
const witness = blocksOf('ts').find((block) => block.includes("name: 'witness'"))!

const home = useHome()

test('its first commands are those that the program itself says to run', async () => {
  const [first] = blocksOf('sh')
  const [make, ...next] = first!.trim().split('\n')
  expect(make).toBe('aurex new consensus my-engine')
  const { stdout } = await aurex(home.path, ...make!.split(' ').slice(1))
  for (const command of next) expect(stdout).toContain(command)
  expect(manual).toContain('aurex genesis --name lab --consensus ./my-engine.ts --authorities <address>')
})

test('its example of the suite runs on what the first command made', async () => {
  await aurex(home.path, 'new', 'consensus', 'my-engine')
  const suite = blocksOf('ts').find((block) => block.includes('consensusContract('))!
  writeFileSync(join(home.path, 'suite.test.ts'), suite)
  const { code, stderr } = await aurex(home.path, 'test', './suite.test.ts')
  expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
})

test('it names all that a context offers, and nothing else', () => {
  const table = manual.split('## What the context offers')[1]!.split('\n\n')[1]!
  const named = table
    .split('\n')
    .flatMap((row) => [...row.split('|')[1]!.matchAll(/`([a-z]+)/gi)].map(([, name]) => name!))
  expect(named.toSorted()).toEqual(Object.keys(makeContext({ use: {} }).context).toSorted())
})

test('every manual that it links to is there', () => {
  const links = [...manual.matchAll(/\]\(([^)#]+)\)/g)].map(([, path]) => path!)
  expect(links.filter((path) => !existsSync(join(plugins, path)))).toEqual([])
})

// ---- the plugin that speaks and signs ----

test('two nodes of the witness hear each other', async () => {
  const path = join(home.path, 'witness.ts')
  writeFileSync(path, witness)
  const cluster = await Cluster.start({
    count: 2,
    args: ['--plugins', `instant,tcp,sqlite,${path}`],
    argsOf: (place) => (place === 0 ? [] : ['--no-instant.produce']),
  })
  try {
    await cluster.connected(1)
    await cluster.submit(3)
    await cluster.agreed()
    const [one, other] = cluster.nodes
    await cluster.until('each has the last note of the other', async () => {
      const notes = await Promise.all(
        cluster.nodes.map(async (node) => (await node.ask({ type: 'witness.notes' }))['notes'] as JsonObject[]),
      )
      const last = { height: one!.blocks().length - 1, hash: one!.blocks().at(-1) }
      expect(notes[0]).toMatchObject([{ ...last, address: other!.ready.address }])
      expect(notes[1]).toMatchObject([{ ...last, address: one!.ready.address }])
      return true
    })
  } finally {
    await cluster.dispose()
  }
}, 60_000)

/** What the witness contributes, set up alone. */
async function evidenceKind(): Promise<EvidenceKind> {
  provideToPlugins({ aurex: core, valibot: v })
  writeFileSync(join(home.path, 'witness.ts'), witness)
  const plugin = await resolvePlugin('./witness.ts', home.path)
  const { context, contributed } = makeContext<'chain'>({ use: { chain: { genesis: makeGenesis() } as never } })
  await plugin.setup(context as never, {} as never, undefined as never)
  return contributed.all('evidence')[0]!
}

test('its evidence is what two notes of one key prove, and nothing else', async () => {
  const kind = await evidenceKind()
  const note = (key: KeyPair, height: number, hash: string): JsonObject => {
    const text = canonicalJson({ chain_id: makeGenesis().rules.chainId, hash, height })
    return { height, hash, address: key.address, signature: key.sign('aurex/witness/1', text) }
  }
  const [ann, ben] = [testKey(1), testKey(2)]
  const first = note(ann, 7, 'a')
  expect(kind.read({ first, second: note(ann, 7, 'b') })).toEqual({
    ok: true,
    value: { address: ann.address, what: 'height 7' },
  })
  const forged = { ...note(ann, 7, 'b'), signature: first['signature']! }
  for (const second of [note(ann, 8, 'b'), note(ben, 7, 'b'), first, forged, {}]) {
    expect(kind.read({ first, second })).toMatchObject({ ok: false, code: 'bad-evidence', provable: true })
  }
})
