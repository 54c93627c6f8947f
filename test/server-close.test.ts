import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import { describe, expect, it, onTestFinished } from 'vitest'
import { bytesOf, sha256 } from './support/images.js'
import { startTestServer } from './support/server.js'

describe('closing the server', () => {
  it('takes no longer than the last request, though its client keeps the connection', async () => {
    const shutdownSeconds = 15
    const { server, url } = await startTestServer({ config: { http: { shutdownSeconds } } })
    const agent = new Agent({ keepAlive: true })
    onTestFinished(() => agent.destroy())
    const bytes = bytesOf(1024)
    const opened = await fetch(`${url}/v2/app/blobs/uploads/`, { method: 'POST' })
    const location = new URL(opened.headers.get('location') ?? '', url)
    location.searchParams.set('digest', sha256(bytes))
    const upload = request(location, {
      agent,
      method: 'PUT',
      headers: { 'content-length': bytes.length, expect: '100-continue' },
    })
    const answered = once(upload, 'response') as Promise<[IncomingMessage]>
    await once(upload, 'continue')

    const closed = server.close()
    upload.end(bytes)
    const [answer] = await answered
    const answeredAt = Date.now()
    answer.resume()
    await closed

    expect(answer.statusCode).toBe(201)
    expect(Date.now() - answeredAt).toBeLessThan((shutdownSeconds * 1000) / 2)
  })
})
