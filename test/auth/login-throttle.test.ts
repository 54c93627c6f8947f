import { describe, expect, it } from 'vitest'
import { LoginThrottle } from '../../src/auth/login-throttle.js'

function world() {
  let at = 1_000_000
  const throttle = new LoginThrottle({ now: () => at })
  return {
    throttle,
    pass: (seconds: number) => (at += seconds * 1000),
    /** Tries a wrong password; says how long it has to wait, or undefined where it was tried. */
    guess: (name: string, address: string): number | undefined => {
      const wait = throttle.check(name, address)
      if (wait === undefined) throttle.failed(name, address)
      return wait
    },
    /** Guesses as often, and always as soon as that is possible; says how long it took. */
    persist: (
      count: number,
      name: (index: number) => string,
      address: (index: number) => string,
    ) => {
      const began = at
      for (let index = 0; index < count; index++) {
        for (;;) {
          const wait = throttle.check(name(index), address(index))
          if (wait === undefined) break
          at += wait * 1000
        }
        throttle.failed(name(index), address(index))
      }
      return (at - began) / 1000
    },
  }
}

const here = '192.0.2.1'
const there = '198.51.100.1'
const everywhere = (index: number) =>
  `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`

describe('whoever guesses the password of one account', () => {
  it('waits after ten failures, twice as long each time, up to five minutes', () => {
    const { guess, pass } = world()

    const waits: (number | undefined)[] = []
    for (let count = 0; count < 22; count++) {
      const wait = guess('alice', here)
      waits.push(wait)
      if (wait === undefined) continue
      pass(wait)
      guess('alice', here)
    }

    expect(waits.slice(0, 11)).toEqual(Array(11).fill(undefined))
    expect(waits.slice(11)).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300])
  })

  it('is told how long is left of it', () => {
    const { guess, pass } = world()
    for (let count = 0; count < 13; count++) {
      guess('alice', here)
      if (count >= 11) pass(1)
    }

    expect(guess('alice', here)).toBeGreaterThan(0)
    pass(0.1)
    expect(guess('alice', here)).toBe(1)
  })

  it('does not make others wait: not the account elsewhere, nor others here', () => {
    const { guess, persist } = world()

    persist(
      12,
      () => 'alice',
      () => here,
    )

    expect(guess('alice', here)).toBeDefined()
    expect(guess('alice', there)).toBeUndefined()
    expect(guess('bob', here)).toBeUndefined()
  })

  it('is refused without that making it longer', () => {
    const { guess, pass, persist } = world()
    persist(
      11,
      () => 'alice',
      () => here,
    )

    for (let count = 0; count < 100; count++) expect(guess('alice', here)).toBe(1)
    pass(1)

    expect(guess('alice', here)).toBeUndefined()
  })

  it('makes fewer than three hundred guesses a day', () => {
    const { persist } = world()

    const seconds = persist(
      320,
      () => 'alice',
      () => here,
    )

    expect(seconds).toBeGreaterThan(86_400)
  })

  it('is forgiven bit by bit', () => {
    const { guess, pass, persist } = world()
    persist(
      15,
      () => 'alice',
      () => here,
    )

    pass(16 * 300)

    for (let count = 0; count < 11; count++) expect(guess('alice', here)).toBeUndefined()
    expect(guess('alice', here)).toBe(1)
  })

  it('begins anew once the password was right', () => {
    const { guess, pass, persist, throttle } = world()
    persist(
      11,
      () => 'alice',
      () => here,
    )
    pass(1)

    expect(throttle.check('alice', here)).toBeUndefined()
    throttle.succeeded('alice', here)

    for (let count = 0; count < 11; count++) expect(guess('alice', here)).toBeUndefined()
    expect(guess('alice', here)).toBe(1)
  })
})

describe('tries under way', () => {
  it('count as if they had failed', () => {
    const { throttle } = world()

    const waits = Array.from({ length: 100 }, () => throttle.check('alice', here))

    expect(waits.filter((wait) => wait === undefined)).toHaveLength(10)
    expect(waits.slice(10)).toEqual(Array(90).fill(1))
  })

  it('are one at a time once nothing is free', () => {
    const { pass, persist, throttle } = world()
    persist(
      11,
      () => 'alice',
      () => here,
    )
    pass(1)

    const waits = Array.from({ length: 20 }, () => throttle.check('alice', here))

    expect(waits).toEqual([undefined, ...Array<number>(19).fill(1)])
  })

  it('free their places when they end well, or nobody knows how they ended', () => {
    const { throttle } = world()
    const begin = () => throttle.check('alice', here)
    const beginAll = () => Array.from({ length: 10 }, begin)

    expect(beginAll()).toEqual(Array(10).fill(undefined))
    for (let count = 0; count < 10; count++) throttle.succeeded('alice', here)
    expect(beginAll()).toEqual(Array(10).fill(undefined))
    expect(begin()).toBe(1)
    for (let count = 0; count < 10; count++) throttle.abandoned('alice', here)
    expect(beginAll()).toEqual(Array(10).fill(undefined))
  })
})

describe('whoever guesses many accounts from one address', () => {
  it('waits after a hundred failures, for any of them', () => {
    const { guess } = world()

    const waits = Array.from({ length: 102 }, (_, index) => guess(`user-${index}`, here))

    expect(waits.slice(0, 101)).toEqual(Array(101).fill(undefined))
    expect(waits[101]).toBe(1)
    expect(guess('another', here)).toBe(1)
    expect(guess('another', there)).toBeUndefined()
  })

  it('is known by its network where there are more addresses than anybody can count', () => {
    const { guess } = world()
    for (let index = 0; index < 101; index++) {
      guess(`user-${index}`, `2001:db8:0:1::${index.toString(16)}`)
    }

    expect(guess('another', '2001:DB8:0:1:ffff:ffff:ffff:ffff')).toBe(1)
    expect(guess('another', '2001:db8:0:2::1')).toBeUndefined()
  })

  it('is the same whether IPv4 is written as such or as IPv6', () => {
    const { guess } = world()
    for (let count = 0; count < 11; count++) guess('alice', here)

    expect(guess('alice', `::ffff:${here}`)).toBe(1)
  })

  it('waits though its own account is right now and then', () => {
    const { guess, throttle } = world()

    for (let index = 0; index < 101; index++) {
      guess(`user-${index}`, here)
      throttle.check('mallory', here)
      throttle.succeeded('mallory', here)
    }

    expect(guess('another', here)).toBe(1)
  })

  it('does not wait for a job that fails all day, and is slowed down already', () => {
    const { guess, persist } = world()

    persist(
      300,
      () => 'robot',
      () => here,
    )

    expect(guess('robot', here)).toBeDefined()
    expect(guess('alice', here)).toBeUndefined()
  })
})

describe('an account that is guessed from everywhere', () => {
  it('waits from anywhere after a thousand failures', () => {
    const { guess } = world()

    for (let index = 0; index < 1001; index++) {
      expect(guess('alice', everywhere(index))).toBeUndefined()
    }

    expect(guess('alice', '203.0.113.1')).toBe(1)
    expect(guess('bob', '203.0.113.1')).toBeUndefined()
  })

  it('is not locked out where it has logged in before', () => {
    const { guess, throttle } = world()
    throttle.check('alice', here)
    throttle.succeeded('alice', here)
    for (let index = 0; index < 1010; index++) guess('alice', everywhere(index))

    expect(guess('alice', there)).toBeDefined()
    expect(throttle.check('alice', here)).toBeUndefined()
  })
})

describe('the tables', () => {
  it('forget who was used last when there are too many', () => {
    const { guess } = world()
    for (let count = 0; count < 11; count++) guess('alice', here)
    expect(guess('alice', here)).toBe(1)

    for (let index = 0; index < 20_000; index++) guess(`user-${index}`, everywhere(index))

    expect(guess('alice', here)).toBeUndefined()
  })

  it('take names and addresses of any kind', () => {
    const { guess } = world()

    for (const name of ['', '\0', 'x'.repeat(100_000), '__proto__', '世界']) {
      for (const address of [
        '',
        'unknown',
        'x'.repeat(100_000),
        '::1',
        'fe80::1%eth0',
        '1.2.3.4',
      ]) {
        expect(guess(name, address)).toBeUndefined()
      }
    }
  })
})
