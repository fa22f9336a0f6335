import type { Dialling, ModuleParts, NetworkModule } from '../module.ts'

export function addresses(_parts: ModuleParts & Dialling): NetworkModule {
  return { messages: {} }
}
