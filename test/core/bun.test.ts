import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bunRuntime } from '../../core/bun.ts'
import { runtimeContract } from '../contract/runtime.ts'

const untilMillisecondsMax = 8_000

runtimeContract('Bun', () => {
  const faults: unknown[] = []
  const directory = mkdtempSync(join(tmpdir(), 'aurex-runtime-'))
  return {
    runtime: bunRuntime({ onFault: (error) => faults.push(error) }),
    async until(fact) {
      const deadline = performance.now() + untilMillisecondsMax
      while (!fact()) {
        if (performance.now() > deadline) throw new Error(`not true in time: ${fact.toString()}`)
        await Bun.sleep(1)
      }
    },
    pass: (milliseconds) => Bun.sleep(milliseconds),
    directory,
    faults,
    dispose: () => rmSync(directory, { recursive: true }),
  }
})

test('an address in use is exit 69 and says which port and what to do', async () => {
  const runtime = bunRuntime()
  const listener = await runtime.listen('127.0.0.1', 0, { data: () => {} })
  const thrown = (port: number, host: string) =>
    runtime.listen(host, port, { data: () => {} }).catch((error: unknown) => error)
  expect(await thrown(listener.port, '127.0.0.1')).toMatchObject({
    code: 'address-in-use',
    exit: 69,
    message: `port ${listener.port} on 127.0.0.1 is in use already; is another node running? Choose another with --port`,
  })
  listener.stop()
  // 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
  expect(await thrown(0, '192.0.2.1')).toMatchObject({ code: 'listen-failed', exit: 69 })
})

test('the mode of a created file does not depend on the umask', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'aurex-umask-'))
  const bun = JSON.stringify(join(import.meta.dir, '../../core/bun.ts'))
  const path = join(directory, 'file')
  const script = `process.umask(0o077); const { bunRuntime } = await import(${bun})
    const { files } = bunRuntime(); files.createText(${JSON.stringify(path)}, 'x', 0o644)`
  const child = Bun.spawn([process.execPath, '-e', script], { stderr: 'inherit' })
  expect(await child.exited).toBe(0)
  expect(bunRuntime().files.mode(path)).toBe(0o644)
  rmSync(directory, { recursive: true })
})

// ---- plugins from elsewhere ----

const elsewhere = mkdtempSync(join(tmpdir(), 'aurex-elsewhere-'))
afterAll(() => rmSync(elsewhere, { recursive: true }))
const root = join(import.meta.dir, '../..')

const plugin = `
  import { definePlugin, AurexError } from 'aurex'
  import * as v from 'valibot'
  export { AurexError, v }
  export default definePlugin({
    name: 'elsewhere', summary: '', provides: 'none', needs: [], config: v.strictObject({}), setup() {},
  })
`

/** Loads the plugin and something from inside the tree; prints whether they are what the program itself has. */
const program = `
  import * as aurex from ${JSON.stringify(join(root, 'core/index.ts'))}
  import * as valibot from ${JSON.stringify(Bun.resolveSync('valibot', root))}
  import { provideToPlugins } from ${JSON.stringify(join(root, 'core/bun.ts'))}
  provideToPlugins({ aurex, valibot })
  const plugin = await import(process.argv[2])
  const inside = await import(process.argv[3])
  console.log(JSON.stringify([
    plugin.default.name,
    plugin.AurexError === aurex.AurexError,
    plugin.v.safeParse === valibot.safeParse,
    inside.AurexError === aurex.AurexError,
  ]))
`

async function run(entry: string, ...args: string[]): Promise<string> {
  const child = Bun.spawn([process.execPath, entry, ...args], { cwd: elsewhere, stderr: 'inherit', stdout: 'pipe' })
  const output = await child.stdout.text()
  expect(await child.exited).toBe(0)
  return output.trim()
}

test('a plugin in a folder without node_modules imports aurex and valibot of the running program', async () => {
  const file = join(elsewhere, 'plugin.ts')
  writeFileSync(file, plugin)
  // Lies inside the tree as far as the paths of its own tsconfig go.
  const tree = mkdtempSync(join(elsewhere, 'tree-'))
  writeFileSync(
    join(tree, 'tsconfig.json'),
    JSON.stringify({ compilerOptions: { paths: { aurex: [join(root, 'core/index.ts')] } } }),
  )
  writeFileSync(join(tree, 'inside.ts'), `export { AurexError } from 'aurex'`)
  const main = join(elsewhere, 'main.ts')
  writeFileSync(main, program)
  expect(await run(main, file, join(tree, 'inside.ts'))).toBe('["elsewhere",true,true,true]')
  const outdir = join(elsewhere, 'dist')
  const build = await Bun.build({ entrypoints: [main], target: 'bun', outdir, splitting: true })
  expect(build.success).toBe(true)
  expect(await run(build.outputs[0]!.path, file, file)).toBe('["elsewhere",true,true,true]')
})
