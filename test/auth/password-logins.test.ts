import { describe, expect, it, onTestFinished } from 'vitest'
import { PasswordLogins } from '../../src/auth/password-logins.js'
import { Passwords } from '../../src/auth/passwords.js'

async function world() {
  const passwords = new Passwords()
  onTestFinished(() => passwords.close())
  const storedHash = await passwords.hash('right')
  let at = 0
  const logins = new PasswordLogins({ passwords, now: () => at })
  return {
    passwords,
    pass: (seconds: number) => (at += seconds * 1000),
    login: (password: string, options: { name?: string; stored?: string | undefined } = {}) =>
      logins.isRight({
        name: options.name ?? 'alice',
        address: '192.0.2.1',
        password,
        storedHash: 'stored' in options ? options.stored : storedHash,
      }),
  }
}

describe('a login', () => {
  it('is right or wrong', async () => {
    const { login } = await world()

    expect(await login('right')).toBe(true)
    expect(await login('wrong')).toBe(false)
    expect(await login('right', { stored: undefined })).toBe(false)
  })

  it.each([['an account'], ['no account']])(
    'that fails too often is refused, and told when to come back: %s',
    async (what) => {
      const { login, pass } = await world()
      const options = what === 'an account' ? {} : { stored: undefined }
      for (let count = 0; count < 11; count++) expect(await login('wrong', options)).toBe(false)

      await expect(login('wrong', options)).rejects.toMatchObject({
        code: 'TOOMANYREQUESTS',
        message: 'too many failed logins; try again in 1 s',
        retryAfterSeconds: 1,
      })
      pass(1)
      expect(await login('wrong', options)).toBe(false)
    },
  )

  it('that was right a moment ago goes on while others guess', async () => {
    const { login } = await world()
    await login('right')
    for (let count = 0; count < 11; count++) await login('wrong')

    await expect(login('wrong')).rejects.toMatchObject({ code: 'TOOMANYREQUESTS' })
    expect(await login('right')).toBe(true)
  })

  it('of a hundred guesses at once lets no more than ten be tried', async () => {
    const { login } = await world()

    const results = await Promise.allSettled(
      Array.from({ length: 100 }, (_, index) => login(`guess ${index}`)),
    )

    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(10)
  })

  it('of a hundred requests at once with the right password lets all pass', async () => {
    const { login } = await world()

    const answers = await Promise.all(Array.from({ length: 100 }, () => login('right')))

    expect(answers).toEqual(Array(100).fill(true))
  })

  it('that could not be checked is held against nobody', async () => {
    const { login, passwords } = await world()
    await passwords.close()

    for (let count = 0; count < 30; count++) {
      await expect(login('wrong')).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    }
  })
})
