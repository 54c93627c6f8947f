import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { CertificateError } from '../../src/tls/certificates.js'
import { temporaryDirectory } from '../support/directories.js'
import { eventually } from '../support/eventually.js'
import { bytesOf, pushBlob } from '../support/images.js'
import { RawConnection } from '../support/raw-connection.js'
import { startTestServer } from '../support/server.js'
import { runSideBySide } from '../support/side-by-side.js'
import { makeTestCertificates, startTlsServer, tlsConfig, type TlsServer } from '../support/tls.js'

runSideBySide()

const ping = 'GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n'

/** The SHA-256 of the certificate that a new connection is shown. */
async function shownBy({ port, trust }: TlsServer): Promise<string | undefined> {
  const connection = await RawConnection.openTls(port, trust)
  connection.write(ping)
  expect((await connection.answer()).status).toBe(200)
  return connection.shownCertificate
}

/** What a log says, one entry a line. */
function recordingLog() {
  interface Line {
    readonly level: number
    readonly reason?: string
  }
  const lines: Line[] = []
  const write = (line: string) => void lines.push(JSON.parse(line) as Line)
  const log = pino({ level: 'info' }, { write })
  return { log, warnings: () => lines.filter(({ level }) => level >= 40) }
}

describe.concurrent('a certificate that is renewed', () => {
  it('is shown to new connections, while what is under way goes on', async () => {
    const server = await startTlsServer('both')
    const large = bytesOf(32 * 1024 * 1024, 'large')
    const digest = await pushBlob(server.app, 'app', large)
    const old = await server.certificates.fingerprint()
    const pulling = await RawConnection.openTls(server.port, server.trust)
    pulling.socket.pause()
    pulling.write(`GET /v2/app/blobs/${digest} HTTP/1.1\r\nHost: x\r\n\r\n`)
    await once(server.app.server, 'request')

    const renewed = await server.certificates.renew()
    await server.server.reloadCertificate()
    const shown = await shownBy(server)
    pulling.socket.resume()
    const { body } = await pulling.answer()
    pulling.write(ping)
    const next = await pulling.answer()

    expect(renewed).not.toBe(old)
    expect(shown).toBe(renewed)
    expect(Buffer.from(body, 'latin1').equals(large)).toBe(true)
    expect([next.status, pulling.shownCertificate]).toEqual([200, old])
  })

  it('is noticed without being told', async () => {
    const server = await startTlsServer('only')

    const renewed = await server.certificates.renew()

    await eventually(
      () => shownBy(server),
      (shown) => shown === renewed,
    )
  })

  it('is noticed when a link to its folder points elsewhere now', async () => {
    const folder = await temporaryDirectory()
    const made = await makeTestCertificates(path.join(folder, 'first'))
    const next = path.join(folder, 'second')
    await mkdir(next)
    for (const name of ['ca.crt', 'ca.key', 'server.crt', 'server.key']) {
      await copyFile(path.join(made.folder, name), path.join(next, name))
    }
    const second = await makeTestCertificates(next)
    await symlink('first', path.join(folder, '..data'))
    const linked = path.join(folder, '..data')
    const certificates = {
      ...made,
      certificateFile: path.join(linked, 'server.crt'),
      keyFile: path.join(linked, 'server.key'),
    }
    const server = await startTlsServer('only', { certificates })
    const before = await shownBy(server)

    await symlink('second', path.join(folder, '..data_tmp'))
    await rename(path.join(folder, '..data_tmp'), linked)
    await server.server.reloadCertificate()

    expect(before).toBe(await made.fingerprint())
    expect(await shownBy(server)).toBe(await second.fingerprint())
    expect(before).not.toBe(await second.fingerprint())
  })

  it('does not come into use before its key is there, and is told of once', async () => {
    const { log, warnings } = recordingLog()
    const server = await startTlsServer('only', { log })
    const { certificates } = server
    const old = await certificates.fingerprint()
    const oldKey = await readFile(certificates.keyFile)
    const renewed = await certificates.renew()
    const newKey = await readFile(certificates.keyFile)
    await writeFile(certificates.keyFile, oldKey)

    for (let round = 0; round < 3; round++) await server.server.reloadCertificate()
    const meanwhile = await shownBy(server)
    await writeFile(certificates.keyFile, newKey)
    await server.server.reloadCertificate()

    expect(meanwhile).toBe(old)
    expect(await shownBy(server)).toBe(renewed)
    expect(warnings()).toHaveLength(1)
    expect(warnings()[0]?.reason).toContain('does not belong to')
  })

  it.each<[string, (file: string) => Promise<void>]>([
    ['half written', async (file) => writeFile(file, (await readFile(file)).subarray(0, 300))],
    ['empty', (file) => writeFile(file, '')],
    ['gone', (file) => rename(file, `${file}.away`)],
    ['no certificate', (file) => writeFile(file, 'certificate')],
  ])('is not used when its file is %s; the old one stays', async (_what, spoil) => {
    const { log, warnings } = recordingLog()
    const server = await startTlsServer('only', { log })
    const old = await server.certificates.fingerprint()

    await spoil(server.certificates.certificateFile)
    for (let round = 0; round < 3; round++) await server.server.reloadCertificate()

    expect(await shownBy(server)).toBe(old)
    expect(warnings()).toHaveLength(1)
  })

  it('is not waited for when its file is one that never ends, and neither is the end', async () => {
    const { log, warnings } = recordingLog()
    const server = await startTlsServer('only', { log })
    const { certificateFile } = server.certificates
    const old = await server.certificates.fingerprint()
    const renewed = await server.certificates.renew()
    await rename(certificateFile, `${certificateFile}.away`)
    execFileSync('mkfifo', [certificateFile])

    await server.server.reloadCertificate()
    const meanwhile = await shownBy(server)
    await rename(`${certificateFile}.away`, certificateFile)
    await server.server.reloadCertificate()

    expect([meanwhile, await shownBy(server)]).toEqual([old, renewed])
    expect(warnings()).toHaveLength(1)
    expect(warnings()[0]?.reason).toContain('it is no file')
  })
})

describe('a server whose certificate cannot be used', () => {
  async function startWith(change: (files: Files) => Promise<Partial<Files>>) {
    const { certificateFile, keyFile } = await makeTestCertificates()
    const files = { certificateFile, keyFile }
    const tls = tlsConfig('only', { ...files, ...(await change(files)) })
    const dataDirectory = path.join(await temporaryDirectory(), 'data')
    const started = startTestServer({ dataDirectory, config: { http: { tls } } })
    const error = await started.catch((thrown: unknown) => thrown)
    return { error, dataDirectory }
  }

  interface Files {
    readonly certificateFile: string
    readonly keyFile: string
  }

  it.each<[string, (files: Files) => Promise<Partial<Files>>, RegExp]>([
    [
      'a certificate that is not there',
      async () => ({ certificateFile: '/nowhere/server.crt' }),
      /^the certificate \/nowhere\/server\.crt cannot be read: ENOENT$/,
    ],
    [
      'a key that is not there',
      async () => ({ keyFile: '/nowhere/server.key' }),
      /^the key \/nowhere\/server\.key cannot be read: ENOENT$/,
    ],
    [
      'a key of another certificate',
      async () => ({ keyFile: (await makeTestCertificates()).keyFile }),
      /^the key \S+ does not belong to the certificate \S+$/,
    ],
    [
      'the two files swapped',
      async ({ certificateFile, keyFile }) => ({
        certificateFile: keyFile,
        keyFile: certificateFile,
      }),
      /^\S+ holds no certificate in PEM form$/,
    ],
    [
      'a certificate in the place of its key',
      async ({ certificateFile }) => ({ keyFile: certificateFile }),
      /^\S+ holds no private key in PEM form without a password$/,
    ],
  ])('does not start with %s, says so, and touches nothing', async (_what, change, message) => {
    const { error, dataDirectory } = await startWith(change)

    expect(error).toBeInstanceOf(CertificateError)
    expect((error as Error).message).toMatch(message)
    await expect(readFile(path.join(dataDirectory, 'berth.db'))).rejects.toThrow('ENOENT')
  })
})
