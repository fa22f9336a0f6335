// One kind of attack on a node, from a process of its own.
//   bun test/attack/attacker.ts <kind> <port> <chain id> <milliseconds>
// Prints one JSON line at its end: how many connections it opened, how many the node left open, how long the longest
// lived, and with which codes the node ended them.
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { frameOf, FrameReader } from '../../core/frames.ts'
import { StrangerPeer, type Message } from '../support/strangerpeer.ts'

const [kind, port, chainId, milliseconds] = [
  process.argv[2]!,
  Number(process.argv[3]),
  process.argv[4]!,
  Number(process.argv[5]),
]

const codes = new Map<string, number>()
const began = performance.now()
/** Connections that stand, with when each was opened. */
const open = new Map<object, number>()
let opened = 0
let longest = 0
let sent = 0

const isOver = (): boolean => performance.now() - began > milliseconds

function noteOpen(connection: object): void {
  opened++
  open.set(connection, performance.now())
}

function noteClosed(connection: object, code: string | undefined): void {
  longest = Math.max(longest, performance.now() - open.get(connection)!)
  open.delete(connection)
  codes.set(code ?? 'no code', (codes.get(code ?? 'no code') ?? 0) + 1)
}

interface Raw {
  readonly socket: Socket
  readonly closed: Promise<void>
}

/** A plain connection; `act` is called when it is open. */
function raw(act: (socket: Socket) => void): Raw {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.on('data', (bytes) => (text = (text + bytes.toString('latin1')).slice(-2_000)))
  socket.on('error', () => undefined)
  socket.on('connect', () => {
    noteOpen(socket)
    act(socket)
  })
  const closed = new Promise<void>((resolve) =>
    socket.on('close', () => {
      if (open.has(socket)) noteClosed(socket, /"code":"([^"]+)"(?![^]*"code":")/.exec(text)?.[1])
      resolve()
    }),
  )
  // What was opened at the very end has no time to attack, and would be no more than a client that says nothing.
  const timer = setTimeout(() => socket.destroy(), Math.max(0, milliseconds - (performance.now() - began)))
  void closed.then(() => clearTimeout(timer))
  return { socket, closed }
}

/** Opens a connection again as soon as the last one is closed, so many side by side. */
async function again(lanes: number, one: () => Promise<unknown>): Promise<void> {
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (!isOver()) {
        await one()
        await pause(1)
      }
    }),
  )
}

const pause = (time: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, time))

/** Writes as fast as the other side takes it. */
function pour(socket: Socket, make: () => string | Buffer): void {
  const more = (): void => {
    while (!socket.destroyed && !isOver()) {
      const piece = make()
      sent += piece.length
      if (!socket.write(piece)) {
        socket.once('drain', more)
        return
      }
    }
  }
  more()
}

const { publicKey } = generateKeyPairSync('ed25519')
const address = publicKey.export({ type: 'spki', format: 'der' }).subarray(12).toString('hex')
let made = 0

/** As it should be, but that nobody signed it. */
const unsigned = (): string =>
  `${JSON.stringify({
    type: 'NEW_TRANSACTION',
    sender: address,
    data: { n: made++ },
    // In range as a number (RFC 8032, 5.1.7), so that it takes the curve to tell.
    signature: Buffer.concat([randomBytes(32), randomBytes(31), Buffer.from([0])]).toString('base64'),
  })}\n`

/** Headers that stand on each other and took no work: invented from the genesis up. */
function cheapHeaders(peer: StrangerPeer, count: number): Message[] {
  const headers: Message[] = []
  for (let index = 1; index <= count; index++) {
    const header = {
      chain_id: chainId,
      consensus: 'pow',
      extra: '',
      index,
      miner_id: peer.nodeId,
      prev_hash: index === 1 ? chainId : String(headers.at(-1)!['current_hash']),
      public_key_pem: peer.publicKeyPem,
      state_root: '0'.repeat(64),
      timestamp: new Date(Date.UTC(2026, 10, 21) + index * 1_000).toISOString(),
      tx_root: createHash('sha256').digest('hex'),
      version: 1,
      work: 1,
    }
    const current_hash = createHash('sha256')
      .update(`${JSON.stringify(header)}0`)
      .digest('hex')
    headers.push({ ...header, nonce: 0, current_hash, signature: randomBytes(64).toString('base64') })
  }
  return headers
}

/** A peer that shakes hands, then does something. */
async function peer(
  options: { readonly height?: number; readonly hear?: (message: Message, peer: StrangerPeer) => void },
  act: (peer: StrangerPeer) => void | Promise<void>,
): Promise<void> {
  const one = new StrangerPeer(port, { chainId, ...options })
  noteOpen(one)
  void one.closed.then((code) => noteClosed(one, code))
  if (await one.shaken) await act(one)
  await Promise.race([one.closed, pause(Math.max(0, milliseconds - (performance.now() - began)))])
  one.close()
}

/** Good purchases that were answered, or were on the way at the end. */
let purchases = 0
let answered = 0
const junk = ['{', '[]', '{"action":"nothing"}', '{"action":"submit_purchase","body":{}}', '']

/** A connection to a gateway with as much on it as it takes: each good purchase among the same again, others under its `tx_id`, and rubbish. */
function floodGateway(): Promise<void> {
  const reader = new FrameReader()
  const asked: boolean[] = []
  let name = ''
  const next = (): Buffer => {
    const turn = made++ % 8
    asked.push(turn < 4)
    if (turn >= 4) {
      const body = Buffer.from(junk[(made >> 3) % junk.length]!)
      return Buffer.concat([Buffer.from([0, body.length]), body])
    }
    if (turn === 0 || turn === 2) name = `flood-${made}`
    const texts = { buyer: 'mallory', seller: 'bob', asset_id: 'a', asset_name: 'A', price: turn === 3 ? '1' : '2' }
    const body = { tx_id: name, ...texts, timestamp: '2026-11-21T01:02:03.456Z' }
    return Buffer.from(frameOf({ action: 'submit_purchase', body })!)
  }
  const { socket, closed } = raw((socket) => pour(socket, next))
  socket.on('data', (bytes: Buffer) => {
    reader.push(bytes)
    for (let body = reader.next(); body !== undefined; body = reader.next()) {
      answered++
      if (asked.shift() === true) purchases++
      const { status, code } = JSON.parse(Buffer.from(body).toString()) as Record<string, string>
      codes.set(code ?? status!, (codes.get(code ?? status!) ?? 0) + 1)
    }
  })
  // What the gateway may have taken and not answered: the requests of one connection that it works on.
  return closed.then(() => void (purchases += asked.slice(0, 64).filter(Boolean).length))
}

const kinds: Record<string, () => Promise<unknown>> = {
  async slow() {
    const all = Array.from({ length: 500 }, () =>
      raw((socket) => {
        const line = '{"type":"ping","x":"'
        let at = 0
        const timer = setInterval(() => {
          if (socket.destroyed) clearInterval(timer)
          else socket.write(line[at++ % line.length]!)
        }, 1_000)
      }),
    )
    await Promise.race([Promise.all(all.map(({ closed }) => closed)), pause(milliseconds)])
  },
  async idle() {
    const all = Array.from({ length: 1_000 }, () => raw(() => undefined))
    await Promise.race([Promise.all(all.map(({ closed }) => closed)), pause(milliseconds)])
  },
  junk: () =>
    again(4, () => {
      const noise = randomBytes(64 * 1024)
      return raw((socket) => pour(socket, () => noise)).closed
    }),
  signatures: () => again(4, () => raw((socket) => pour(socket, unsigned)).closed),
  headers: () =>
    again(2, () => {
      const answer = (message: Message, from: StrangerPeer): void => {
        if (message['type'] !== 'header_request') return
        from.send({ type: 'header_response', request_id: message['request_id'], headers: cheapHeaders(from, 2_000) })
      }
      return peer({ height: 100_000, hear: answer }, (one) => {
        for (const header of cheapHeaders(one, 50)) {
          one.send({ type: 'new_block', node_id: one.nodeId, data: { ...header, transactions: [] } })
        }
      })
    }),
  height: () => {
    const silent = Array.from({ length: 5 }, () => peer({ height: 1e9 }, () => undefined))
    const empty = Array.from({ length: 5 }, () =>
      peer(
        {
          height: 1e9,
          hear(message, from) {
            const { type, request_id } = message
            if (type === 'header_request') from.send({ type: 'header_response', request_id, headers: [] })
            if (type === 'block_request') from.send({ type: 'block_response', request_id, blocks: [] })
            if (type === 'ping') from.send({ type: 'pong', request_id, node_id: from.nodeId, height: 1e9 })
          },
        },
        () => undefined,
      ),
    )
    return Promise.all([...silent, ...empty])
  },
  gateway: () => Promise.all(Array.from({ length: 8 }, floodGateway)),
  addresses: () =>
    peer({}, (one) => {
      for (let message = 0; message < 100; message++) {
        const peers = Array.from({ length: 1_000 }, () => {
          const [a, b, c, d] = randomBytes(4)
          return `${(a! % 223) + 1}.${b}.${c}.${d}:13245`
        })
        one.send({ type: 'peer_list', peers })
      }
    }),
}

const attack = kinds[kind]
if (attack === undefined) throw new Error(`no such attack: ${kind}; there are ${Object.keys(kinds).join(', ')}`)
await attack()
const now = performance.now()
for (const since of open.values()) longest = Math.max(longest, now - since)
process.stdout.write(
  `${JSON.stringify({ opened, open: open.size, longest: Math.round(longest), sent, purchases, answered, codes: Object.fromEntries(codes) })}\n`,
)
process.exit(0)
