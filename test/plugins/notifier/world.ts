// The notifier on a real ledger, without a network: blocks are made here, and programs of the tests are told of them.
import { expect } from 'bun:test'
import * as v from 'valibot'
import type { Block } from '../../../core/chain/block.ts'
import type { JsonObject } from '../../../core/chain/json.ts'
import { bunRuntime } from '../../../core/bun.ts'
import type { Contributed } from '../../../core/contributions.ts'
import type { Chain, KeyPair, Runtime, Socket, Storage } from '../../../core/index.ts'
import notifier from '../../../plugins/notifier/index.ts'
import { blockOn, chainWorld, type BlockOptions, type ChainWorld } from '../../support/chainworld.ts'
import { makeContext } from '../../support/context.ts'

export interface Line {
  readonly level: 'info' | 'warn'
  readonly message: string
  readonly fields: Record<string, unknown> | undefined
}

export interface Notifying {
  readonly lines: readonly Line[]
  readonly contributed: Contributed
  /** The facts that wake it. */
  readonly wakers: readonly string[]
  /** As they do. */
  look(): void
  stop(): Promise<void>
}

export interface Parts {
  readonly storage: Storage
  readonly chain?: Chain
  readonly runtime?: Runtime
  readonly identity?: KeyPair
}

/** Quick enough for tests. */
const haste = { retry_first: 0.02, retry_max: 0.1, answer_timeout: 2, connect_timeout: 2 }

export async function notify(world: ChainWorld | Parts, config: object): Promise<Notifying> {
  const lines: Line[] = []
  const log = (level: Line['level']) => (message: string, fields?: Record<string, unknown>) =>
    void lines.push({ level, message, fields })
  const heard: (() => void)[] = []
  const wakers: string[] = []
  const ear = (event: string, hear: (fact: never) => void | Promise<void>): void => {
    wakers.push(event)
    heard.push(() => void hear(undefined as never))
  }
  const { storage, chain } = world
  const { context, contributed, release } = makeContext<'storage', 'chain'>({
    use: chain === undefined ? { storage } : { storage, chain },
    genesis: chain?.genesis,
    log: { debug: () => {}, info: log('info'), warn: log('warn'), error: log('warn') },
    on: ear,
    onPlugin: ear,
    ...('runtime' in world && world.runtime !== undefined ? { runtime: world.runtime } : {}),
    ...('identity' in world && world.identity !== undefined ? { identity: world.identity } : {}),
  })
  await notifier.setup(context, v.parse(notifier.config, { ...haste, ...config }), {})
  return { lines, contributed, wakers, look: () => heard.forEach((hear) => hear()), stop: release }
}

export async function extend(world: ChainWorld, options: BlockOptions = {}): Promise<Block> {
  return await record(world, blockOn(world.chain.block(world.chain.head().header.current_hash)!, options))
}

export async function record(world: ChainWorld, block: Block): Promise<Block> {
  expect(await world.chain.submitBlock(block)).toEqual({ ok: true })
  return block
}

/** A chain with so many blocks. */
export async function worldOf(blocks: number): Promise<ChainWorld> {
  const world = await chainWorld()
  for (let i = 0; i < blocks; i++) await extend(world)
  return world
}

// ---- who is told ----

export interface Listener {
  readonly port: number
  /** What was read, parsed. */
  readonly heard: JsonObject[]
  /** What was read, as it came. */
  readonly raw: string[]
  stop(): void
}

/** Reads to the end of each connection, then closes it. `take` false: everything is reset instead. */
export async function lineListener(port = 0, take: () => boolean = () => true): Promise<Listener> {
  const heard: JsonObject[] = []
  const raw: string[] = []
  const texts = new WeakMap<Socket, string>()
  const listener = await bunRuntime().listen('127.0.0.1', port, {
    data(socket, bytes) {
      texts.set(socket, (texts.get(socket) ?? '') + Buffer.from(bytes).toString())
    },
    end(socket) {
      if (!take()) return reset(socket)
      const text = texts.get(socket) ?? ''
      raw.push(text)
      heard.push(JSON.parse(text) as JsonObject)
      socket.end()
    },
    open: (socket) => void (take() || reset(socket)),
  })
  return { port: listener.port, heard, raw, stop: () => listener.stop() }
}

/** Closing with bytes unread sends a reset. */
const reset = (socket: Socket): void => socket.destroy()

/** `confirmed 3`, `final 3`, `orphaned 3`: what a message says, in short. */
export const inShort = ({ type, block_index, final }: JsonObject): string =>
  `${type === 'block_orphaned' ? 'orphaned' : final === true ? 'final' : 'confirmed'} ${Number(block_index)}`
export const shorts = ({ heard }: Listener): string[] => heard.map(inShort)

/** A port on which nobody listens, for now. */
export async function freePort(): Promise<number> {
  const listener = await bunRuntime().listen('127.0.0.1', 0, { data: () => {} })
  listener.stop()
  return listener.port
}

export function metric({ contributed }: Notifying, name: string, target: string): number | undefined {
  const values = contributed
    .all('metric')
    .find((one) => one.name === name)
    ?.read()
  return Array.isArray(values) ? values.find(({ labels }) => labels.target === target)?.value : undefined
}

/** What a test of a notifier opens, each released after the test, last first. */
export function released(afterEach: (run: () => Promise<void>) => void) {
  const releases: (() => unknown)[] = []
  afterEach(async () => {
    for (const release of releases.splice(0).toReversed()) await release()
  })
  return {
    releasing: (release: () => unknown) => void releases.push(release),
    opened: async (blocks: number): Promise<ChainWorld> => {
      const world = await worldOf(blocks)
      releases.push(() => world.dispose())
      return world
    },
    listening: async (port?: number, take?: () => boolean): Promise<Listener> => {
      const listener = await lineListener(port, take)
      releases.push(() => listener.stop())
      return listener
    },
    notifying: async (...args: Parameters<typeof notify>): Promise<Notifying> => {
      const running = await notify(...args)
      releases.push(() => running.stop())
      return running
    },
  }
}
