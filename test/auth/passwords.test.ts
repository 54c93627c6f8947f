import { readFileSync, readdirSync } from 'node:fs'
import { hashSync as bcryptHash } from '@node-rs/bcrypt'
import { describe, expect, it, onTestFinished } from 'vitest'
import { isPasswordHash, Passwords } from '../../src/auth/passwords.js'
import { eventually } from '../support/eventually.js'

function openPasswords(options?: { readonly threadCount?: number }): Passwords {
  const passwords = new Passwords(options)
  onTestFinished(() => passwords.close())
  return passwords
}

/** The cheapest there is. */
const bcryptCost = 4

describe('a password', () => {
  it('is hashed with argon2id and a salt of its own', async () => {
    const passwords = openPasswords()

    const [first, second] = await Promise.all([passwords.hash('secret'), passwords.hash('secret')])

    expect(first).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/)
    expect(second).not.toBe(first)
    expect(isPasswordHash(first)).toBe(true)
  })

  it.each(['secret', 'Grüße, 世界 🗝', ' ', 'a\0b', 'x'.repeat(1024)])(
    'is right when it is the same, and only then: %.20j',
    async (password) => {
      const passwords = openPasswords()

      const stored = await passwords.hash(password)

      expect(await passwords.verify(password, stored)).toBe(true)
      expect(await passwords.verify(`${password.slice(0, -1)}?`, stored)).toBe(false)
    },
  )

  it.each(['', 'x'.repeat(1025), 'ü'.repeat(513)])(
    'of no bytes, or too many, is refused: %.5j',
    async (password) => {
      const passwords = openPasswords()
      const stored = await passwords.hash('secret')

      await expect(passwords.hash(password)).rejects.toMatchObject({ code: 'REQUEST_INVALID' })
      expect(await passwords.verify(password, stored)).toBe(false)
    },
  )

  it.each(['$2a$', '$2b$', '$2y$'])('that htpasswd hashed as %s is known', async (prefix) => {
    const passwords = openPasswords()
    const stored = bcryptHash('secret', bcryptCost).replace('$2b$', prefix)

    expect(isPasswordHash(stored)).toBe(true)
    expect(await passwords.verify('secret', stored)).toBe(true)
    expect(await passwords.verify('Secret', stored)).toBe(false)
  })

  it('that bcrypt would cut off is wrong, not right for its beginning', async () => {
    const passwords = openPasswords()
    const longest = 'x'.repeat(72)
    const stored = bcryptHash(longest, bcryptCost)

    expect(await passwords.verify(longest, stored)).toBe(true)
    expect(await passwords.verify(`${longest}y`, stored)).toBe(false)
  })

  it('with a NUL is wrong where bcrypt would end at it', async () => {
    const passwords = openPasswords()
    const stored = bcryptHash('a', bcryptCost)

    expect(await passwords.verify('a', stored)).toBe(true)
    expect(await passwords.verify('a\0b', stored)).toBe(false)
  })
})

describe('what is stored', () => {
  it.each([
    '',
    'secret',
    '$apr1$x$y',
    '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=',
    '$2x$04$abcdefghijklmnopqrstuuVQFfYJHGYDiMoZ5V.HQKkjyEQi6c4Dm',
    '$2y$99$abcdefghijklmnopqrstuuVQFfYJHGYDiMoZ5V.HQKkjyEQi6c4Dm',
    '$2y$04$abc',
    '$argon2id$',
    '$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    // It would take 95 GiB.
    '$argon2id$v=19$m=99999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    '$argon2id$v=19$m=19456,t=999999999,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    '$argon2id$v=19$m=19456,t=0,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    '$argon2id$v=19$m=19456,t=2,p=0$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
    '$argon2id$v=19$m=15,t=2,p=2$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA',
  ])('and is no hash that can be checked fits no password: %s', async (stored) => {
    const passwords = openPasswords()

    expect(isPasswordHash(stored)).toBe(false)
    expect(await passwords.verify('secret', stored)).toBe(false)
    expect(await passwords.verify(stored, stored)).toBe(false)
  })

  it('and only looks like a hash fits no password', async () => {
    const passwords = openPasswords()
    // No base64 ends with these bits.
    const stored = `$argon2id$v=19$m=19456,t=2,p=1$${'A'.repeat(21)}9$${'A'.repeat(43)}`

    expect(isPasswordHash(stored)).toBe(true)
    expect(await passwords.verify('secret', stored)).toBe(false)
  })

  it('for an account that does not exist is checked, stays the same, and fits nothing', async () => {
    const passwords = openPasswords()

    const decoy = passwords.decoyFor('nobody')

    expect(isPasswordHash(decoy)).toBe(true)
    expect(passwords.decoyFor('nobody')).toBe(decoy)
    expect(passwords.decoyFor('somebody')).not.toBe(decoy)
    expect(openPasswords().decoyFor('nobody')).not.toBe(decoy)
    expect(await passwords.verify('secret', decoy)).toBe(false)
  })
})

/** Wrong for every password, and soon known to be. */
const cheapDecoy = (passwords: Passwords) =>
  passwords.decoyFor('x', bcryptHash('other', bcryptCost))

/** The nice value of each thread of this process. */
function niceOfThreads(): (string | undefined)[] {
  return readdirSync('/proc/self/task').flatMap((id) => {
    try {
      const stat = readFileSync(`/proc/self/task/${id}/stat`, 'utf8')
      return [stat.split(') ')[1]?.split(' ')[16]]
    } catch {
      // It has ended meanwhile.
      return []
    }
  })
}

describe('the threads', () => {
  it('go after everything else where each has a priority', async () => {
    // Those of the tests before may still be on their way out.
    await eventually(niceOfThreads, (nice) => !nice.includes('19'))

    await openPasswords().hash('secret')

    // Node's own helpers of the thread have begun before it says what it is.
    expect(niceOfThreads().filter((nice) => nice === '19')).toHaveLength(1)
  })

  it('take a hundred at once, and let timers run meanwhile', async () => {
    const passwords = openPasswords()
    const stored = await passwords.hash('secret')
    let ticks = 0
    const timer = setInterval(() => ticks++, 1)

    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        passwords.verify(index % 2 === 0 ? 'secret' : 'wrong', stored),
      ),
    )
    clearInterval(timer)

    expect(answers.filter(Boolean)).toHaveLength(50)
    expect(ticks).toBeGreaterThan(10)
  })

  it('take the places that passwords come from in turn', async () => {
    const passwords = openPasswords({ threadCount: 1 })
    const stored = cheapDecoy(passwords)
    const checked: string[] = []
    const check = (place: string) =>
      passwords.verify('secret', stored, place).then(() => checked.push(place))

    await Promise.all([...Array<string>(40).fill('there'), 'here', 'elsewhere'].map(check))

    // One was under way already, and one of the first place has its turn.
    expect(checked.slice(0, 4).sort()).toEqual(['elsewhere', 'here', 'there', 'there'])
  })

  it('refuse what would wait too long, and nobody for how many wait from elsewhere', async () => {
    const passwords = openPasswords({ threadCount: 1 })
    const stored = cheapDecoy(passwords)
    const flood = Array.from({ length: 300 }, () => passwords.verify('secret', stored, 'there'))

    const [own, ...others] = await Promise.allSettled([
      passwords.verify('secret', stored, 'here'),
      ...flood,
    ])

    expect(own).toEqual({ status: 'fulfilled', value: false })
    const refused = others.filter(({ status }) => status === 'rejected')
    // Of 301 one is under way and 256 may wait.
    expect(refused).toHaveLength(44)
    expect(refused[0]).toMatchObject({ reason: { code: 'UNAVAILABLE' } })
  })

  it('give up when they are closed, and begin no more', async () => {
    const passwords = openPasswords({ threadCount: 1 })
    const stored = cheapDecoy(passwords)
    const all = Promise.allSettled([
      passwords.verify('secret', stored),
      passwords.verify('secret', stored),
    ])

    await passwords.close()

    for (const result of await all) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE' } })
    }
    await expect(passwords.verify('secret', stored)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })
})
