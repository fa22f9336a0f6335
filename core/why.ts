import * as v from 'valibot'
import type { JsonObject } from './chain/json.ts'
import { formatTimestamp } from './chain/timestamp.ts'
import type { Contributed } from './contributions.ts'
import { messageOf } from './errors.ts'
import { hostPortText, type HostPort } from './network/hostport.ts'
import { plain } from './network/messages.ts'
import type { Due, Waiting } from './plugin.ts'

/** A part of the node, and what it waits for. */
export interface WhyEntry extends Waiting {
  /** `pow`, `signing`, `notifier:backlog`. */
  readonly who: string
}

/** What is asked. Each answer is undefined where that part waits for nothing, and the question where there is no such part. */
export interface WhyParts {
  /** Milliseconds, wall clock. */
  readonly now: number
  /** When this node makes its next block, or what it waits for. `engine`: the name of its rules. */
  readonly producer?: { readonly engine: string; readonly due: () => Due | undefined } | undefined
  readonly signing?: (() => Waiting | undefined) | undefined
  readonly finality?: (() => Waiting | undefined) | undefined
  /** Why the ledger cannot be written, and since when. */
  readonly storage?: (() => { readonly why: string; readonly since: number } | undefined) | undefined
  /** While blocks are fetched that others have: how far this node is, and they are. */
  readonly sync?: (() => { readonly height: number; readonly target: number | undefined } | undefined) | undefined
  readonly peers?: (() => { readonly connected: number; readonly named: readonly HostPort[] }) | undefined
  readonly contributed: Pick<Contributed, 'all'>
}

const entriesMax = 100
const namesShownMax = 3

/** Everything that the parts of a node wait for, and what somebody could do about it: first what keeps the others waiting. */
export function whyOf(parts: WhyParts): readonly WhyEntry[] {
  const { now, producer, signing, finality, storage, sync, peers, contributed } = parts
  const asked: readonly (readonly [who: string, ask: (() => unknown) | undefined])[] = [
    ['storage', storage && (() => storageWaits(storage()))],
    ['network', peers && (() => peersWait(peers()))],
    ['sync', sync && (() => syncWaits(sync()))],
    ['signing', signing],
    [producer?.engine ?? '', producer && (() => dueWaits(producer.due(), now))],
    ['finality', finality],
    ...contributed.all('wait').map((wait) => [wait.name, () => wait.read()] as const),
  ]
  const entries = asked.flatMap(([who, ask]) => (ask === undefined ? [] : entriesOf(plain(who), ask)))
  return entries.filter((entry) => entry.who !== producer?.engine || !isTold(entry, entries)).slice(0, entriesMax)
}

/** As the node answers `why_request`. */
export const whyMessage = (entries: readonly WhyEntry[]): JsonObject => ({
  type: 'why',
  waits: entries.map(({ who, waitsFor, since, help }) => ({
    who,
    waits_for: waitsFor,
    ...(since === undefined ? {} : { since: formatTimestamp(since) }),
    ...(help === undefined ? {} : { help }),
  })),
})

/** Whether another part says the same for itself: a producer that waits for signing says what that waits for. */
const isTold = (entry: WhyEntry, entries: readonly WhyEntry[]): boolean =>
  entries.some((other) => other !== entry && other.waitsFor === entry.waitsFor)

// A plugin may be written without types, so what it says is read like anything else from outside.

const text = v.pipe(v.string(), v.transform(plain))
/** Up to the year 9999: no date has more than four digits for it. */
const time = v.fallback(v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(253_402_300_799_999))), undefined)
const waiting = v.object({ waitsFor: text, since: time, help: v.optional(text) })

/** None or one. Whoever cannot say what it waits for is named, and keeps nobody else from being shown. */
function entriesOf(who: string, ask: () => unknown): readonly WhyEntry[] {
  try {
    const said = ask()
    if (said === undefined) return []
    const { waitsFor, since, help } = v.parse(waiting, said)
    return [{ who, waitsFor, ...(since === undefined ? {} : { since }), ...(help === undefined ? {} : { help }) }]
  } catch (error) {
    return [{ who, waitsFor: plain(`something that it cannot say: ${messageOf(error)}`) }]
  }
}

function dueWaits(due: Due | undefined, now: number): Waiting | undefined {
  if (due === undefined || !('when' in due)) return due
  return due.when <= now ? undefined : { waitsFor: `the time of its next block, in ${secondsText(due.when - now)}` }
}

const storageWaits = (failure: { readonly why: string; readonly since: number } | undefined): Waiting | undefined =>
  failure && {
    waitsFor: `a ledger that can be written: ${failure.why}`,
    since: failure.since,
    help: 'make room on the disk, or give the node write access; it goes on by itself with the next request',
  }

function syncWaits(sync: { readonly height: number; readonly target: number | undefined } | undefined) {
  if (sync === undefined) return undefined
  const upTo = sync.target === undefined ? '' : ` up to height ${sync.target}`
  return { waitsFor: `the blocks${upTo} that its peers have; it is at height ${sync.height}` }
}

function peersWait({ connected, named }: { readonly connected: number; readonly named: readonly HostPort[] }) {
  if (connected > 0 || named.length === 0) return undefined
  const shown = named.slice(0, namesShownMax).map(hostPortText).join(', ')
  const more = named.length > namesShownMax ? ` and ${named.length - namesShownMax} more` : ''
  return {
    waitsFor: `a peer: it is connected with none of those that --peers names (${shown}${more})`,
    help: 'see that they run, that this machine reaches them, and what the log says of them',
  }
}

const secondsText = (milliseconds: number): string =>
  milliseconds < 10_000
    ? `${(Math.ceil(milliseconds / 100) / 10).toFixed(1)} s`
    : `${Math.ceil(milliseconds / 1_000)} s`
