import type { ModuleParts, NetworkModule } from './module.ts'

export function dialects(_parts: ModuleParts): NetworkModule {
  return { messages: {} }
}
