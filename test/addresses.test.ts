import { describe, expect, it } from 'vitest'
import { addressesIn, addressKey } from '../src/addresses.js'

describe('an address', () => {
  it.each([
    ['10.1.2.3', ['10.0.0.0/8']],
    ['::ffff:10.1.2.3', ['10.0.0.0/8']],
    ['10.1.2.3', ['::ffff:10.1.2.3']],
    ['10.1.2.3', ['192.0.2.1', '10.1.2.3']],
    ['2001:db8::1', ['2001:db8::/32']],
    ['2001:DB8:0::1', ['2001:db8::1']],
    ['192.0.2.1', ['0.0.0.0/0']],
  ])('%s is in %j', (address, networks) => {
    expect(addressesIn(networks)(address)).toBe(true)
  })

  it.each([
    ['11.0.0.1', ['10.0.0.0/8']],
    ['2001:db9::1', ['2001:db8::/32']],
    ['::1', ['0.0.0.0/0']],
    ['10.1.2.3', []],
    ['', ['0.0.0.0/0', '::/0']],
    ['unknown', ['0.0.0.0/0', '::/0']],
    ['10.1.2.3:80', ['0.0.0.0/0', '::/0']],
    [undefined, ['0.0.0.0/0', '::/0']],
  ])('%s is not in %j', (address, networks) => {
    expect(addressesIn(networks)(address)).toBe(false)
  })

  it.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:DB8:0000:1:2:3:4:5', '2001:db8:0:1::/64'],
    ['::1', '0:0:0:0::/64'],
    ['1::', '1:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    [undefined, ''],
    ['unknown', 'unknown'],
    ['x'.repeat(100), 'x'.repeat(64)],
  ])('%s counts as %s', (address, key) => {
    expect(addressKey(address)).toBe(key)
  })
})
