import 'reflect-metadata'
import { KeyObject, webcrypto, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import {
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import type { TlsConfig } from '../../src/config.js'
import { makeAuthority, type KeyPair } from '../../src/tls/authority.js'
import { makeCertificateFiles, type MadeFiles } from '../../src/tls/made-files.js'
import { temporaryDirectory } from './directories.js'
import { startTestServer, type StartOptions, type TestServer } from './server.js'

/** The files of a server on 127.0.0.1, in a folder of the test's own. */
export interface TestCertificates extends MadeFiles {
  readonly folder: string
  /** Makes a new certificate under the same names; gives its SHA-256. */
  readonly renew: () => Promise<string>
  /** The SHA-256 of the certificate that is in the file now. */
  readonly fingerprint: () => Promise<string>
}

export async function makeTestCertificates(folder?: string): Promise<TestCertificates> {
  const into = folder ?? (await temporaryDirectory())
  const make = () =>
    makeCertificateFiles(into, { hosts: ['localhost', '127.0.0.1'], days: 30, now: new Date() })
  const made = await make()
  const fingerprint = async () =>
    new X509Certificate(await readFile(made.certificateFile)).fingerprint256
  return {
    ...made,
    folder: into,
    fingerprint,
    renew: async () => {
      await make()
      return fingerprint()
    },
  }
}

export interface TlsServer extends TestServer {
  readonly certificates: TestCertificates
  /** What a client needs to trust the server. */
  readonly trust: { readonly ca: string }
}

export type TlsServerOptions = Omit<StartOptions, 'config'> & {
  readonly config?: StartOptions['config']
  readonly tls?: Partial<TlsConfig>
  readonly certificates?: TestCertificates
}

/** A whole registry whose port speaks TLS. */
export async function startTlsServer(
  mode: 'only' | 'both',
  { config, tls, certificates, ...options }: TlsServerOptions = {},
): Promise<TlsServer> {
  const made = certificates ?? (await makeTestCertificates())
  const server = await startTestServer({
    ...options,
    config: { ...config, http: { ...config?.http, tls: tlsConfig(mode, made, tls) } },
  })
  return { ...server, certificates: made, trust: { ca: made.caText } }
}

export function tlsConfig(
  mode: TlsConfig['mode'],
  { certificateFile, keyFile }: Pick<TlsConfig, 'certificateFile' | 'keyFile'>,
  others: Partial<TlsConfig> = {},
): TlsConfig {
  return {
    ...{ mode, certificateFile, keyFile, caFile: '' },
    ...{ clientCertificates: 'none', clientCaFile: '' },
    ...others,
  }
}

/** The same as variables of the environment. */
export function tlsEnvironment(
  mode: TlsConfig['mode'],
  { certificateFile, keyFile }: Pick<TlsConfig, 'certificateFile' | 'keyFile'>,
): Record<string, string> {
  return {
    BERTH_HTTP_TLS_MODE: mode,
    BERTH_HTTP_TLS_CERTIFICATE_FILE: certificateFile,
    BERTH_HTTP_TLS_KEY_FILE: keyFile,
  }
}

/** A CA for clients, and a client of it. */
export async function makeClientCertificate(): Promise<{ ca: string; client: KeyPair }> {
  const authority = await makeAuthority(new Date())
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const signingKey = await importedKey(authority.key, algorithm)
  const certificate = await X509CertificateGenerator.create({
    subject: 'CN=client',
    issuer: new X509Certificate(authority.certificate).subject,
    ...{ publicKey: keys.publicKey, signingKey, signingAlgorithm: algorithm },
    extensions: [new ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth])],
  })
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' })
  return {
    ca: authority.certificate,
    client: { certificate: certificate.toString('pem'), key: key as string },
  }
}

async function importedKey(pem: string, algorithm: { name: string; namedCurve: string }) {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign'])
}
