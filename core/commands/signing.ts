import { join, resolve } from 'node:path'
import { formatTimestamp } from '../chain/timestamp.ts'
import { exitCode } from '../errors.ts'
import { resolvePlugin } from '../load.ts'
import type { Storage } from '../plugin.ts'
import { placeText } from '../signing/place.ts'
import { orDamaged, signingOwner, SigningRecord, type Last, type Stop } from '../signing/record.ts'
import type { Command, Io } from './command.ts'
import { dataDirOf } from './datadir.ts'
import { readFlags, usageError, type Flags } from './flags.ts'
import { table } from './nodestatus.ts'
import { entryOf, setUp } from './verify.ts'
import { nodePortDefault } from './whom.ts'

const help = `Shows what a node's key has signed, and lets a stopped node sign again.

  aurex signing                         of the node with the default port
  aurex signing --port 13246 --resume   sign again; its node is stopped
  aurex signing lab.sqlite3 --json

Usage: aurex signing [<file>] [flags]

  <file>             the ledger, where the record is; if not given, it is
                     node_{port}.sqlite3 in the data directory
  --port <n>         of the node (13245)
  --data-dir <dir>   of the node ($XDG_DATA_HOME/aurex)
  --resume           sign again, above the highest height that is known here
  --from <height>    with --resume: above that only from this height on
  --json             one JSON object: {ledger, height, floor, stopped, tracks}

A node signs nothing twice, and writes down what it signs before anybody sees
it. If it meets a signature of its own key that it did not write down, it stops
signing: its ledger is an old copy, or another process has the key. Then: make
sure that no other process has the key, let the node run until it has caught up,
stop it, and resume. Up to the height that is told then, it signs nothing ever.
Looking is possible while the node runs; what it waits for now, aurex why tells.
Exit code 0: it signs; 1: it is stopped; 64: --from is too low; 75: a node has
the ledger and must be stopped first; 78: there is no ledger.
`

const flags = {
  port: { type: 'integer', min: 1, max: 65_535 },
  'data-dir': { type: 'string' },
  resume: { type: 'boolean' },
  from: { type: 'integer', min: 1 },
  json: { type: 'boolean' },
} as const

type Values = Flags<typeof flags>['values']

export const command: Command = {
  name: 'signing',
  summary: "show what a node's key signed; let a stopped one sign again",
  help,
  async run(argv, io) {
    const {
      help: asked,
      values,
      positionals: [file],
    } = readFlags(argv, { command: 'aurex signing', flags, positionals: ['file'] })
    if (asked) {
      io.out(help)
      return exitCode.ok
    }
    const path = pathOf(file, values, io)
    if (values.from !== undefined && !values.resume) throw usageError('bad-value', '--from belongs to: --resume')
    // Whoever opens a ledger to write makes one where there is none.
    const before = await withLedger(path, true, io, reportOf)
    if (!values.resume) return print(before, values, io)
    if (!isStopped(before)) return print(before, values, io, 'nothing to resume: signing is not stopped')
    const after = await withLedger(path, false, io, (storage) => resume(storage, values.from))
    return print(after, values, io, `signing goes on: nothing up to height ${after.floor} is signed, whoever asks`)
  },
}

interface Report {
  readonly ledger: string
  /** Of the recorded chain; 0 where there is none. */
  readonly height: number
  readonly floor: number | 'damaged'
  readonly stopped: Stop | 'damaged' | undefined
  /** undefined: damaged. */
  readonly tracks: readonly (readonly [track: string, last: Last | undefined])[]
}

function pathOf(file: string | undefined, values: Values, io: Io): string {
  const { port = nodePortDefault, 'data-dir': dataDir } = values
  if (file === undefined) return join(dataDirOf(dataDir, io), `node_${port}.sqlite3`)
  if (dataDir === undefined && values.port === undefined) return resolve(io.cwd, file)
  throw usageError('bad-value', 'aurex signing: name the ledger by its file, or by --data-dir and --port, not both')
}

async function withLedger<T>(path: string, readonly: boolean, io: Io, use: (storage: Storage) => T): Promise<T> {
  const sqlite = await resolvePlugin('sqlite', io.cwd)
  const up = await setUp([entryOf(sqlite, { path, readonly })], undefined, io)
  try {
    return use(up.slots.storage!)
  } finally {
    await up.dispose()
  }
}

function reportOf(storage: Storage): Report {
  const record = new SigningRecord(storage.records(signingOwner))
  return {
    ledger: storage.location,
    height: storage.genesis() === undefined ? 0 : storage.head().header.index,
    floor: orDamaged(() => record.floor()) ?? 'damaged',
    stopped: readStop(record),
    tracks: record.tracks(),
  }
}

function readStop(record: SigningRecord): Report['stopped'] {
  const read = orDamaged(() => ({ stopped: record.stopped() }))
  return read === undefined ? 'damaged' : read.stopped
}

const isStopped = ({ stopped, floor, tracks }: Report): boolean =>
  stopped !== undefined || floor === 'damaged' || tracks.some(([, last]) => last === undefined)

/** The operator says that nobody else has the key. What it may have signed lies within what is known here. */
function resume(storage: Storage, from: number | undefined): Report {
  const before = reportOf(storage)
  const least = highestKnown(before)
  const floor = from === undefined ? least : from - 1
  if (floor < least) {
    throw usageError(
      'bad-value',
      `--from: the key may have signed up to height ${least}; expected ${least + 1} or more`,
    )
  }
  new SigningRecord(storage.records(signingOwner)).resume(floor)
  return reportOf(storage)
}

function highestKnown({ height, floor, stopped, tracks }: Report): number {
  const met = typeof stopped === 'object' ? (stopped.height ?? 0) : 0
  const signed = tracks.map(([, last]) => last?.place[0] ?? 0)
  return Math.max(height, met, ...signed, floor === 'damaged' ? 0 : floor)
}

function print(report: Report, values: Values, io: Io, what?: string): number {
  io.out(
    values.json ? `${JSON.stringify(jsonOf(report))}\n` : `${what === undefined ? '' : `${what}\n\n`}${textOf(report)}`,
  )
  return isStopped(report) ? exitCode.failure : exitCode.ok
}

const jsonOf = ({ ledger, height, floor, stopped, tracks }: Report) => ({
  ledger,
  height,
  floor,
  stopped: typeof stopped === 'object' ? { waits_for: stopped.waitsFor, since: sinceText(stopped) } : (stopped ?? null),
  tracks: tracks.map(([track, last]) => (last === undefined ? { track, damaged: true } : { track, ...last })),
})

const textOf = (report: Report): string =>
  table([
    ['ledger', report.ledger],
    ['height', report.height],
    ['signing', stoppedText(report)],
    ['floor', floorText(report)],
    ...report.tracks.map(([track, last]) => [track, lastText(last)] as const),
  ])

function stoppedText(report: Report): string {
  const { stopped } = report
  if (!isStopped(report)) return 'it signs'
  if (typeof stopped === 'object') return `stopped since ${sinceText(stopped)}; it waits for ${stopped.waitsFor}`
  return 'stopped: the record is damaged; it waits for the operator'
}

function floorText({ floor }: Report): string {
  if (floor === 'damaged') return floor
  return floor === 0 ? 'none' : `nothing up to height ${floor} is signed`
}

const lastText = (last: Last | undefined): string =>
  last === undefined ? 'damaged' : `${placeText(last.place)}  ${last.text.slice(0, textCharactersMax)}`

const textCharactersMax = 80

const sinceText = ({ since }: Stop): string => formatTimestamp(since)
