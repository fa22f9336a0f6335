/**
 * The plugins that come with aurex. Literal imports, because a compiled program holds only what it can see; dynamic,
 * because a node loads only what it was asked for, and core knows no plugin.
 */
export const builtins: Readonly<Record<string, () => Promise<{ readonly default: unknown }>>> = {
  pow: () => import('../plugins/pow/index.ts'),
  instant: () => import('../plugins/instant/index.ts'),
  poa: () => import('../plugins/poa/index.ts'),
  bft: () => import('../plugins/bft/index.ts'),
  finality: () => import('../plugins/finality/index.ts'),
  memory: () => import('../plugins/memory/index.ts'),
  sqlite: () => import('../plugins/sqlite/index.ts'),
  gateway: () => import('../plugins/gateway/index.ts'),
  market: () => import('../plugins/market/index.ts'),
  notifier: () => import('../plugins/notifier/index.ts'),
  tcp: () => import('../plugins/tcp/index.ts'),
}

export const builtinNames: readonly string[] = Object.keys(builtins)
