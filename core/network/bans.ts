import { join } from 'node:path'
import * as v from 'valibot'
import { isObject, parseJsonText } from '../chain/json.ts'
import { isAddress, isNodeId, nodeIdOf, publicKeyOf, type NodeId } from '../chain/keys.ts'
import { formatTimestamp, parseTimestamp } from '../chain/timestamp.ts'
import { accepted, decline, found, messageOf, refuse, type Result, type Verdict } from '../errors.ts'
import type { Log } from '../log.ts'
import type { NodeFacts } from '../plugin.ts'
import type { Runtime } from '../runtime.ts'
import { canonicalIp, isLoopback } from './addresses/ip.ts'
import { echo } from './messages.ts'

export interface Ban {
  /** A node id, or an IP address in its canonical form. */
  readonly target: string
  readonly reason: string
  /** Milliseconds, wall clock; undefined: until it is freed. */
  readonly until: number | undefined
  /** Milliseconds, wall clock. */
  readonly at: number
}

export interface BansParts {
  readonly runtime: Pick<Runtime, 'clock' | 'files'>
  readonly log: Log
  readonly path: string
  /** Of bans that hold; beyond it the one that ends first makes room. */
  readonly bansMax: number
  /** Of the file; beyond it nothing is added. */
  readonly fileBytesMax: number
}

/** Several nodes may share a data directory, each under its port: so do their bans. */
export const bansPath = ({ dataDir, port }: Pick<NodeFacts, 'dataDir' | 'port'>): string =>
  join(dataDir, `node_${port}.bans`)

const reasonCharactersMax = 200
const damagedLinesNamedMax = 10
/** ISO 8601 has four digits for the year. */
const lastTimestamp = Date.UTC(9999, 11, 31)

/**
 * Who is kept out. Kept in a file of JSON lines to which this node and the operator's commands add, each line with one
 * write: `{"ban", "reason", "until", "at"}` or `{"free"}`. The last line about a target counts.
 */
export class Bans {
  readonly #parts: BansParts
  /** By target. */
  #bans = new Map<string, Ban>()
  /** What the file could not take; undefined: was freed. */
  readonly #unwritten = new Map<string, Ban | undefined>()
  #sizeRead: number | undefined
  #linesRead = 0
  /** The file does not end with a line's end: somebody was cut off while writing. */
  #torn = false
  #unreadable = false

  constructor(parts: BansParts) {
    this.#parts = parts
    this.refresh()
  }

  /** The ban that keeps a node or its address out. Loopback is never banned: a whole development network lives there. */
  find(nodeId: NodeId | undefined, host: string): Ban | undefined {
    const ip = canonicalIp(host)
    const byId = nodeId === undefined ? undefined : this.#holding(nodeId)
    return byId ?? (ip === undefined || isLoopback(ip) ? undefined : this.#holding(ip))
  }

  /** Those that hold, oldest first. */
  list(): readonly Ban[] {
    this.#forgetEnded()
    return [...this.#bans.values()].toSorted((one, other) => one.at - other.at)
  }

  /**
   * Holds at once, and after a restart when it is accepted. Declines `bad-target` (see `readTarget`), and
   * `bans-not-written`: it then holds as long as this node runs.
   */
  ban(target: string, reason: string, until?: number): Verdict {
    const read = readTarget(target)
    if (!read.ok) return decline(read.code, read.detail)
    const short = reason.toWellFormed().slice(0, reasonCharactersMax)
    const ends = until === undefined || until > lastTimestamp ? undefined : until
    const ban: Ban = { target: read.value, reason: short, until: ends, at: this.#parts.runtime.clock.now() }
    return this.#change(ban.target, ban)
  }

  /** As `ban`. Accepted too when there was no such ban. */
  free(target: string): Verdict {
    const read = readTarget(target)
    if (!read.ok) return decline(read.code, read.detail)
    this.refresh()
    return this.#holding(read.value) === undefined ? accepted : this.#change(read.value, undefined)
  }

  /** Reads what other processes added since, if anything; returns the bans that are new by it. */
  refresh(): readonly Ban[] {
    const { files } = this.#parts.runtime
    try {
      const size = files.size(this.#parts.path)
      if (size === this.#sizeRead) return []
      const text = files.readText(this.#parts.path) ?? ''
      // The size from before: what somebody added in between is read the next time.
      this.#sizeRead = size
      this.#unreadable = false
      return this.#replay(text)
    } catch (error) {
      if (!this.#unreadable) {
        this.#parts.log.error('the file of bans cannot be read; the bans read before go on to hold', {
          path: this.#parts.path,
          error,
        })
      }
      this.#unreadable = true
      return []
    }
  }

  #holding(target: string): Ban | undefined {
    const ban = this.#bans.get(target)
    return ban !== undefined && this.#holds(ban) ? ban : undefined
  }

  #holds({ until }: Ban): boolean {
    return until === undefined || until > this.#parts.runtime.clock.now()
  }

  #change(target: string, ban: Ban | undefined): Verdict {
    this.refresh()
    const written = this.#write(ban === undefined ? { free: target } : lineOf(ban))
    this.#apply(target, ban)
    if (written.ok) this.#unwritten.delete(target)
    else if (this.#unwritten.size < this.#parts.bansMax) this.#unwritten.set(target, ban)
    return written
  }

  #write(line: object): Verdict {
    const { path, fileBytesMax, log, runtime } = this.#parts
    // After a line that was cut off: otherwise this one would be damaged with it.
    const text = `${this.#torn ? '\n' : ''}${JSON.stringify(line)}\n`
    const size = (this.#sizeRead ?? 0) + Buffer.byteLength(text)
    if (size > fileBytesMax) {
      return decline('bans-not-written', `${path} is full; stop the node and delete the lines that have ended`)
    }
    try {
      runtime.files.appendText(path, text, 0o600)
    } catch (error) {
      log.error('a ban could not be written; it holds until the node stops', { path, error })
      return decline('bans-not-written', `${path}: ${messageOf(error)}`)
    }
    this.#torn = false
    this.#linesRead++
    // Where another process wrote at the same time the file is larger than this, and is read again.
    this.#sizeRead = size
    return accepted
  }

  #replay(text: string): readonly Ban[] {
    const before = this.#bans
    this.#bans = new Map()
    this.#torn = text !== '' && !text.endsWith('\n')
    const lines = text.split('\n')
    const damaged: number[] = []
    for (const [at, line] of lines.entries()) {
      if (line === '') continue
      const read = readLine(line)
      if (read === undefined) damaged.push(at + 1)
      else this.#apply(read.target, read.ban)
    }
    for (const [target, ban] of this.#unwritten) this.#apply(target, ban)
    this.#nameDamaged(lines, damaged)
    this.#linesRead = this.#torn ? lines.length : lines.length - 1
    return [...this.#bans.values()].filter((ban) => this.#holds(ban) && !before.has(ban.target))
  }

  #nameDamaged(lines: readonly string[], damaged: readonly number[]): void {
    const news = damaged.filter((line) => line > this.#linesRead)
    for (const line of news.slice(0, damagedLinesNamedMax)) {
      const text = echo(lines[line - 1]!)
      this.#parts.log.warn('a line of the file of bans is damaged and skipped', { path: this.#parts.path, line, text })
    }
    if (news.length <= damagedLinesNamedMax) return
    const more = news.length - damagedLinesNamedMax
    this.#parts.log.warn('more lines of the file of bans are damaged and skipped', { path: this.#parts.path, more })
  }

  #apply(target: string, ban: Ban | undefined): void {
    this.#bans.delete(target)
    if (ban === undefined || !this.#holds(ban)) return
    this.#bans.set(target, ban)
    if (this.#bans.size > this.#parts.bansMax) this.#makeRoom()
  }

  #makeRoom(): void {
    this.#forgetEnded()
    if (this.#bans.size <= this.#parts.bansMax) return
    let first: Ban | undefined
    for (const ban of this.#bans.values()) if (first === undefined || endOf(ban) < endOf(first)) first = ban
    this.#bans.delete(first!.target)
  }

  #forgetEnded(): void {
    for (const [target, ban] of this.#bans) if (!this.#holds(ban)) this.#bans.delete(target)
  }
}

const endOf = ({ until }: Ban): number => until ?? Number.POSITIVE_INFINITY

const targetForms = 'expected a node id, an address (64 hex digits) or an IP address'

/**
 * Whom a text names, in the form in which bans are kept: an address becomes its node id. Refuses `bad-target`: neither
 * of them, or loopback.
 */
export function readTarget(text: string): Result<string> {
  const lower = text.toLowerCase()
  if (isNodeId(lower)) return found(lower)
  if (isAddress(lower)) {
    const key = publicKeyOf(lower)
    return key.ok ? found(nodeIdOf(key.value)) : refuse('bad-target', `${echo(text)}: ${key.detail}`)
  }
  const ip = canonicalIp(text)
  if (ip === undefined) return refuse('bad-target', `${targetForms}, got ${echo(text)}${adviceFor(text)}`)
  if (!isLoopback(ip)) return found(ip)
  return refuse('bad-target', `${ip} is loopback, where all nodes of one machine are; name the node by its id`)
}

function adviceFor(text: string): string {
  const [, host] = /^\[?([0-9a-fA-F:.]+?)\]?:\d{1,5}$/.exec(text) ?? []
  const ip = host === undefined ? undefined : canonicalIp(host)
  return ip === undefined ? '' : `; without the port: ${ip}`
}

const time = v.custom<string>((value) => parseTimestamp(value) !== undefined)
const lineSchema = v.union([
  v.object({ ban: v.string(), reason: v.string(), until: v.optional(time), at: time }),
  v.object({ free: v.string() }),
])

const lineOf = ({ target, reason, until, at }: Ban): object => ({
  ban: target,
  reason,
  ...(until === undefined ? {} : { until: formatTimestamp(until) }),
  at: formatTimestamp(at),
})

/** undefined where a line is damaged. */
function readLine(text: string): { readonly target: string; readonly ban: Ban | undefined } | undefined {
  const json = parseJsonText(text)
  const line = v.safeParse(lineSchema, json.ok && isObject(json.value) ? json.value : undefined)
  if (!line.success) return undefined
  const target = readTarget('ban' in line.output ? line.output.ban : line.output.free)
  if (!target.ok) return undefined
  if ('free' in line.output) return { target: target.value, ban: undefined }
  const { reason, until, at } = line.output
  const ban = { target: target.value, reason, until: parseTimestamp(until), at: parseTimestamp(at)! }
  return { target: target.value, ban }
}
