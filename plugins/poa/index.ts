import {
  AurexError,
  definePlugin,
  exitCode,
  messageOf,
  type Address,
  type ChainDoor,
  type Genesis,
} from '../../core/index.ts'
import { Authorities } from './authorities.ts'
import { poaEngine } from './engine.ts'
import { VoteDesk, votesSchema, voteSchema } from './questions.ts'
import { configSchema, parametersSchema, type PoaParameters } from './schema.ts'
import { Wishes } from './wishes.ts'

export default definePlugin({
  name: 'poa',
  summary: 'proof of authority: named keys take turns',
  provides: 'consensus',
  needs: ['storage'],
  config: configSchema,
  parameters: parametersSchema,
  setup(context, config, parameters) {
    const { genesis, identity, runtime, log } = context
    refuseNobody(parameters, genesis)
    const { authorities: named, block_time: blockTime, epoch } = parameters
    const authorities = new Authorities({ authorities: named, epoch })
    const wishes = new Wishes(context.use.storage.records('poa'), identity.address)
    const seen = (): ReadonlySet<Address> =>
      new Set([identity.address, ...context.network.peers().map(({ address }) => address)])
    let door: ChainDoor | undefined
    const desk = new VoteDesk({
      identity,
      chainId: genesis?.rules.chainId ?? '',
      authorities,
      wishes,
      door: () => door,
      seen,
      now: () => runtime.clock.now(),
      epoch,
    })
    // Votes are made with the node's own key: nobody on another machine has any business here.
    context.serve('vote', voteSchema, { loopbackOnly: true, answer: (request) => desk.vote(request) })
    context.serve('votes', votesSchema, { answer: () => desk.votes() })
    context.on('head:moved', () => {
      if (door === undefined) return
      try {
        for (const { vote, target } of wishes.settle(authorities.after(door.ancestry()))) {
          log.info('a vote is over: it has passed, or it was given up', { vote, target })
        }
      } catch (error) {
        if (!(error instanceof AurexError)) throw error
        log.warn('votes that are over stay for now', { why: messageOf(error) })
      }
    })
    return {
      ...poaEngine({
        address: identity.address,
        blockTime,
        config,
        authorities,
        nextBallot: (below) => wishes.next(below),
        seen,
      }),
      open: (opened) => {
        door = opened
      },
    }
  },
})

/** The chain that a node starts with when it is given no genesis: whoever signs its block 1 is its authority. */
const developmentName = 'development'

function refuseNobody({ authorities }: PoaParameters, genesis: Genesis | undefined): void {
  if (authorities.length > 0 || genesis === undefined || genesis.name === developmentName) return
  throw new AurexError(
    'no-authorities',
    `the genesis of ${genesis.name} names no authority, so that nobody could make a block; expected [poa] with ` +
      'authorities = ["<address>", ...], as aurex key show prints them',
    { exit: exitCode.config },
  )
}
