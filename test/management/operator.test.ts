import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { localUrl } from '../../src/operator-file.js'
import { temporaryDirectory } from '../support/directories.js'
import { ask, operatorTokenIn, problemOf } from '../support/management.js'
import { sharedTestServer, startTestServer } from '../support/server.js'

const fileIn = (directory: string) => path.join(directory, 'berth.operator.json')

describe('the operator file', () => {
  it('tells nobody but its owner where the server is, and its token', async () => {
    const { dataDirectory, url } = await startTestServer()

    const text = await readFile(fileIn(dataDirectory), 'utf8')
    const { mode } = await stat(fileIn(dataDirectory))

    const { token, ...rest } = JSON.parse(text) as { token: string }
    expect(rest).toEqual({ url, pid: process.pid })
    expect(Buffer.from(token, 'base64url')).toHaveLength(32)
    expect(mode & 0o777).toBe(0o600)
  })

  it('is there while the server is', async () => {
    const { dataDirectory, server } = await startTestServer()

    expect(existsSync(fileIn(dataDirectory))).toBe(true)
    await server.close()
    expect(existsSync(fileIn(dataDirectory))).toBe(false)
  })

  it('takes the place of what a server that was killed has left', async () => {
    const dataDirectory = await temporaryDirectory()
    await writeFile(fileIn(dataDirectory), '{"url":"x","token":"old","pid":1}', { mode: 0o644 })

    const { url } = await startTestServer({ dataDirectory })

    const text = await readFile(fileIn(dataDirectory), 'utf8')
    expect(JSON.parse(text)).toMatchObject({ url })
    expect((await stat(fileIn(dataDirectory))).mode & 0o777).toBe(0o600)
  })

  it('has another token at each start', async () => {
    const first = await startTestServer()
    const second = await startTestServer()

    expect(operatorTokenIn(first.dataDirectory)).not.toBe(operatorTokenIn(second.dataDirectory))
  })

  it('does not keep the registry from serving when it cannot be written', async () => {
    const dataDirectory = await temporaryDirectory()
    await mkdir(path.join(fileIn(dataDirectory), 'in-its-place'), { recursive: true })

    const { app } = await startTestServer({ dataDirectory })

    expect((await app.inject('/v2/')).statusCode).toBe(200)
  })

  it.each([
    ['127.0.0.1', 'IPv4', 'http://127.0.0.1:5000'],
    ['192.0.2.1', 'IPv4', 'http://192.0.2.1:5000'],
    ['0.0.0.0', 'IPv4', 'http://127.0.0.1:5000'],
    ['::', 'IPv6', 'http://[::1]:5000'],
    ['::1', 'IPv6', 'http://[::1]:5000'],
  ])('says how %s is reached', (address, family, url) => {
    expect(localUrl({ address, family, port: 5000 }, 'off')).toBe(url)
    expect(localUrl({ address, family, port: 5000 }, 'both')).toBe(url)
    expect(localUrl({ address, family, port: 5000 }, 'only')).toBe(url.replace('http', 'https'))
  })
})

describe('the operator', () => {
  const registry = sharedTestServer({ config: { access: { mode: 'open' } } })

  it.each<['GET' | 'POST' | 'DELETE', string, object?]>([
    ['GET', '/runs'],
    ['GET', '/runs/1'],
    ['GET', '/gc'],
    ['POST', '/gc/runs', { dryRun: true }],
    ['GET', '/retention'],
    ['POST', '/retention/preview', {}],
    ['POST', '/retention/runs', {}],
    ['GET', '/verify'],
    ['POST', '/verify/runs', {}],
    ['DELETE', '/verify/runs/current'],
    ['POST', '/backup/runs', { directory: 'not/absolute' }],
  ])('alone may %s %s, whatever others may push', async (method, path, body) => {
    const { app } = registry

    const refused = await ask(app, method, path, { ...(body && { body }), token: null })
    const taken = await ask(app, method, path, body && { body })

    expect(refused.statusCode).toBe(403)
    expect(problemOf(refused).code).toBe('DENIED')
    expect(taken.statusCode).not.toBe(403)
  })

  it.each(['wrong', '', 'é'])('is nobody with another token: "%s"', async (token) => {
    const { app } = registry

    const response = await ask(app, 'GET', '/runs', { token })

    expect(response.statusCode).toBe(401)
    expect(response.headers['www-authenticate']).toMatch(/^Bearer/)
    expect(problemOf(response).code).toBe('UNAUTHORIZED')
  })

  it('is known by its token, whatever else is wrong', async () => {
    const { app, dataDirectory } = registry
    const token = operatorTokenIn(dataDirectory)

    expect((await ask(app, 'GET', '/runs', { token })).statusCode).toBe(200)
    expect((await ask(app, 'GET', '/nothing', { token })).statusCode).toBe(404)
  })

  it('is no one to the registry API', async () => {
    const { app } = registry

    const response = await app.inject({ url: '/v2/', headers: { authorization: 'Bearer wrong' } })

    expect(response.statusCode).toBe(200)
  })
})
