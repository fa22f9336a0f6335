import type { Genesis } from '../../chain/genesis.ts'
import { decline, messageOf, type Refusal, type Result } from '../../errors.ts'
import type { Timer } from '../../runtime.ts'
import { backOff } from '../addresses/backoff.ts'
import { lookUp } from '../addresses/lookup.ts'
import { hostPortText, type HostPort } from '../hostport.ts'
import type { ModuleParts, NetworkModule } from '../module.ts'
import { askGenesis } from './question.ts'

const retryMillisecondsMax = 15_000

/**
 * On a node without a chain: learns which chain its network is on, from the nodes that the operator named and from no
 * others, and remembers it, so that after a restart it is still on the same one, whoever answers first then.
 */
export function learner(parts: ModuleParts): NetworkModule {
  return parts.chain === undefined ? new Learner(parts) : { messages: {} }
}

class Learner implements NetworkModule {
  readonly messages = {}
  readonly #parts: ModuleParts
  /** The last complaint about each node of `--peers`, which is told once. */
  readonly #said = new Map<HostPort, string>()
  #failures = 0
  #timer: Timer | undefined
  #stopped = false

  constructor(parts: ModuleParts) {
    this.#parts = parts
  }

  start(): void {
    const { known, log, settings, transports } = this.#parts
    if (known.value !== undefined) return this.#keep(known.value)
    if (!transports.some((transport) => transport.dial !== undefined)) return
    if (settings.peers.length > 0) return void this.#ask()
    log.warn('this node keeps no chain and is not told which one its network is on, so that it has no peers', {
      advice: 'name nodes of the chain with --peers host:port, or its genesis file with --genesis',
    })
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  /** One after the other, so that the operator's order decides between two that are on different chains. */
  async #ask(): Promise<void> {
    for (const [at, peer] of this.#parts.settings.peers.entries()) {
      const answer = await this.#askOne(peer, at)
      if (this.#stopped) return
      if (answer.ok) return this.#learnt(answer.value, peer)
      this.#say(peer, answer)
    }
    this.#failures++
    this.#again(() => void this.#ask())
  }

  async #askOne(peer: HostPort, at: number): Promise<Result<Genesis>> {
    const { bans, runtime } = this.#parts
    const to = await lookUp(runtime, peer, this.#failures + at)
    if (!to.ok) return to
    const ban = bans.find(undefined, to.value.host)
    if (ban !== undefined) return decline('banned', `${ban.target} is kept out: ${ban.reason}`)
    return await askGenesis(this.#parts, to.value)
  }

  #learnt(genesis: Genesis, from: HostPort): void {
    const { known, log } = this.#parts
    const { name, consensus, application, rules } = genesis
    const fields = { from: hostPortText(from), chain: name, chain_id: rules.chainId, consensus, application }
    log.info('learnt which chain the network is on', fields)
    this.#failures = 0
    this.#keep(genesis)
    known.learnt(genesis)
  }

  /** A disk that is full keeps nobody from taking part; it is written when there is room. */
  #keep(genesis: Genesis): void {
    const { memory, log } = this.#parts
    try {
      if (memory !== undefined && memory.read() !== genesis.text) memory.write(genesis.text)
    } catch (error) {
      if (this.#failures++ === 0) {
        log.warn('which chain the network is on is not remembered yet', { error: messageOf(error) })
      }
      this.#again(() => this.#keep(genesis))
    }
  }

  #again(run: () => void): void {
    const { runtime } = this.#parts
    this.#timer = runtime.clock.after(backOff(runtime, this.#failures, retryMillisecondsMax), run)
  }

  #say(peer: HostPort, { code, detail }: Refusal): void {
    if (this.#said.get(peer) === code) return
    this.#said.set(peer, code)
    const fields = { peer: hostPortText(peer), code, detail }
    if (code.startsWith('bad-')) this.#parts.log.warn('what a node of --peers says of its chain does not hold', fields)
    else this.#parts.log.info('a node of --peers does not say which chain it is on; it is asked until one does', fields)
  }
}
