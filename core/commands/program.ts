import type { Io } from './command.ts'

/** How whoever reads it calls this program again: a script of package.json (`bun run node`), `npx aurex`, or by its name. */
export function programOf(io: Pick<Io, 'env'>): string {
  const runner = io.env['npm_lifecycle_event']
  if (runner === undefined) return 'aurex'
  return runner === 'npx' ? 'npx aurex' : 'bun run aurex'
}
