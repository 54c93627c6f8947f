import { readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { startTestServer } from '../support/server.js'
import { makeTestCertificates, startTlsServer, tlsConfig } from '../support/tls.js'

describe('GET /ca.crt', () => {
  it('gives the certificate of the CA that is beside that of the server', async () => {
    const { app, certificates } = await startTlsServer('both')

    const response = await app.inject('/ca.crt')

    expect(response.statusCode).toBe(200)
    expect(response.headers['content-type']).toBe('application/x-x509-ca-cert')
    expect(response.body).toBe(await readFile(certificates.caFile, 'utf8'))
  })

  it('gives the file of http.tls.caFile also where something else speaks TLS', async () => {
    const { caFile } = await makeTestCertificates()
    const tls = tlsConfig('off', { certificateFile: '', keyFile: '' }, { caFile })
    const { app } = await startTestServer({ config: { http: { tls } } })

    const response = await app.inject('/ca.crt')

    expect(response.body).toBe(await readFile(caFile, 'utf8'))
  })

  it('never gives a key, wherever it stands', async () => {
    const made = await makeTestCertificates()
    const [certificate, key] = [
      await readFile(made.caFile),
      await readFile(`${made.folder}/ca.key`),
    ]
    const file = path.join(await temporaryDirectory(), 'both.pem')
    await writeFile(file, Buffer.concat([key, certificate, key]))
    const ask = async (caFile: string) => {
      const { app } = await startTlsServer('both', { tls: { caFile } })
      return app.inject('/ca.crt')
    }

    expect((await ask(file)).body).toBe(certificate.toString())
    expect((await ask(`${made.folder}/ca.key`)).statusCode).toBe(404)
  })

  it('is not there where no CA is known', async () => {
    const certificates = await makeTestCertificates()
    await rm(certificates.caFile)

    const { app: withoutTls } = await startTestServer()
    const { app: withoutCa } = await startTlsServer('only', { certificates })
    const { app: withoutFile } = await startTlsServer('only', { tls: { caFile: '/nowhere' } })

    for (const app of [withoutTls, withoutCa, withoutFile]) {
      expect((await app.inject('/ca.crt')).statusCode).toBe(404)
    }
  })
})
