/** ISO 8601 in UTC with milliseconds, from milliseconds since 1970. */
const iso = (milliseconds: string): string => `strftime('%Y-%m-%dT%H:%M:%fZ', ${milliseconds} / 1000.0, 'unixepoch')`

const field = (name: string): string => `json_extract(header, '$.${name}') AS "${name}"`

/** A string in a transaction's data, or NULL. */
const text = (name: string): string =>
  `CASE WHEN json_type(data, '$.${name}') = 'text' THEN json_extract(data, '$.${name}') END`

/** A decimal in a transaction's data, text or number, as the text that it is; NULL where it is none. */
const decimal = (name: string): string => {
  const value =
    `CASE json_type(data, '$.${name}') WHEN 'text' THEN json_extract(data, '$.${name}')` +
    ` WHEN 'integer' THEN data -> '$.${name}' WHEN 'real' THEN data -> '$.${name}' END`
  return (
    `CASE WHEN ${value} GLOB '[0-9]*' AND ${value} GLOB '*[0-9]'` +
    ` AND ${value} NOT GLOB '*[^0-9.]*' AND ${value} NOT GLOB '*.*.*' THEN ${value} END`
  )
}

const people = `
  coalesce(${text('from')}, sender) AS from_user,
  ${text('to')} AS to_user,
  ${decimal('amount')} AS amount`

/** `who`: the columns from_user, to_user and amount. `recorded`: the status of what stands in a block. */
const transactionsView = (who: string, recorded = "'committed'"): string => `CREATE VIEW transactions AS SELECT
  t.id AS id,
  t.tx_hash AS tx_hash,
  b.current_hash AS block_hash,
  t.sender AS sender,
  t.data AS data,
  t.signature AS signature,${who},
  ${recorded} AS status,
  ${iso('t.received_at')} AS start_timestamp,
  ${iso('b.written_at')} AS end_timestamp,
  b.height AS block_index,
  t.nonce AS nonce,
  t.public_key_pem AS public_key_pem
-- Both forms of one condition, so that either table can be looked up from the other.
FROM transaction_rows AS t JOIN block_rows AS b
  ON b.height = t.id >> 17 AND t.id >= b.height << 17 AND t.id < (b.height + 1) << 17
-- The same types in both halves: only then does SQLite look each one up by its index.
UNION ALL SELECT
  CAST(4503599627370496 + place AS INTEGER), tx_hash, CAST(NULL AS TEXT), sender, data, signature,${who},
  'pending', ${iso('received_at')}, NULL, CAST(NULL AS INTEGER), nonce, public_key_pem
FROM pending_rows;`

/** A purchase may say its amount under the name of price alone. */
const peopleAndPrices = `
  coalesce(${text('from')}, sender) AS from_user,
  ${text('to')} AS to_user,
  coalesce(${decimal('amount')}, CASE WHEN ${text('action')} = 'purchase' THEN ${decimal('price')} END) AS amount`

/** `more`: columns that came later, each after a comma. */
const blocksView = (more = ''): string => `CREATE VIEW blocks AS SELECT
  height AS "index",
  ${field('timestamp')},
  ${field('prev_hash')},
  current_hash,
  ${field('nonce')},
  ${field('miner_id')},
  ${field('signature')},
  difficulty,
  transactions_count,
  ${field('work')},
  total_work,
  ${['version', 'chain_id', 'consensus', 'public_key_pem', 'tx_root', 'state_root', 'extra', 'signer_id', 'seal']
    .concat(['certificate', 'finality'])
    .map(field)
    .join(',\n  ')},
  ${iso('written_at')} AS written_at${more}
FROM block_rows;`

/**
 * What the first version of the schema shows. A released step of the schema is never changed, so neither is this.
 *
 * What people read (protocol section 8). Nothing here is newer than SQLite 3.38, so that the readers of a plain Debian
 * or Python installation work. The ids of pending transactions stand above those of every recorded one.
 */
export const views = `
${blocksView()}

${transactionsView(people)}

CREATE VIEW nodes AS SELECT
  node_id, host, port, node_type, status, ${iso('last_seen')} AS last_seen
FROM node_rows;

CREATE VIEW mining_pool AS SELECT
  worker AS worker_id, nonce_start, nonce_end, completed, solution_nonce, ${iso('opened_at')} AS timestamp
FROM range_rows;

CREATE VIEW side_blocks AS SELECT
  height AS "index",
  ${field('timestamp')},
  ${field('prev_hash')},
  current_hash,
  ${field('miner_id')},
  ${field('work')},
  total_work,
  json_array_length(transactions) AS transactions_count,
  bytes
FROM side_rows;
`

/** A member of the newest value under a key; NULL where the value is no JSON object. */
const member = (name: string): string =>
  `CASE WHEN json_valid(newest.value) THEN json_extract(newest.value, '$.${name}') END`

/**
 * Each key under a prefix once, with its newest value. The index of oldest versions finds the keys, one or all, without
 * looking at the versions between; left alone, SQLite would read them all to list the keys.
 */
const newestUnder = (kind: string): string => `state_rows AS oldest INDEXED BY state_rows_by_${kind}
JOIN state_rows AS newest
  ON newest.key = oldest.key
  AND newest.height = (SELECT max(height) FROM state_rows WHERE key = oldest.key)
WHERE oldest.is_first = 1 AND oldest.key >= '${kind}/' AND oldest.key < '${kind}0' AND newest.value IS NOT NULL`

const headerTime = (height: string): string =>
  `(SELECT json_extract(header, '$.timestamp') FROM block_rows WHERE height = ${height})`

const outboxView = `CREATE VIEW outbox AS SELECT
  sequence, kind, height AS "index", lower(hex(hash)) AS block_hash, body
FROM outbox_rows;`

/** What the second version of the schema adds: the market's state, by its newest versions, and the outbox. */
export const historyViews = `
DROP VIEW transactions;
${transactionsView(peopleAndPrices)}

CREATE VIEW users AS SELECT
  substr(oldest.key, 6) AS username,
  ${member('public_key')} AS public_key,
  ${member('balance')} AS balance,
  ${headerTime('oldest.height')} AS created_at
FROM ${newestUnder('user')};

CREATE VIEW assets AS SELECT
  substr(oldest.key, 7) AS asset_id,
  ${member('name')} AS asset_name,
  ${member('owner')} AS owner,
  (SELECT current_hash FROM block_rows WHERE height = newest.height) AS block_hash,
  ${headerTime('newest.height')} AS timestamp
FROM ${newestUnder('asset')};

${outboxView}
`

/** Block 0 is final by itself. SQLite asks this once a query. */
const isFinal = (height: string): string =>
  `${height} <= (SELECT coalesce(max(height), 0) FROM outbox_rows WHERE kind = 'final')`

/** What the third version of the schema shows otherwise: what can no longer be undone. */
export const finalViews = `
DROP VIEW blocks;
${blocksView(`,\n  ${isFinal('height')} AS final`)}

DROP VIEW transactions;
${transactionsView(peopleAndPrices, `CASE WHEN ${isFinal('b.height')} THEN 'final' ELSE 'committed' END`)}

${outboxView}
`
