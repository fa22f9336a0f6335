import type { Catchup, ModuleParts, NetworkModule } from '../module.ts'

export function relay(_parts: ModuleParts & { readonly catchup: Catchup }): NetworkModule {
  return { messages: {} }
}
