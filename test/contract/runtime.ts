import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { keyPairOfPem, privatePemOf } from '../../core/chain/keys.ts'
import type { Runtime, Socket, SocketHandlers } from '../../core/index.ts'

/** One runtime under test and how its world is made to go on. */
export interface RuntimeBench {
  readonly runtime: Runtime
  /** Waits until something is true; throws when it does not become so. */
  until(fact: () => boolean): Promise<void>
  /** Lets some milliseconds pass. */
  pass(milliseconds: number): Promise<void>
  /** A place that never answers who connects to it, until `answer` is called (and then it may, late). */
  silence(): Promise<{ readonly host: string; readonly port: number; answer(): void }>
  /** A folder to make files in. */
  readonly directory: string
  readonly faults: unknown[]
  dispose(): void
}

/** What everybody may rely on, whatever implements the port. */
export function runtimeContract(name: string, make: () => RuntimeBench): void {
  describe(`runtime contract: ${name}`, () => {
    let bench: RuntimeBench
    beforeEach(() => void (bench = make()))
    afterEach(() => bench.dispose())

    const listen = (handlers: SocketHandlers, port = 0) => bench.runtime.listen('127.0.0.1', port, handlers)
    const connect = (port: number, ear: Ear) => settled(bench, bench.runtime.connect('127.0.0.1', port, ear.handlers))

    test('sockets: what is written comes back, and each side sees the other end and close once', async () => {
      const server = new Ear({ data: (socket, bytes) => void socket.write(bytes) })
      const listener = await listen(server.handlers)
      const client = new Ear()
      const socket = await connect(listener.port, client)
      expect(listener.port).toBeGreaterThan(0)
      expect(socket.remotePort).toBe(listener.port)
      expect(socket.remoteHost).toBe('127.0.0.1')
      expect(socket.write(text('hello'))).toBe(5)
      await bench.until(() => client.text === 'hello')
      expect(server.socket?.remoteHost).toBe('127.0.0.1')
      socket.end()
      await bench.until(() => server.ends === 1)
      server.socket!.end()
      await bench.until(() => client.closes.length === 1 && server.closes.length === 1)
      expect([server.opens, client.opens, client.closes[0], server.closes[0]]).toEqual([1, 1, undefined, undefined])
      expect(client.events.at(-1)).toBe('close')
      expect(server.events.at(-1)).toBe('close')
      expect(socket.write(text('late'))).toBe(0)
      socket.end()
      socket.destroy()
      socket.pause()
      socket.resume()
      await bench.pass(20)
      expect(client.closes.length).toBe(1)
      listener.stop()
    })

    test('sockets: a client that ends its writing side still gets its answer', async () => {
      const server = new Ear({
        end: (socket) => {
          socket.write(text(`you said ${server.text}`))
          socket.end()
        },
      })
      const listener = await listen(server.handlers)
      const client = new Ear({ end: (socket) => socket.end() })
      const socket = await connect(listener.port, client)
      socket.write(text('question'))
      socket.finish()
      await bench.until(() => client.closes.length === 1 && server.closes.length === 1)
      expect(client.text).toBe('you said question')
      expect(client.closes[0]).toBeUndefined()
      listener.stop()
    })

    test('sockets: what was written before the end arrives, though the other side was still sending', async () => {
      const server = new Ear({
        data: (socket) => {
          if (server.events.filter((event) => event === 'data').length > 1) return
          socket.write(text('enough'))
          socket.end()
        },
      })
      const listener = await listen(server.handlers)
      const client = new Ear({ end: (socket) => socket.destroy() })
      const socket = await connect(listener.port, client)
      const flood = new Uint8Array(8 * 1024 * 1024)
      let sent = 0
      const pump = () => {
        while (sent < flood.length) {
          const taken = socket.write(flood.subarray(sent))
          sent += taken
          if (taken === 0) return
        }
      }
      client.more.drain = pump
      pump()
      await bench.until(() => client.closes.length === 1 && server.closes.length === 1)
      expect(client.text).toBe('enough')
      listener.stop()
    })

    test('sockets: a reader that does not read fills the buffers; drain says when there is room', async () => {
      const server = new Ear({ open: (socket) => socket.pause() })
      const listener = await listen(server.handlers)
      const client = new Ear()
      const socket = await connect(listener.port, client)
      const all = new Uint8Array(Buffer.alloc(16 * 1024 * 1024, 'a pattern of 23 letters'))
      let sent = socket.write(all)
      expect(sent).toBeGreaterThan(0)
      expect(sent).toBeLessThan(all.length)
      await bench.until(() => server.opens === 1)
      await bench.pass(50)
      expect(server.bytes).toBe(0)
      client.more.drain = () => {
        for (let taken = -1; sent < all.length && taken !== 0; sent += taken) taken = socket.write(all.subarray(sent))
      }
      // Real kernels may have made room meanwhile.
      client.more.drain(socket)
      expect(sent).toBeLessThan(all.length)
      server.socket!.resume()
      await bench.until(() => server.bytes === all.length)
      expect(Buffer.concat(server.chunks).equals(all)).toBe(true)
      socket.destroy()
      await bench.until(() => server.closes.length === 1)
      listener.stop()
    })

    test('sockets: nothing is read while paused, the order is kept, and the end waits for the data', async () => {
      const server = new Ear()
      const listener = await listen(server.handlers)
      const client = new Ear()
      const socket = await connect(listener.port, client)
      socket.write(text('a'))
      await bench.until(() => server.text === 'a')
      server.socket!.pause()
      socket.write(text('b'))
      socket.write(text('c'))
      socket.finish()
      await bench.pass(50)
      expect([server.text, server.ends]).toEqual(['a', 0])
      server.socket!.resume()
      await bench.until(() => server.ends === 1)
      expect(server.text).toBe('abc')
      server.socket!.end()
      await bench.until(() => server.closes.length === 1)
      listener.stop()
    })

    test('sockets: destroy closes at once, and the other side learns it', async () => {
      const server = new Ear()
      const listener = await listen(server.handlers)
      const client = new Ear()
      const socket = await connect(listener.port, client)
      await bench.until(() => server.opens === 1)
      socket.destroy()
      await bench.until(() => client.closes.length === 1 && server.closes.length === 1)
      expect(server.events.at(-1)).toBe('close')
      listener.stop()
    })

    test('sockets: a handler that throws costs its own connection, and is reported', async () => {
      const server = new Ear({
        data: (_socket, bytes) => {
          if (bytes[0] === 0x21) throw new Error('thrown by a handler')
        },
      })
      const listener = await listen(server.handlers)
      const [bad, good] = [new Ear(), new Ear()]
      const badSocket = await connect(listener.port, bad)
      const goodSocket = await connect(listener.port, good)
      badSocket.write(text('!'))
      await bench.until(() => bad.closes.length === 1)
      expect(bench.faults.map(String)).toEqual(['Error: thrown by a handler'])
      server.chunks.length = 0
      goodSocket.write(text('fine'))
      await bench.until(() => server.text === 'fine')
      goodSocket.destroy()
      listener.stop()
    })

    test('sockets: nobody listens, or somebody else does already', async () => {
      const listener = await listen({ data: () => {} })
      expect(await codeOf(listen({ data: () => {} }, listener.port))).toBe('address-in-use')
      listener.stop()
      const client = new Ear()
      expect(await codeOf(connect(listener.port, client))).toBe('connect-failed')
      expect(client.events).toEqual([])
    })

    test('sockets: what connects in time is not bothered by its time limit', async () => {
      const server = new Ear()
      const listener = await listen(server.handlers)
      const client = new Ear()
      const socket = await settled(bench, bench.runtime.connect('127.0.0.1', listener.port, client.handlers, 100))
      await bench.pass(150)
      socket.write(text('still here'))
      await bench.until(() => server.text === 'still here')
      expect(client.events).toEqual(['open'])
      socket.destroy()
      listener.stop()
      const refused = bench.runtime.connect('127.0.0.1', listener.port, new Ear().handlers, 100)
      expect(await codeOf(settled(bench, refused))).toBe('connect-failed')
    })

    test('sockets: who does not answer in time is given up, and no handler hears of it, then or later', async () => {
      const silence = await bench.silence()
      const client = new Ear()
      const start = bench.runtime.clock.monotonic()
      const slow = bench.runtime.connect(silence.host, silence.port, client.handlers, 200)
      expect(await codeOf(settled(bench, slow))).toBe('connect-slow')
      expect(bench.runtime.clock.monotonic() - start).toBeWithin(199, 1_000)
      silence.answer()
      await bench.pass(1_500)
      expect(client.events).toEqual([])
      expect(bench.faults).toEqual([])
    })

    test('resolve: an address is its own, a name has at least one, and an unknown name none', async () => {
      const { runtime } = bench
      for (const address of ['127.0.0.1', '10.1.2.3', '2001:db8::1']) {
        expect(await settled(bench, runtime.resolve(address))).toHaveLength(1)
      }
      expect(await settled(bench, runtime.resolve('10.1.2.3'))).toEqual(['10.1.2.3'])
      const local = await settled(bench, runtime.resolve('localhost'))
      expect(local.length).toBeGreaterThan(0)
      for (const address of local) expect(isIP(address)).not.toBe(0)
      // RFC 6761, 6.4: there is no such name, ever.
      expect(await codeOf(settled(bench, runtime.resolve('no-such-name.invalid')))).toBe('name-unknown')
    })

    test('timers: run in order of their time, not before it; a cancelled one never runs', async () => {
      const { clock } = bench.runtime
      const ran: string[] = []
      const start = clock.monotonic()
      clock.after(40, () => ran.push(`late ${clock.monotonic() - start >= 39}`))
      const cancelled = clock.after(5, () => ran.push('cancelled'))
      clock.after(10, () => ran.push(`early ${clock.monotonic() - start >= 9}`))
      cancelled.cancel()
      await bench.until(() => ran.length === 2)
      expect(ran).toEqual(['early true', 'late true'])
      expect(clock.now()).toBeGreaterThan(Date.UTC(2026, 0, 1))
    })

    test('soon: runs later, in order, after what was promised already', async () => {
      const { clock } = bench.runtime
      const ran: string[] = []
      clock.soon(() => ran.push('first'))
      clock.soon(() => ran.push('second'))
      void Promise.resolve().then(() => ran.push('microtask'))
      expect(ran).toEqual([])
      await bench.until(() => ran.length === 3)
      expect(ran).toEqual(['microtask', 'first', 'second'])
    })

    test('files: created once with their mode, read back, absent is undefined', () => {
      const { files } = bench.runtime
      files.makeDirectory(join(bench.directory, 'a/b'))
      const path = join(bench.directory, 'a/b/key.pem')
      expect(files.readText(path)).toBeUndefined()
      files.createText(path, 'secret ä\n', 0o600)
      expect(files.readText(path)).toBe('secret ä\n')
      expect(files.mode(path)).toBe(0o600)
      expect(() => files.createText(path, 'other', 0o600)).toThrow('EEXIST')
      expect(files.readText(path)).toBe('secret ä\n')
      files.createText(join(bench.directory, 'open'), '', 0o666)
      expect(files.mode(join(bench.directory, 'open'))).toBe(0o666)
      expect(() => files.mode(join(bench.directory, 'none'))).toThrow('ENOENT')
    })

    test('files: what is appended stands at the end; the size is in bytes, and absent is undefined', () => {
      const { files } = bench.runtime
      files.makeDirectory(bench.directory)
      const path = join(bench.directory, 'node.bans')
      expect(files.size(path)).toBeUndefined()
      files.appendText(path, 'ä\n', 0o600)
      expect([files.size(path), files.mode(path)]).toEqual([3, 0o600])
      files.appendText(path, 'b\n', 0o644)
      expect([files.readText(path), files.size(path), files.mode(path)]).toEqual(['ä\nb\n', 5, 0o600])
      files.appendText(path, '', 0o600)
      expect(files.size(path)).toBe(5)
      const made = join(bench.directory, 'made')
      files.createText(made, 'first\n', 0o600)
      files.appendText(made, 'second\n', 0o600)
      expect([files.readText(made), files.size(made)]).toEqual(['first\nsecond\n', 13])
    })

    test('files: one holder at a time, until it lets go; the file is there as before', () => {
      const { files } = bench.runtime
      files.makeDirectory(bench.directory)
      const path = join(bench.directory, 'held')
      expect(() => files.hold(path)).toThrow('ENOENT')
      files.createText(path, 'a key', 0o600)
      const letGo = files.hold(path)
      expect(letGo).toBeFunction()
      expect([files.hold(path), files.hold(path)]).toEqual([undefined, undefined])
      expect([files.readText(path), files.mode(path)]).toEqual(['a key', 0o600])
      letGo!()
      const again = files.hold(path)
      expect(again).toBeFunction()
      letGo!()
      expect(files.hold(path)).toBeUndefined()
      again!()
    })

    test('random: as long as asked, and different each time', () => {
      const [a, b] = [bench.runtime.random(32), bench.runtime.random(32)]
      expect([a.length, b.length, bench.runtime.random(0).length]).toEqual([32, 32, 0])
      expect(Buffer.from(a).equals(b)).toBe(false)
    })

    test('verifyInBackground: a yes for a good signature, a no for another message', async () => {
      const key = keyPairOfPem(privatePemOf(new Uint8Array(32).fill(7)), 'a test')
      const signature = Buffer.from(key.sign('aurex/tx/1', 'text'), 'base64')
      const check = { publicKey: key.raw, message: text('aurex/tx/1\ntext'), signature }
      const answers: boolean[] = []
      void bench.runtime.verifyInBackground(check).then((answer) => answers.push(answer))
      expect(answers).toEqual([])
      await bench.until(() => answers.length === 1)
      void bench.runtime.verifyInBackground({ ...check, message: text('other') }).then((answer) => answers.push(answer))
      await bench.until(() => answers.length === 2)
      expect(answers).toEqual([true, false])
    })

    test('verifyByRuleInBackground: the golden verdicts, in the order of the questions', async () => {
      const folder = join(import.meta.dir, '..')
      const cases = readJson(join(folder, 'vectors/ed25519-speccheck/cases.json')) as Record<string, string>[]
      const { verdicts } = readJson(join(folder, 'golden/ed25519.json')) as { verdicts: { zip215: boolean }[] }
      const answers: (readonly [number, boolean])[] = []
      for (const [number, { pub_key, message, signature }] of cases.entries()) {
        const check = { publicKey: hex(pub_key!), message: hex(message!), signature: hex(signature!) }
        void bench.runtime.verifyByRuleInBackground(check).then((answer) => answers.push([number, answer]))
      }
      expect(answers).toEqual([])
      await bench.until(() => answers.length === cases.length)
      expect(answers).toEqual(verdicts.map(({ zip215 }, number) => [number, zip215]))
    })
  })
}

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'))
const hex = (digits: string): Uint8Array => new Uint8Array(Buffer.from(digits, 'hex'))
const text = (value: string): Uint8Array => new TextEncoder().encode(value)

/** In a simulated world nothing comes to an end by being awaited alone. */
async function settled<T>(bench: RuntimeBench, promise: Promise<T>): Promise<T> {
  let done = false
  const end = () => void (done = true)
  promise.then(end, end)
  await bench.until(() => done)
  return promise
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error: { code?: string }) => error.code,
  )

/** Handlers that remember what they heard. */
class Ear {
  readonly events: string[] = []
  readonly chunks: Uint8Array[] = []
  readonly closes: (Error | undefined)[] = []
  readonly more: Partial<SocketHandlers>
  socket: Socket | undefined

  constructor(more: Partial<SocketHandlers> = {}) {
    this.more = more
  }

  readonly handlers: SocketHandlers = {
    open: (socket) => {
      this.socket = socket
      this.events.push('open')
      this.more.open?.(socket)
    },
    data: (socket, bytes) => {
      this.events.push('data')
      this.chunks.push(bytes)
      this.more.data?.(socket, bytes)
    },
    drain: (socket) => this.more.drain?.(socket),
    end: (socket) => {
      this.events.push('end')
      this.more.end?.(socket)
    },
    close: (_socket, error) => {
      this.events.push('close')
      this.closes.push(error)
    },
  }

  get opens(): number {
    return this.events.filter((event) => event === 'open').length
  }

  get ends(): number {
    return this.events.filter((event) => event === 'end').length
  }

  get bytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }
}
