import type { Database } from 'bun:sqlite'
import { messageOf } from '../../core/index.ts'

/** What can be asked at every start: the last block that was recorded, as the outbox has it. */
export const lastToldCheck = `SELECT o.sequence, o.height FROM outbox_rows AS o
  WHERE sequence = (SELECT max(sequence) FROM outbox_rows WHERE kind IN ('applied', 'undone')) AND height - (kind = 'undone') <>
    (SELECT max(height) FROM block_rows)`

/** Each query answers with one text for every fault that it finds. */
const checks = [
  // Rows and indices agree, values have their columns' types, every page is used once.
  'PRAGMA integrity_check(1)',
  `SELECT 'block_rows, height ' || height || ': the row below is missing' FROM block_rows AS b
    WHERE height > 0 AND NOT EXISTS (SELECT 1 FROM block_rows WHERE height = b.height - 1) ORDER BY height LIMIT 1`,
  `SELECT 'transaction_rows, id ' || t.id || ': its block does not count it' FROM transaction_rows AS t
    LEFT JOIN block_rows AS b ON b.height = t.id >> 17
    WHERE b.height IS NULL OR t.id & 131071 >= b.transactions_count ORDER BY t.id LIMIT 1`,
  `SELECT 'block_rows, height ' || b.height || ': transactions_total is not the sum' FROM block_rows AS b
    JOIN block_rows AS a ON a.height = b.height - 1
    WHERE b.transactions_total <> a.transactions_total + b.transactions_count ORDER BY b.height LIMIT 1`,
  `SELECT 'block_rows, height ' || b.height || ': transactions_total is not the number of rows up to it'
    FROM block_rows AS b WHERE height = (SELECT max(height) FROM block_rows)
    AND transactions_total <> (SELECT count(*) FROM transaction_rows)`,
  `SELECT 'state_rows, height ' || height || ', key ' || key || ': there is no block for it' FROM state_rows
    WHERE height < 0 OR height > (SELECT coalesce(max(height), -1) FROM block_rows) ORDER BY height LIMIT 1`,
  `SELECT 'state_rows, height ' || height || ', key ' || key || ': is_first: expected ' || (1 - is_first)
    FROM state_rows AS s
    WHERE is_first <> (height = (SELECT min(height) FROM state_rows WHERE key = s.key)) LIMIT 1`,
  // What the outbox says last of a height is what is there.
  `SELECT 'block_rows, height ' || height || ': the outbox does not end with it: expected applied ' || lower(hex(hash))
    || ', got ' || coalesce(told, 'nothing') FROM
    (SELECT height, hash, (SELECT kind || ' ' || lower(hex(hash)) FROM outbox_rows
      WHERE height = b.height AND kind IN ('applied', 'undone') ORDER BY sequence DESC LIMIT 1) AS told FROM block_rows AS b)
    WHERE height > 0 AND told IS NOT 'applied ' || lower(hex(hash)) ORDER BY height LIMIT 1`,
  `SELECT 'outbox_rows, sequence ' || sequence || ': applied, but there is no block for it' FROM outbox_rows AS o
    WHERE kind = 'applied' AND height > (SELECT coalesce(max(height), 0) FROM block_rows) AND NOT EXISTS
      (SELECT 1 FROM outbox_rows WHERE height = o.height AND sequence > o.sequence AND kind = 'undone')
    ORDER BY sequence LIMIT 1`,
  `SELECT 'outbox_rows, sequence ' || sequence || ': final, but its block is not recorded' FROM outbox_rows AS o
    WHERE kind = 'final' AND NOT EXISTS (SELECT 1 FROM block_rows WHERE height = o.height AND hash = o.hash)
    ORDER BY sequence LIMIT 1`,
  // Of the entries that make a height final, the lowest at or above it came first.
  `SELECT 'outbox_rows, sequence ' || sequence || ': undone, after its height was final' FROM outbox_rows AS o
    WHERE kind = 'undone' AND sequence > (SELECT sequence FROM outbox_rows
      WHERE kind = 'final' AND height >= o.height ORDER BY height LIMIT 1) ORDER BY sequence LIMIT 1`,
  `SELECT 'outbox_rows, sequence ' || sequence || ': final, but what stands above it was so before' FROM
    (SELECT sequence, lead(sequence) OVER (ORDER BY height) AS next FROM outbox_rows WHERE kind = 'final')
    WHERE next < sequence LIMIT 1`,
  `SELECT 'outbox_rows, sequence ' || sequence || ': it is the last, and the chain does not end there' FROM (${lastToldCheck})`,
]

/** And these: rows of blocks that there are not, where the chain was cut off or something was put in. */
export const strayTransactionCheck = `SELECT id FROM transaction_rows
  WHERE id >= ((SELECT max(height) FROM block_rows) + 1) * 131072 OR id < 131072 ORDER BY id LIMIT 1`
export const strayStateCheck = `SELECT key, height FROM state_rows
  WHERE height < 0 OR height > (SELECT max(height) FROM block_rows) ORDER BY height LIMIT 1`
export const strayFinalCheck = `SELECT sequence, height FROM outbox_rows AS o
  WHERE kind = 'final' AND height = (SELECT max(height) FROM outbox_rows WHERE kind = 'final') AND NOT EXISTS
    (SELECT 1 FROM block_rows WHERE height = o.height AND hash = o.hash)`

/** The first thing that is wrong with the file as a whole, or undefined. */
export function integrityOf(database: Database): string | undefined {
  for (const sql of checks) {
    try {
      const fault = database.query<Record<string, string>, []>(sql).values()[0]?.[0]
      if (fault !== undefined && fault !== 'ok') return String(fault)
    } catch (error) {
      return messageOf(error)
    }
  }
  return undefined
}
