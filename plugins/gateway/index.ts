import { definePlugin, type Context, type Transport } from '../../core/index.ts'
import { Actions } from './actions.ts'
import { Confirmations } from './confirmations.ts'
import { openDesk } from './opendesk.ts'
import { configSchema, type GatewayConfig } from './schema.ts'
import { GatewayServer } from './server.ts'
import { Signers } from './signers.ts'

export default definePlugin({
  name: 'gateway',
  summary: 'transactions and purchases over length-prefixed TCP',
  provides: 'transport',
  needs: [],
  wants: ['storage', 'chain'],
  config: configSchema,
  setup: (context, config) => new Gateway(context, config),
})

const withoutStorage =
  'there is no storage: what no node takes is not kept, and what nodes confirm is not forwarded; sqlite among --plugins gives both'

type GatewayContext = Context<never, 'storage' | 'chain'>

class Gateway implements Transport {
  readonly #context: GatewayContext
  readonly #desk
  readonly #server: GatewayServer
  readonly #confirmations: Confirmations
  readonly #actions: Actions
  readonly #startedAt: number
  /** The desk has taken up what it kept: requests wait for that. */
  readonly #begun = Promise.withResolvers<void>()
  #opened = false

  constructor(context: GatewayContext, config: GatewayConfig) {
    const { runtime, log, use } = context
    this.#context = context
    this.#startedAt = runtime.clock.monotonic()
    this.#desk = openDesk({ context, storage: use.storage, chain: use.chain, options: { attest: config.attest } })
    this.#confirmations = this.#makeConfirmations(config)
    this.#actions = new Actions({
      desk: this.#desk,
      confirmations: this.#confirmations,
      chainId: () => context.network.genesis()?.rules.chainId,
      counts: () => this.#counts(),
      log,
    })
    this.#server = new GatewayServer({
      config,
      runtime,
      log,
      serve: async (body) => {
        await this.#begun.promise
        return await this.#actions.answer(body)
      },
    })
    this.#contribute(config)
    // After the server, which answers with the desk's help to its end.
    context.defer(async () => {
      if (this.#opened) await this.#desk.stop()
    })
  }

  async open(): Promise<void> {
    // The port first: who cannot have it does not send anything either.
    await this.#server.listen()
    this.#context.defer(() => this.#server.stop())
    if (this.#context.use.storage === undefined) this.#context.log.info(withoutStorage)
    this.#opened = true
    await this.#desk.start()
    this.#begun.resolve()
  }

  address() {
    return this.#server.address()
  }

  #makeConfirmations(config: GatewayConfig): Confirmations {
    const context = this.#context
    const { network, use, log } = context
    const signers = new Signers({ confirmers: config.confirmers, network, storage: use.storage })
    context.on('peer:joined', ({ nodeId }) => signers.meet(nodeId))
    context.on('peer:banned', ({ target }) => signers.forget(target))
    return new Confirmations({
      signers,
      allowUnsigned: config.allow_unsigned,
      storage: use.storage,
      forwards: use.chain === undefined,
      chainId: () => network.genesis()?.rules.chainId,
      publish: (news) => context.publish('confirmed', news),
      log,
    })
  }

  #counts() {
    const { connections, inFlight } = this.#server.counts()
    const { clock } = this.#context.runtime
    return {
      connections,
      requests_in_flight: inFlight,
      confirmations: this.#confirmations.taken,
      uptime_seconds: Math.floor((clock.monotonic() - this.#startedAt) / 1000),
      version: this.#context.node.version,
    }
  }

  #contribute({ connections_max }: GatewayConfig): void {
    const context = this.#context
    const server = this.#server
    context.contribute('metric', {
      name: 'gateway_connections',
      help: 'Connections of clients',
      kind: 'gauge',
      read: () => server.counts().connections,
    })
    context.contribute('metric', {
      name: 'gateway_requests_in_flight',
      help: 'Requests in work',
      kind: 'gauge',
      read: () => server.counts().inFlight,
    })
    context.contribute('metric', {
      name: 'gateway_requests_total',
      help: 'Requests answered, by action and outcome',
      kind: 'counter',
      read: () =>
        this.#actions.tallies().map(({ action, outcome, count }) => ({ labels: { action, outcome }, value: count })),
    })
    context.contribute('metric', {
      name: 'gateway_connections_cut_total',
      help: 'Connections that ended otherwise than in good order, by code',
      kind: 'counter',
      read: () => byCode(server.cut),
    })
    context.contribute('metric', {
      name: 'gateway_confirmations_refused_total',
      help: 'Block confirmations that were refused, by code',
      kind: 'counter',
      read: () => byCode(this.#confirmations.refused),
    })
    context.contribute('health', {
      name: 'gateway:clients',
      check: () => {
        const { connections } = server.counts()
        return connections < connections_max
          ? { status: 'pass' }
          : { status: 'warn', output: `${connections} connections: no room for more` }
      },
    })
  }
}

const byCode = (counts: ReadonlyMap<string, number>) =>
  [...counts].map(([code, value]) => ({ labels: { code }, value }))
