import { describe, expect, it } from 'vitest'
import { startTestServer } from '../support/server.js'

describe('GET /v2/', () => {
  it.each(['/v2/', '/v2'])('says at %s that there is a registry', async (url) => {
    const { app } = await startTestServer()

    const response = await app.inject(url)

    expect(response.statusCode).toBe(200)
    expect(response.headers['content-type']).toBe('application/json')
    expect(response.headers['content-length']).toBe('2')
    expect(response.headers['docker-distribution-api-version']).toBe('registry/2.0')
    expect(response.body).toBe('{}')
  })
})
