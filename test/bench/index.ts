// bun run bench [--json] [name ...]: every bench, or those named, as one table.
import { parseArgs } from 'node:util'
import { commits } from './commits.ts'
import { finality } from './finality.ts'
import { gateway } from './gateway.ts'
import { growth } from './growth.ts'
import { propagation } from './propagation.ts'
import { ratioOf, type Row } from './row.ts'
import { spread } from './spread.ts'
import { start } from './start.ts'
import { sync } from './sync.ts'
import { transactions } from './transactions.ts'

const benches: Record<string, () => Promise<Row[]>> = {
  transactions,
  commits,
  start,
  growth,
  sync,
  spread,
  propagation,
  gateway,
  finality,
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' } } })
const names = positionals.length === 0 ? Object.keys(benches) : positionals
const rows: Row[] = []
for (const name of names) {
  const bench = benches[name]
  if (bench === undefined) {
    console.error(`no bench ${name}; there are ${Object.keys(benches).join(', ')}`)
    process.exit(64)
  }
  console.error(`running ${name} ...`)
  rows.push(...(await bench()))
}

if (values.json === true) {
  console.log(JSON.stringify(rows.map((row) => ({ ...row, ratio: ratioOf(row) }))))
} else {
  const short = (figure: number): string =>
    figure >= 100 ? Math.round(figure).toLocaleString('en') : figure.toPrecision(3)
  const shown = rows.map((row) => ({
    what: row.name,
    figure: `${short(row.figure)} ${row.unit}`,
    beside: `${row.reference}: ${short(row.referenceFigure)}`,
    ratio: ratioOf(row).toPrecision(2),
  }))
  console.log(Bun.inspect.table(shown))
}
