import type { Log } from '../log.ts'
import type { Clock } from '../runtime.ts'

/** What strangers do is told to people so many times a minute: a connection costs them nothing, and a full disk us much. */
const linesPerMinuteMax = 60
const minuteMilliseconds = 60_000

/** The same log, but what is beyond so many `info` lines a minute goes to `debug`, and their number is told afterwards. */
export function boundedLog(log: Log, clock: Pick<Clock, 'monotonic'>): Log {
  let minute = Number.NEGATIVE_INFINITY
  let [told, kept] = [0, 0]
  const turn = (): void => {
    const now = clock.monotonic()
    if (now - minute < minuteMilliseconds) return
    if (kept > 0) log.info('more of such news went to the debug log', { lines: kept })
    minute = now
    told = kept = 0
  }
  return {
    ...log,
    info(message, fields) {
      turn()
      if (told < linesPerMinuteMax) {
        told++
        log.info(message, fields)
      } else {
        kept++
        log.debug(message, fields)
      }
    },
  }
}
