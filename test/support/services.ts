// What core does for plugins on request, for tests that set plugins up by themselves.
import { bunRuntime } from '../../core/bun.ts'
import { Contributed } from '../../core/contributions.ts'
import type { KeyPair } from '../../core/index.ts'
import { openServices, type PluginServices } from '../../core/services.ts'
import { makeKey } from './blocks.ts'

const silent = (): void => {}
const quiet = { debug: silent, info: silent, warn: silent, error: silent }

export const testServices = (
  identity: KeyPair = makeKey(1),
  contributed: Contributed = new Contributed(),
): PluginServices =>
  openServices({ identity, contributed, clock: bunRuntime().clock, logFor: () => quiet, emit: silent })
