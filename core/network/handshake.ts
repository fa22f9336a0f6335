import { decline } from '../errors.ts'
import type { Dialling, ModuleParts, NetworkModule } from './module.ts'

export function handshakes(_parts: ModuleParts): NetworkModule & Dialling {
  return { messages: {}, dial: () => Promise.resolve(decline('connect-failed', 'to be built')) }
}
