import { BlockList, isIP, isIPv6, SocketAddress } from 'node:net'

/** Several hosts' addresses that are written as one: `10.0.0.0/8`, or a single one without a length. */
export type Network = string

const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i

/** So much of an address that is none, which a proxy may send, tells it from others. */
const strangeLengthMax = 64

/**
 * Whether a text names a network: an IPv4 or IPv6 address, with or without the length of its prefix.
 */
export function isNetwork(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/')
  const version = isIP(address)
  if (version === 0 || address.includes('%') || more.length > 0) return false
  if (bits === undefined) return true
  return /^(0|[1-9]\d{0,2})$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128)
}

/** Whether nobody but this machine reaches a host, which may be an address or a name. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.')
}

/**
 * A test whether an address is in one of these networks. IPv4 addresses count as such also where a
 * socket for both shows them as IPv6; what is no address is in none.
 *
 * @param networks - each fits {@link isNetwork}
 */
export function addressesIn(
  networks: readonly Network[],
): (address: string | undefined) => boolean {
  if (networks.length === 0) return () => false
  const list = new BlockList()
  for (const network of networks) {
    const [text = '', bits] = network.split('/')
    const { address, family } = familyOf(text)
    if (bits === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(bits), family)
  }
  return (text) => {
    if (text === undefined || isIP(text) === 0) return false
    const { address, family } = familyOf(text)
    return list.check(address, family)
  }
}

/**
 * What a limit by address counts together: an IPv4 address, or the 64 bits of an IPv6 address that one
 * customer of a provider has at least.
 */
export function addressKey(address: string | undefined): string {
  if (address === undefined) return ''
  const { address: text, family } = familyOf(address)
  if (family === 'ipv4') return text
  if (!isIPv6(text)) return text.slice(0, strangeLengthMax)
  const zoneless = text.split('%')[0] ?? ''
  // As the system writes it: the same address can be written in many ways.
  const canonical = new SocketAddress({ address: zoneless, family: 'ipv6' }).address
  return `${groupsOf(canonical).slice(0, 4).join(':')}::/64`
}

function familyOf(text: string): { readonly address: string; readonly family: 'ipv4' | 'ipv6' } {
  const mapped = MAPPED.exec(text)?.[1]
  if (mapped !== undefined) return { address: mapped, family: 'ipv4' }
  return { address: text, family: isIP(text) === 4 ? 'ipv4' : 'ipv6' }
}

/** The groups of an IPv6 address, with those that `::` stands for. */
function groupsOf(canonical: string): string[] {
  const [head = '', tail] = canonical.split('::')
  const before = head === '' ? [] : head.split(':')
  if (tail === undefined) return before
  const after = tail === '' ? [] : tail.split(':')
  const missing = Math.max(0, 8 - before.length - after.length)
  return [...before, ...Array<string>(missing).fill('0'), ...after]
}
