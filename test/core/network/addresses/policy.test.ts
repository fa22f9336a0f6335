import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { parseNetwork } from '../../../../core/network/addresses/cidr.ts'
import { canonicalIp, networkGroup } from '../../../../core/network/addresses/ip.ts'
import { DialPolicy } from '../../../../core/network/addresses/policy.ts'

const policy = (dialNetworks: readonly string[] = [], loopback = false) =>
  new DialPolicy({ dialNetworks, onLoopbackOnly: () => loopback })
const allows = (it: DialPolicy, host: string, port = 13_245): boolean => it.verdict({ host, port }).ok

describe('threats row 17: which addresses of others are dialled', () => {
  const never = `
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 127.255.0.1 169.254.169.254 172.16.0.1 172.31.255.255
    192.0.0.1 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
    239.255.255.255 240.0.0.1 255.255.255.255 :: ::1 fe80::1 fc00::1 fd12:3456::1 ff02::1 2001:db8::1
    3fff::1 100::1 4000::1 fd00:ec2::254 64:ff9b::a9fe:a9fe 2002:7f00:1:: 2001::1 ::127.0.0.1
    ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:a00:1 0:0:0:0:0:ffff:c0a8:1
  `
    .trim()
    .split(/\s+/)
  test.each(never)('%s is not', (host) => {
    expect(policy().verdict({ host, port: 13_245 })).toMatchObject({ ok: false, code: 'not-dialled', provable: false })
  })

  test.each(['1.1.1.1', '8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '::ffff:8.8.8.8'])(
    '%s is',
    (host) => {
      expect(allows(policy(), host)).toBe(true)
    },
  )

  test.each(['localhost', 'example.org', 'metadata.google.internal', '2130706433', '0x7f.1', '127.1', '017700000001'])(
    '%s is a name to us: not dialled, whatever it resolves to',
    (host) => {
      expect(allows(policy(['0.0.0.0/0']), host)).toBe(false)
    },
  )

  test.each([1, 22, 25, 80, 443, 1_023])('port %i belongs to something else', (port) => {
    expect(allows(policy(['10.0.0.0/8']), '10.0.0.1', port)).toBe(false)
    expect(allows(policy(), '8.8.8.8', port)).toBe(false)
  })

  test('loopback in a development network alone', () => {
    expect(allows(policy([], true), '127.0.0.1')).toBe(true)
    expect(allows(policy([], true), '::1')).toBe(true)
    expect(allows(policy([], true), '10.0.0.1')).toBe(false)
    expect(allows(policy([], false), '127.0.0.1')).toBe(false)
  })

  test('private networks that the operator names, and only those', () => {
    const it = policy(['10.1.0.0/16', 'fd00:1::/32'])
    expect(allows(it, '10.1.2.3')).toBe(true)
    expect(allows(it, '::ffff:10.1.2.3')).toBe(true)
    expect(allows(it, '10.2.0.1')).toBe(false)
    expect(allows(it, 'fd00:1::5')).toBe(true)
    expect(allows(it, 'fd00:2::5')).toBe(false)
    expect(allows(it, '169.254.169.254')).toBe(false)
  })
})

describe('who counts as one', () => {
  test('a /16 of IPv4, a /32 of IPv6; in a network of the operator each node', () => {
    expect(networkGroup('8.8.1.2')).toBe(networkGroup('8.8.200.7'))
    expect(networkGroup('8.8.1.2')).not.toBe(networkGroup('8.9.1.2'))
    expect(networkGroup('2606:4700::1')).toBe(networkGroup('2606:4700:abcd:1::'))
    expect(networkGroup('2606:4700::1')).not.toBe(networkGroup('2606:4701::1'))
    expect(networkGroup('2606::1')).toBe('2606:0')
    const it = policy(['10.0.0.0/8'])
    expect(it.groupOf({ host: '10.0.0.1', port: 1_024 })).not.toBe(it.groupOf({ host: '10.0.0.2', port: 1_024 }))
    expect(it.sourceOf('8.8.1.2', 'a')).toBe(it.sourceOf('8.8.3.4', 'b'))
    expect(it.sourceOf('10.0.0.1', 'a')).not.toBe(it.sourceOf('10.0.0.1', 'b'))
  })
})

describe('one form of an address', () => {
  test('is the same for all spellings', () => {
    expect(canonicalIp('2001:DB8:0:0:0::1')).toBe('2001:db8::1')
    expect(canonicalIp('::FFFF:102:304')).toBe('1.2.3.4')
    expect(canonicalIp('fe80::1%eth0')).toBeUndefined()
    expect(canonicalIp('example.org')).toBeUndefined()
  })

  test('is its own canonical form', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const ip = canonicalIp(text)!
        expect(canonicalIp(ip)).toBe(ip)
      }),
      { numRuns: 2_000 },
    )
    expect(canonicalIp('0:0::0:0:1.2.3.4')).toBe('::102:304')
  })
})

describe('a network in CIDR form', () => {
  test.each([
    ['10.0.0.0/8', '10.0.0.0', 8],
    ['0.0.0.0/0', '0.0.0.0', 0],
    ['FD00:1::/32', 'fd00:1::', 32],
    ['192.168.4.0/22', '192.168.4.0', 22],
  ])('%s', (text, ip, prefix) => {
    expect(parseNetwork(text)).toEqual({ ok: true, value: { ip, prefix } })
  })

  test.each([
    ['10.0.0.5', '10.0.0.5/32'],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['192.168.7.0/22', '192.168.4.0/22'],
    ['fd00:1:2::/32', 'fd00:1::/32'],
    ['10.0.0.0/33', '32 bits'],
    ['lan', 'IP address'],
    ['10.0.0.0/', '/bits'],
  ])('%s is refused, and what was probably meant is named', (text, hint) => {
    const said = parseNetwork(text)
    expect(said.ok ? '' : said.detail).toContain(hint)
  })
})
