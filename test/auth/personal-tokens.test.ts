import { expect, it } from 'vitest'
import { createPersonalToken, hashOfToken } from '../../src/auth/personal-tokens.js'

it('personal tokens are told by how they begin, and no two are the same', () => {
  const tokens = Array.from({ length: 200 }, createPersonalToken)

  for (const { id, text, secretHash } of tokens) {
    expect(text).toMatch(/^berth_[0-9A-Za-z]{43}$/)
    expect(id).toMatch(/^[0-9a-f]{20}$/)
    expect(secretHash).toBe(hashOfToken(text))
    expect(secretHash).toMatch(/^[0-9a-f]{64}$/)
  }
  expect(new Set(tokens.map(({ text }) => text)).size).toBe(200)
  expect(new Set(tokens.map(({ id }) => id)).size).toBe(200)
})
