import { parseTimestamp } from '../chain/timestamp.ts'
import { decline } from '../errors.ts'
import type { JsonObject } from '../chain/json.ts'
import type { Timer } from '../runtime.ts'
import { ClockWatch } from './clockwatch.ts'
import type { ModuleParts, NetworkModule } from './module.ts'
import type { Peer } from './peer.ts'

const pingMilliseconds = 20_000

/** Asks every peer whether it is there, how long its answer takes, how high its chain is and what its clock says. */
export function keepalive(parts: ModuleParts): NetworkModule {
  const rounds = new Rounds(parts)
  return {
    messages: {},
    joined: (peer) => rounds.begin(peer),
    left: (peer) => rounds.end(peer),
  }
}

class Rounds {
  readonly #parts: ModuleParts
  readonly #clockWatch: ClockWatch
  readonly #timers = new Map<Peer, Timer | undefined>()

  constructor(parts: ModuleParts) {
    this.#parts = parts
    this.#clockWatch = new ClockWatch(parts)
  }

  begin(peer: Peer): void {
    this.#timers.set(peer, undefined)
    void this.#ping(peer)
  }

  end(peer: Peer): void {
    this.#timers.get(peer)?.cancel()
    this.#timers.delete(peer)
  }

  async #ping(peer: Peer): Promise<void> {
    const { runtime, limits } = this.#parts
    const sent = { at: runtime.clock.monotonic(), wall: runtime.clock.now() }
    const answer = await peer.ask({ type: 'ping' }, 'pong', limits.request_milliseconds_max * 2)
    if (!this.#timers.has(peer)) return
    if (answer.ok) this.#heard(peer, answer.value, sent)
    // Whatever it said is a sign of life: on a slow line its pong stands behind much else.
    else if (answer.code === 'no-answer' && peer.heardAt <= sent.at) return peer.drop(decline('no-pong', answer.detail))
    this.#timers.set(
      peer,
      runtime.clock.after(pingMilliseconds, () => void this.#ping(peer)),
    )
  }

  #heard(peer: Peer, { timestamp, height }: JsonObject, sent: { readonly at: number; readonly wall: number }): void {
    const { clock } = this.#parts.runtime
    peer.roundTrip = clock.monotonic() - sent.at
    if (typeof height === 'number' && Number.isSafeInteger(height) && height >= 0) peer.height = height
    const theirs = parseTimestamp(timestamp)
    if (theirs === undefined) return
    // The answer was made half a round trip after the question, as far as can be known (RFC 5905, 8: offset).
    peer.clockOffset = Math.round(theirs - (sent.wall + clock.now()) / 2)
    this.#clockWatch.measured()
  }
}
