import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { createServer } from 'node:tls'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryDirectory } from '../support/directories.js'
import { eventually } from '../support/eventually.js'
import { runBerth } from '../support/command.js'
import { BerthProcess, runBerthProcess } from '../support/process.js'
import { RawConnection } from '../support/raw-connection.js'
import {
  makeClientCertificate,
  makeTestCertificates,
  tlsEnvironment,
  type TestCertificates,
} from '../support/tls.js'

interface Served {
  readonly berth: BerthProcess
  readonly data: string
  readonly port: number
  readonly certificates: TestCertificates
}

/** `berth serve` on a free port that speaks TLS. */
async function serve(
  mode: 'only' | 'both',
  environment: Readonly<Record<string, string>> = {},
): Promise<Served> {
  const data = await temporaryDirectory()
  const certificates = await makeTestCertificates()
  const berth = new BerthProcess(['serve', '--port', '0', '--data', data], {
    environment: { ...tlsEnvironment(mode, certificates), ...environment },
  })
  const [, port] = await berth.output('stdout', /^Berth listens on .*:(\d+)\n/)
  await berth.output('stdout', /docker pull .*\n/)
  return { berth, data, port: Number(port), certificates }
}

function ask(data: string) {
  return runBerth(['repo', 'list', '--json', '--data', data])
}

interface OperatorFile {
  readonly url: string
  readonly certificate?: string
}

async function operatorFileIn(data: string): Promise<OperatorFile> {
  const text = await readFile(path.join(data, 'berth.operator.json'), 'utf8')
  return JSON.parse(text) as OperatorFile
}

describe('berth serve with TLS', () => {
  it.each([
    ['only', /^Berth listens on https:\/\/localhost:(\d+)\n/],
    ['both', /^Berth listens on http:\/\/localhost:(\d+), and on https:\/\/localhost:\1\n/],
  ] as const)('says what it speaks: %s', async (mode, line) => {
    const { berth } = await serve(mode)

    expect(berth.stdout).toMatch(line)
  })

  it('takes a new certificate when it gets SIGHUP, and goes on', async () => {
    const { berth, port, certificates } = await serve('only')

    const renewed = await certificates.renew()
    berth.signal('SIGHUP')
    await berth.output('stderr', /new connections get a new certificate/)
    const connection = await RawConnection.openTls(port, { ca: certificates.caText })

    expect(connection.shownCertificate).toBe(renewed)
    expect(berth.hasExited).toBe(false)
  })

  it('does not start with a key of another certificate, and says so in one sentence', async () => {
    const data = path.join(await temporaryDirectory(), 'data')
    const files = await makeTestCertificates()
    const { keyFile } = await makeTestCertificates()
    const options = { environment: tlsEnvironment('only', { ...files, keyFile }) }

    const serving = await runBerthProcess(['serve', '--port', '0', '--data', data], options)
    const checking = await runBerth(['config', 'check'], options)

    for (const { code, stderr } of [serving, checking]) {
      expect(code).toBe(1)
      expect(stderr).toBe(
        `berth: the key ${keyFile} does not belong to the certificate ${files.certificateFile}\n`,
      )
    }
  })

  it('is found in order by config check where it is', async () => {
    const environment = tlsEnvironment('only', await makeTestCertificates())

    const { code, stdout } = await runBerth(['config', 'check'], { environment })

    expect([code, stdout]).toEqual([0, 'The configuration is valid.\n'])
  })
})

describe('commands, with a server that speaks TLS', () => {
  it.each(['only', 'both'] as const)('reach it: %s', async (mode) => {
    const { data } = await serve(mode)

    const { code, stdout, stderr } = await ask(data)

    expect([code, stderr]).toEqual([0, ''])
    expect(JSON.parse(stdout)).toEqual({ items: [] })
  })

  it('reach it after it has got a new certificate', async () => {
    const { berth, data, certificates } = await serve('only')

    const renewed = await certificates.renew()
    berth.signal('SIGHUP')
    await eventually(
      async () => (await operatorFileIn(data)).certificate,
      (certificate) => certificate === renewed,
    )

    expect((await ask(data)).code).toBe(0)
  })

  it('reach it where each client has to show a certificate', async () => {
    const { ca } = await makeClientCertificate()
    const clientCaFile = path.join(await temporaryDirectory(), 'clients.crt')
    await writeFile(clientCaFile, ca)
    const { data } = await serve('only', {
      BERTH_HTTP_TLS_CLIENT_CERTIFICATES: 'required',
      BERTH_HTTP_TLS_CLIENT_CA_FILE: clientCaFile,
    })

    const { code, stderr } = await ask(data)

    expect([code, stderr]).toEqual([0, ''])
  })

  it('say nothing to another that listens in its place', async () => {
    const { data, port, berth } = await serve('only')
    const access = await operatorFileIn(data)
    const impostor = await startImpostor()
    const url = access.url.replace(String(port), String(impostor.port))
    await writeFile(path.join(data, 'berth.operator.json'), JSON.stringify({ ...access, url }))

    const { code, stderr } = await ask(data)

    expect(code).toBe(1)
    expect(stderr).toContain('another certificate')
    expect(impostor.heard()).toBe('')
    expect(berth.hasExited).toBe(false)
  })
})

/** Speaks TLS with a certificate of its own, and remembers what it was told. */
async function startImpostor() {
  const { certificateFile, keyFile } = await makeTestCertificates()
  let heard = ''
  const server = createServer(
    { cert: await readFile(certificateFile), key: await readFile(keyFile) },
    (socket) => {
      socket.on('data', (bytes: Buffer) => (heard += bytes.toString('latin1')))
      socket.on('error', () => undefined)
    },
  )
  onTestFinished(() => void server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return { port: (server.address() as AddressInfo).port, heard: () => heard }
}
