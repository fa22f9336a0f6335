import { finalViews, historyViews, views } from './views.ts'

/** `PRAGMA application_id`: "AURX". Tells our files from any other SQLite file. */
export const applicationId = 0x41555258

/**
 * A recorded transaction's id: its block's height times this, plus its place in the block. So rows lie in block order,
 * and a block's transactions are one range of ids. More than any genesis lets into a block (100,000).
 */
export const placesPerBlock = 131_072

// Blobs hold hashes in half the room; the generated columns give their hex a name and an index, which serves the node
// and the views alike. STRICT lets SQLite's own check find a value of a wrong type.
const first = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

CREATE TABLE block_rows (
  height INTEGER PRIMARY KEY,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  header TEXT NOT NULL,
  difficulty ANY NOT NULL,
  total_work TEXT NOT NULL,
  transactions_count INTEGER NOT NULL,
  transactions_total INTEGER NOT NULL,
  written_at INTEGER NOT NULL,
  current_hash TEXT GENERATED ALWAYS AS (lower(hex(hash))) VIRTUAL
) STRICT;
CREATE UNIQUE INDEX block_rows_by_hash ON block_rows (current_hash);

CREATE TABLE transaction_rows (
  id INTEGER PRIMARY KEY,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  sender TEXT NOT NULL,
  data TEXT NOT NULL,
  signature TEXT NOT NULL,
  nonce INTEGER,
  public_key_pem TEXT,
  received_at INTEGER NOT NULL,
  tx_hash TEXT GENERATED ALWAYS AS (lower(hex(hash))) VIRTUAL
) STRICT;
CREATE UNIQUE INDEX transaction_rows_by_hash ON transaction_rows (tx_hash);

CREATE TABLE pending_rows (
  place INTEGER PRIMARY KEY AUTOINCREMENT,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  sender TEXT NOT NULL,
  data TEXT NOT NULL,
  signature TEXT NOT NULL,
  nonce INTEGER,
  public_key_pem TEXT,
  received_at INTEGER NOT NULL,
  tx_hash TEXT GENERATED ALWAYS AS (lower(hex(hash))) VIRTUAL
) STRICT;
CREATE UNIQUE INDEX pending_rows_by_hash ON pending_rows (tx_hash);

CREATE TABLE side_rows (
  current_hash TEXT PRIMARY KEY,
  height INTEGER NOT NULL,
  header TEXT NOT NULL,
  transactions TEXT NOT NULL,
  total_work TEXT NOT NULL,
  bytes INTEGER NOT NULL
) STRICT;

CREATE TABLE node_rows (
  node_id TEXT PRIMARY KEY,
  host TEXT NOT NULL,
  port INTEGER NOT NULL,
  node_type TEXT NOT NULL,
  status TEXT NOT NULL,
  last_seen INTEGER NOT NULL
) STRICT;

CREATE TABLE range_rows (
  id INTEGER PRIMARY KEY,
  worker TEXT NOT NULL,
  nonce_start INTEGER NOT NULL,
  nonce_end INTEGER NOT NULL,
  completed INTEGER NOT NULL DEFAULT 0,
  solution_nonce INTEGER,
  opened_at INTEGER NOT NULL
) STRICT;
${views}
PRAGMA application_id = ${applicationId};
`

// `is_first` marks the oldest version of a key: so the views find each key once, without looking at all its versions.
// Undoing takes the newest versions, so that the mark goes with the last one.
const second = `
CREATE TABLE state_rows (
  key TEXT NOT NULL,
  height INTEGER NOT NULL CHECK (height >= 0),
  value TEXT,
  is_first INTEGER NOT NULL,
  PRIMARY KEY (key, height)
) STRICT, WITHOUT ROWID;
CREATE INDEX state_rows_by_height ON state_rows (height);
CREATE INDEX state_rows_by_user ON state_rows (substr(key, 6))
  WHERE is_first = 1 AND key >= 'user/' AND key < 'user0';
CREATE INDEX state_rows_by_asset ON state_rows (substr(key, 7))
  WHERE is_first = 1 AND key >= 'asset/' AND key < 'asset0';

CREATE TABLE outbox_rows (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL CHECK (kind IN ('applied', 'undone', 'reported')),
  height INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  body TEXT
) STRICT;
CREATE INDEX outbox_rows_by_height ON outbox_rows (height, sequence);
INSERT INTO outbox_rows (kind, height, hash) SELECT 'applied', height, hash FROM block_rows WHERE height >= 1
  ORDER BY height;

CREATE TABLE record_rows (
  owner TEXT NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;

ALTER TABLE side_rows ADD COLUMN state TEXT NOT NULL DEFAULT '[]';
ALTER TABLE pending_rows ADD COLUMN returned INTEGER NOT NULL DEFAULT 0;
${historyViews}`

// SQLite cannot change a check, so the outbox is written anew, with its sequences and the count of those that were given
// out. The index makes a height final once, and finds the last one.
const third = `
DROP VIEW outbox;
CREATE TABLE new_outbox_rows (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL CHECK (kind IN ('applied', 'undone', 'final', 'reported')),
  height INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  body TEXT
) STRICT;
INSERT INTO new_outbox_rows (sequence, kind, height, hash, body)
  SELECT sequence, kind, height, hash, body FROM outbox_rows ORDER BY sequence;
DELETE FROM sqlite_sequence WHERE name = 'new_outbox_rows';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_outbox_rows', seq FROM sqlite_sequence WHERE name = 'outbox_rows';
DROP TABLE outbox_rows;
ALTER TABLE new_outbox_rows RENAME TO outbox_rows;
CREATE INDEX outbox_rows_by_height ON outbox_rows (height, sequence);
CREATE UNIQUE INDEX outbox_rows_final ON outbox_rows (height) WHERE kind = 'final';
${finalViews}`

/** Step n takes a file from `user_version` n to n + 1. A step that was released is never changed: a new one follows. */
export const migrations: readonly string[] = [first, second, third]
