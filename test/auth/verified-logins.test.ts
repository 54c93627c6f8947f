import { describe, expect, it } from 'vitest'
import { VerifiedLogins } from '../../src/auth/verified-logins.js'

/** Checks that take until the test says so, of passwords that are right when they are `right`. */
function countedChecks() {
  const checks: (() => void)[] = []
  let count = 0
  let fails = false
  return {
    get count() {
      return count
    },
    failNext: () => (fails = true),
    endAll: () => checks.splice(0).forEach((end) => end()),
    verify: async (password: string) => {
      count++
      await new Promise<void>((resolve) => checks.push(resolve))
      if (fails) throw new Error('no thread')
      return password === 'right'
    },
  }
}

function world() {
  const checks = countedChecks()
  let at = 0
  const verified = new VerifiedLogins(checks, { now: () => at })
  return {
    checks,
    verified,
    pass: (ms: number) => (at += ms),
    verify: async (password: string, stored = 'hash') => {
      const answer = verified.verify(password, stored, 'here')
      checks.endAll()
      return answer
    },
  }
}

describe('a password that was right', () => {
  it('is not checked again for a minute', async () => {
    const { checks, verify, pass } = world()

    const first = await verify('right')
    pass(59_999)
    const second = await verify('right')
    const checksWithin = checks.count
    pass(1)
    await verify('right')

    expect([first, second, checksWithin, checks.count]).toEqual([true, true, 1, 2])
  })

  it('is checked against another hash', async () => {
    const { checks, verify } = world()

    await verify('right', 'old')
    await verify('right', 'new')

    expect(checks.count).toBe(2)
  })

  it('is told apart from what reads the same together with its hash', async () => {
    const { checks, verify } = world()

    await verify('right', 'hash')
    const answer = await verify('ight', 'hashr')

    expect([answer, checks.count]).toEqual([false, 2])
  })

  it('is forgotten when ten thousand others were right after it', async () => {
    const { checks, verify } = world()
    await verify('right', 'kept')
    await verify('right', 'forgotten')
    for (let count = 0; count < 9_999; count++) {
      await verify('right', 'kept')
      await verify('right', `other ${count}`)
    }
    const before = checks.count

    await verify('right', 'kept')
    const afterKept = checks.count
    await verify('right', 'forgotten')

    expect([afterKept - before, checks.count - before]).toEqual([0, 1])
  }, 60_000)
})

describe('a password that was wrong', () => {
  it('is checked each time', async () => {
    const { checks, verify } = world()

    const answers = [await verify('wrong'), await verify('wrong')]

    expect([answers, checks.count]).toEqual([[false, false], 2])
  })
})

describe('equal questions at the same time', () => {
  it.each(['right', 'wrong'])(
    'share one check, and ask once whether it may be: %s',
    async (password) => {
      const { checks, verified } = world()
      const ends: (boolean | undefined)[] = []
      let asked = 0
      const whenChecked = () => {
        asked++
        return (isRight: boolean | undefined) => void ends.push(isRight)
      }

      const answers = Array.from({ length: 50 }, () =>
        verified.verify(password, 'hash', 'here', whenChecked),
      )
      const other = verified.verify('other', 'hash', 'here', whenChecked)
      checks.endAll()

      const isRight = password === 'right'
      expect(await Promise.all(answers)).toEqual(Array(50).fill(isRight))
      expect(await other).toBe(false)
      expect([asked, checks.count, ends]).toEqual([2, 2, [isRight, false]])
    },
  )
})

describe('a check', () => {
  it('is not made where it may not be', async () => {
    const { checks, verified } = world()
    const refuse = () => {
      throw new Error('wait')
    }

    await expect(verified.verify('right', 'hash', 'here', refuse)).rejects.toThrow('wait')

    expect(checks.count).toBe(0)
  })

  it('that is not needed asks nobody', async () => {
    const { verify, verified } = world()
    await verify('right')
    const refuse = () => {
      throw new Error('wait')
    }

    expect(await verified.verify('right', 'hash', 'here', refuse)).toBe(true)
  })

  it('that could not be made says nothing about the password, and is made again', async () => {
    const { checks, verified } = world()
    const ends: (boolean | undefined)[] = []
    checks.failNext()
    const answer = verified.verify(
      'right',
      'hash',
      'here',
      () => (isRight) => void ends.push(isRight),
    )
    checks.endAll()

    await expect(answer).rejects.toThrow('no thread')
    const again = verified.verify('right', 'hash', 'here')
    checks.endAll()
    await expect(again).rejects.toThrow('no thread')

    expect([ends, checks.count]).toEqual([[undefined], 2])
  })
})
