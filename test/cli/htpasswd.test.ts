import { describe, expect, it } from 'vitest'
import { parseHtpasswd } from '../../src/cli/htpasswd.js'

const HASH = '$2y$05$c4WoMPo3SXsafkva.HHa6uXQZWr7oboPiC2bT/r7q1BB8I2s0BRqC'

describe('an htpasswd file', () => {
  it('has a user a line, and nothing in empty lines and comments', () => {
    const text = `\ufeff# people\n\nada:${HASH}\r\nbob@example.org:${HASH}:Bob\n  \nmia:${HASH} \n`

    expect(parseHtpasswd(text)).toEqual({
      users: ['ada', 'bob@example.org', 'mia'].map((name) => ({ name, passwordHash: HASH })),
      unusable: [],
    })
  })

  it.each([
    ['ada:$apr1$xyz$secretsecret', 'the password of ada is hashed with MD5'],
    ['ada:$1$xyz$secretsecret', 'the password of ada is hashed with MD5'],
    ['ada:{SHA}secretsecret=', 'the password of ada is hashed with SHA-1'],
    ['ada:$6$xyz$secretsecret', 'the password of ada is hashed with SHA-2'],
    ['ada:secretsecret', 'the password of ada is hashed with crypt, or not at all'],
    ['ada:', 'the password of ada is hashed with crypt, or not at all'],
    ['ada:$2y$05$secret', 'the password of ada is malformed, or too costly to check'],
    [HASH.replace('$05$', '$31$').replace(/^/, 'ada:'), 'the password of ada is malformed'],
    ['secretsecret', 'it has no colon'],
    [`a b:${HASH}`, 'no user can have this name'],
    [`operator:${HASH}`, 'no user can have this name'],
    [`zoe:${HASH}`, 'zoe stands in line 1 already'],
  ])('tells of a line that cannot be used, and not what is in it: %s', (row, reason) => {
    const { users, unusable } = parseHtpasswd(`zoe:${HASH}\n${row}\neve:${HASH}`)

    expect(users.map(({ name }) => name)).toEqual(['zoe', 'eve'])
    expect(unusable).toEqual([{ line: 2, reason: expect.stringContaining(reason) as string }])
    expect(unusable[0]?.reason).not.toMatch(/secret|\$31/)
  })
})
