import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bunRuntime } from '../../core/bun.ts'
import { runtimeContract } from '../contract/runtime.ts'

const untilMillisecondsMax = 8_000

runtimeContract('Bun', () => {
  const faults: unknown[] = []
  const directory = mkdtempSync(join(tmpdir(), 'aurex-runtime-'))
  let silence: Awaited<ReturnType<typeof fullListener>> | undefined
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
    async silence() {
      silence = await fullListener()
      return silence
    },
    directory,
    faults,
    dispose() {
      silence?.child.kill()
      rmSync(directory, { recursive: true })
    },
  }
})

/**
 * A listener whose queue is full and that takes nobody: Linux then leaves whoever connects without an answer. When it is
 * told to, it takes them all.
 */
async function fullListener() {
  const script = `
import socket, sys
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(0)
queue = [socket.socket() for _ in range(4)]
for one in queue:
    one.setblocking(False)
    one.connect_ex(listener.getsockname())
print(listener.getsockname()[1], flush=True)
sys.stdin.readline()
while True:
    listener.accept()
`
  const child = Bun.spawn(['python3', '-c', script], { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' })
  const { value } = await child.stdout.getReader().read()
  const answer = (): void => {
    void child.stdin.write('go\n')
    void child.stdin.flush()
  }
  return { child, host: '127.0.0.1', port: Number(new TextDecoder().decode(value)), answer }
}

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

test('a listener on :: takes both families, tells :: as its address, and shows IPv4 as IPv4', async () => {
  const runtime = bunRuntime()
  const seen: string[] = []
  const listener = await runtime.listen('::', 0, {
    open: (socket) => void seen.push(socket.remoteHost),
    data: () => {},
  })
  expect(listener.host).toBe('::')
  const sockets = [
    await runtime.connect('127.0.0.1', listener.port, { data: () => {} }),
    await runtime.connect('::1', listener.port, { data: () => {} }),
  ]
  while (seen.length < 2) await Bun.sleep(1)
  expect(seen.toSorted()).toEqual(['127.0.0.1', '::1'])
  for (const socket of sockets) socket.destroy()
  listener.stop()
})

test('a connection that the other side resets at once fails like any other, and is no fault of ours', async () => {
  const faults: unknown[] = []
  const runtime = bunRuntime({ onFault: (error) => faults.push(error) })
  const listener = await runtime.listen('127.0.0.1', 0, { open: (socket) => socket.destroy(), data: () => {} })
  const closes: (Error | undefined)[] = []
  for (let i = 0; i < 50; i++) {
    const closed = Promise.withResolvers<void>()
    const handlers = {
      data: () => {},
      close: (_socket: unknown, error?: Error) => {
        closes.push(error)
        closed.resolve()
      },
    }
    const socket = await runtime.connect('127.0.0.1', listener.port, handlers, 2_000)
    expect(['127.0.0.1', '0.0.0.0']).toContain(socket.remoteHost)
    socket.destroy()
    await closed.promise
  }
  expect([closes.length, faults]).toEqual([50, []])
  listener.stop()
})

const endless = () =>
  new ReadableStream({
    async pull(stream) {
      stream.enqueue('x')
      await Bun.sleep(5)
    },
  })

describe('http', () => {
  const runtime = bunRuntime()
  const post = (url: string, millisecondsMax = 5_000) =>
    runtime.http(url, { method: 'POST', headers: { 'x-test': 'yes' }, body: 'the body', millisecondsMax })
  const failure = (url: string, millisecondsMax?: number) =>
    post(url, millisecondsMax).then(
      ({ status }) => status,
      (error: unknown) => error,
    )
  const seen: unknown[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const { pathname } = new URL(request.url)
      seen.push([request.method, pathname, request.headers.get('x-test'), await request.text()])
      if (pathname === '/moved') return Response.redirect('/elsewhere', 307)
      if (pathname === '/silent') return await new Promise<never>(() => {})
      if (pathname === '/endless') return new Response(endless())
      return new Response('what nobody reads', { status: Number(pathname.slice(1)) })
    },
  })
  const at = (path: string): string => `http://127.0.0.1:${server.port}${path}`
  afterAll(() => server.stop(true))

  test('sends what it is given and tells the status', async () => {
    seen.length = 0
    for (const status of [200, 204, 404, 503]) expect(await post(at(`/${status}`))).toEqual({ status })
    expect(seen[0]).toEqual(['POST', '/200', 'yes', 'the body'])
  })

  test('follows no redirect', async () => {
    seen.length = 0
    expect(await post(at('/moved'))).toEqual({ status: 307 })
    expect(seen.length).toBe(1)
  })

  test('does not wait for the end of an endless answer', async () => {
    expect(await post(at('/endless'))).toEqual({ status: 200 })
  })

  test('gives up after the time that it is given, and where nobody listens, and says where', async () => {
    const { host } = new URL(at(''))
    expect(await failure(at('/silent'), 50)).toMatchObject({ code: 'http-failed', exit: 69 })
    const refused = await failure('http://user:word@127.0.0.1:1/path?token=abc')
    expect(refused).toMatchObject({
      code: 'http-failed',
      message: expect.stringContaining('POST 127.0.0.1:1: ') as unknown,
    })
    expect(String(refused)).not.toMatch(/word|abc/)
    expect(await failure(at('').replace('http:', 'https:'))).toMatchObject({
      code: 'http-failed',
      message: expect.stringContaining(host) as unknown,
    })
  })
})

test('what cannot be appended as a whole is not appended at all', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'aurex-append-'))
  const path = join(directory, 'file')
  const bun = JSON.stringify(join(import.meta.dir, '../../core/bun.ts'))
  const script = `const { bunRuntime } = await import(${bun})
    const { files } = bunRuntime()
    files.appendText(${JSON.stringify(path)}, 'a'.repeat(600), 0o600)
    try { files.appendText(${JSON.stringify(path)}, 'b'.repeat(600), 0o600) } catch (error) { console.log(error.code) }`
  // A file may be 1,024 bytes long. The signal that comes with it is not for us to answer.
  const shell = `trap '' XFSZ; ulimit -f 1; exec ${process.execPath} -e "$SCRIPT"`
  const child = Bun.spawn(['bash', '-c', shell], { env: { ...process.env, SCRIPT: script }, stderr: 'inherit' })
  expect((await child.stdout.text()).trim()).toBe('EFBIG')
  expect(bunRuntime().files.readText(path)).toBe('a'.repeat(600))
  rmSync(directory, { recursive: true })
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
