import { LRUCache } from 'lru-cache'
import * as v from 'valibot'
import { AurexError, type Hash, type RecordChange, type Records, type Report, type Storage } from '../../core/index.ts'

/** What nodes said of blocks further below the newest that they spoke of is forgotten. */
export const heightsKept = 100_000
/** Blocks of one height of which one node may speak. */
export const blocksOfHeightMax = 16
/** Records that are taken away for each that comes. */
const sweptMax = 8
/** Without storage. */
const rememberedBlocksMax = 10_000

const recordSchema = v.object({
  index: v.number(),
  /** What was forwarded last. */
  told: v.optional(v.picklist(['confirmed', 'orphaned'])),
  /** How often something was, but for the last that can be told of it: that it is final. */
  times: v.number(),
  /** It was told as final. */
  final: v.optional(v.literal(true)),
  /** The last that each node said: `[sequence, orphaned]`. Without a sequence it is 0. */
  nodes: v.record(v.string(), v.tuple([v.number(), v.boolean()])),
  /** Said again of a block that was told as orphaned, and not forwarded yet: a confirmation, as JSON. */
  again: v.optional(v.string()),
})

/** What is known of one block. */
export type BlockRecord = v.InferOutput<typeof recordSchema>
export type Word = BlockRecord['nodes'][string]
export type Block = readonly [hash: Hash, record: BlockRecord]

type HeardStorage = Pick<Storage, 'report' | 'records'>

/** What nodes said of blocks, as it is kept: by block, and by node and height. */
export class Heard {
  readonly #storage: HeardStorage | undefined
  readonly #memory = new LRUCache<Hash, BlockRecord>({ max: rememberedBlocksMax })

  /** Without storage it is a bounded memory. */
  constructor(storage: HeardStorage | undefined) {
    this.#storage = storage
  }

  block(hash: Hash): BlockRecord | undefined {
    if (this.#storage === undefined) return this.#memory.get(hash)
    const key = blockKey(hash)
    const text = this.#records.get(key)
    if (text === undefined) return undefined
    const shaped = v.safeParse(recordSchema, JSON.parse(text))
    if (shaped.success) return shaped.output
    throw new AurexError('ledger-damaged', `record ${key} of the gateway: ${shaped.issues[0].message}`)
  }

  /** Blocks of one height that a node says it has. More than one only where it is no node of ours, or the word of several. */
  heldAt(node: string, index: number): Block[] {
    return this.#spokenOf(node, index).filter(([, { nodes }]) => nodes[node]?.[1] === false)
  }

  /** Below it a node is not listened to. Each has its own: one that speaks of a block at 2^53 takes the word from nobody but itself. */
  floorOf(node: string): number {
    return Math.max(0, this.#newestOf(node) - heightsKept)
  }

  /** Whether a node spoke of as many blocks of this height as it may. */
  isFull(node: string, index: number): boolean {
    if (this.#storage === undefined) return false
    return this.#records.list(heightPrefix(node, index), undefined, blocksOfHeightMax).length >= blocksOfHeightMax
  }

  /** Writes blocks of which this node spoke, the first of them now, and what is to be forwarded: all of it or nothing. */
  write(node: string, blocks: readonly [Block, ...Block[]], reports: readonly Report[]): void {
    if (this.#storage === undefined) {
      for (const [hash, record] of blocks) this.#memory.set(hash, record)
      return
    }
    const [[hash, { index }]] = blocks
    this.#storage.report(reports, 'gateway', [
      // What is forgotten first: it may be one of these blocks.
      ...this.#newest(node, index),
      ...blocks.map(([hash, record]): RecordChange => [blockKey(hash), JSON.stringify(record)]),
      [heightPrefix(node, index) + hash, ''],
    ])
  }

  get #records(): Records {
    return this.#storage!.records('gateway')
  }

  #spokenOf(node: string, index: number): Block[] {
    if (this.#storage === undefined) {
      return [...this.#memory.entries()].filter(([, record]) => record.index === index)
    }
    const listed = this.#records.list(heightPrefix(node, index), undefined, blocksOfHeightMax)
    return listed.flatMap(([key]) => {
      const hash = key.slice(-hashCharacters)
      const record = this.block(hash)
      return record === undefined ? [] : [[hash, record] as const]
    })
  }

  // ---- how far back a node may speak ----

  #newestOf(node: string): number {
    return this.#storage === undefined ? 0 : Number(this.#records.get(newestKey(node)) ?? 0)
  }

  /** What changes when a node speaks of a height: its floor, and what lies below. */
  #newest(node: string, index: number): RecordChange[] {
    if (index <= this.#newestOf(node)) return []
    return [[newestKey(node), String(index)], ...this.#swept(node, index - heightsKept)]
  }

  #swept(node: string, floor: number): RecordChange[] {
    if (floor <= 0) return []
    const old = this.#records
      .list(`height/${node}/`, undefined, sweptMax)
      .map(([key]) => key)
      .filter((key) => key < heightPrefix(node, floor))
    return old.flatMap((key) => [[key, undefined] as const, ...this.#without(node, key.slice(-hashCharacters))])
  }

  #without(node: string, hash: Hash): RecordChange[] {
    const record = this.block(hash)
    if (record === undefined) return []
    const { [node]: _gone, ...nodes } = record.nodes
    const left = Object.keys(nodes).length > 0
    return [[blockKey(hash), left ? JSON.stringify({ ...record, nodes }) : undefined]]
  }
}

const hashCharacters = 64
const blockKey = (hash: Hash): string => `block/${hash}`
const newestKey = (node: string): string => `newest/${node}`
/** Safe integers have up to 16 digits: in the order of keys they are in their own. */
const heightPrefix = (node: string, index: number): string => `height/${node}/${String(index).padStart(16, '0')}/`
