// What bun:sqlite alone takes for as many rows of the same size: an id, a unique hash, a text. Run as a process of its
// own: bare.ts FILE ROWS BYTES. Prints {mebibytes} of resident memory when all are in.
import { Database } from 'bun:sqlite'
import { residentMiB } from './row.ts'

const [path = '', rows = '0', bytes = '0'] = process.argv.slice(2)
const database = new Database(path)
database.run('PRAGMA journal_mode = WAL')
database.run('CREATE TABLE rows (id INTEGER PRIMARY KEY, hash BLOB UNIQUE, body TEXT)')
const insert = database.prepare('INSERT INTO rows (hash, body) VALUES (?, ?)')
const write = database.transaction((count: number) => {
  for (let i = 0; i < count; i++) insert.run(crypto.getRandomValues(new Uint8Array(32)), 'x'.repeat(Number(bytes)))
})
const batch = 1_000
for (let left = Number(rows); left > 0; left -= batch) write(Math.min(batch, left))
console.log(JSON.stringify({ mebibytes: residentMiB(process.pid) }))
database.run('PRAGMA wal_checkpoint(TRUNCATE)')
database.close()
