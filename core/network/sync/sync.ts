import type { Catchup, ModuleParts, NetworkModule } from '../module.ts'

export function sync(_parts: ModuleParts): NetworkModule & Catchup {
  return { messages: {}, active: false, heardOf: () => {}, orphaned: () => {} }
}
