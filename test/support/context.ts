// What a plugin gets of core, for tests that set one up alone.
import { bunRuntime } from '../../core/bun.ts'
import { Contributed } from '../../core/contributions.ts'
import { defaultNodeLimits } from '../../core/limits.ts'
import type { Context, Slot } from '../../core/plugin.ts'
import { servicesOf } from '../../core/services.ts'
import { makeKey } from './blocks.ts'
import { testServices } from './services.ts'

/** A context with `given` in it, what was asked to be released, and what was contributed. */
export function makeContext<N extends Slot = never, W extends Slot = never>(
  given: Partial<Context<N, W>> & Pick<Context<N, W>, 'use'>,
) {
  const releases: (() => void | Promise<void>)[] = []
  const contributed = new Contributed()
  const silent = (): void => {}
  const context: Context<N, W> = {
    node: { name: 'test', dataDir: '/none', port: 0, version: '0.0.0' },
    identity: makeKey(1),
    genesis: undefined,
    network: { genesis: () => given.genesis, peers: () => [] },
    limits: defaultNodeLimits,
    runtime: bunRuntime(),
    log: { debug: silent, info: silent, warn: silent, error: silent },
    signal: new AbortController().signal,
    on: silent,
    onPlugin: silent,
    publish: silent,
    contribute: (kind, what) => void releases.push(contributed.add(kind, what)),
    contributed: (kind) => contributed.all(kind),
    ...servicesOf('test', testServices(given.identity ?? makeKey(1), contributed), (one) => void releases.push(one)),
    defer: (release) => void releases.push(release),
    ...given,
  }
  const release = async (): Promise<void> => {
    for (const one of releases.splice(0).toReversed()) await one()
  }
  return { context, contributed, release, releases }
}
