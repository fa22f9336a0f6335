// What must hold of the ledger of a node that was killed, once it is stopped.
import { Database } from 'bun:sqlite'
import { aurex } from '../support/process.ts'

/**
 * Our own check of the file, SQLite's check, and every acknowledged id once: recorded, or as well pending where `pending`
 * says so. Throws an error that says what does not hold.
 */
export async function inspectLedger(
  home: string,
  ledger: string,
  acknowledged: Iterable<string>,
  pending: 'may be pending' | 'must be recorded',
): Promise<void> {
  const verified = await aurex(home, 'verify', ledger)
  if (verified.code !== 0) throw new Error(`aurex verify: ${verified.stdout}${verified.stderr}`)
  const database = new Database(ledger, { readonly: true })
  try {
    const check = database.query('PRAGMA integrity_check').values()
    if (check[0]?.[0] !== 'ok') throw new Error(`integrity_check: ${JSON.stringify(check)}`)
    const which = pending === 'must be recorded' ? " WHERE status <> 'pending'" : ''
    const rows = database.query(`SELECT tx_hash FROM transactions${which}`).values() as [string][]
    const kept = new Set(rows.map(([hash]) => hash))
    if (kept.size !== rows.length) throw new Error(`${rows.length - kept.size} ids stand in the ledger twice`)
    const lost = [...acknowledged].filter((hash) => !kept.has(hash))
    if (lost.length > 0) throw new Error(`${lost.length} acknowledged transactions are lost, ${lost[0]} among them`)
  } finally {
    database.close()
  }
}
