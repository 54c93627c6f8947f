import 'reflect-metadata'
import { createPrivateKey, randomBytes, webcrypto, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  cryptoProvider,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { dayMs } from '../times.js'

/** A certificate and its private key, both in PEM form. */
export interface KeyPair {
  readonly certificate: string
  readonly key: string
}

/** Every TLS client of today knows it, and handshakes cost a tenth of what they do with RSA. */
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

const authorityYears = 10

/** Clocks of clients may be slow. */
const earlierMs = 60 * 60 * 1000

/** As many characters as a common name may have. */
const commonNameLengthMax = 64

cryptoProvider.set(webcrypto)

/** Makes a CA that can sign certificates of servers, and no further CAs. */
export async function makeAuthority(now: Date): Promise<KeyPair> {
  const keys = await newKeys()
  const notBefore = new Date(now.getTime() - earlierMs)
  const notAfter = new Date(now)
  notAfter.setUTCFullYear(now.getUTCFullYear() + authorityYears)
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    // Clients that have several tell them apart by their names.
    name: [{ CN: [`Berth CA ${randomBytes(4).toString('hex')}`] }],
    ...{ notBefore, notAfter, keys, signingAlgorithm: algorithm },
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return pairOf(certificate.rawData, keys)
}

/**
 * Makes the certificate of a server, with a key of its own. It ends with its CA at the latest.
 *
 * @param hosts - names and addresses under which clients reach it
 */
export async function makeServerCertificate(
  authority: KeyPair,
  { hosts, days, now }: { hosts: readonly string[]; days: number; now: Date },
): Promise<KeyPair> {
  const issuer = new X509Certificate(authority.certificate)
  const keys = await newKeys()
  const notBefore = new Date(now.getTime() - earlierMs)
  const notAfter = Math.min(notBefore.getTime() + days * dayMs, Date.parse(issuer.validTo))
  const issuerKey = await publicKeyOf(issuer)
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: [hosts.find(({ length }) => length <= commonNameLengthMax) ?? 'berth'] }],
    issuer: [{ CN: [commonNameOf(issuer)] }],
    ...{ notBefore, notAfter: new Date(notAfter), publicKey: keys.publicKey },
    ...{ signingKey: await signingKeyOf(authority.key), signingAlgorithm: algorithm },
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(
        hosts.map((value) => ({
          type: isIP(value) === 0 ? ('dns' as const) : ('ip' as const),
          value,
        })),
      ),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuerKey),
    ],
  })
  return pairOf(certificate.rawData, keys)
}

/** Whether a pair is a CA that {@link makeAuthority} can have made. */
export function isAuthority({ certificate, key }: KeyPair): boolean {
  try {
    const parsed = new X509Certificate(certificate)
    const privateKey = createPrivateKey(key)
    return (
      parsed.ca &&
      commonNameOf(parsed) !== '' &&
      parsed.checkPrivateKey(privateKey) &&
      privateKey.asymmetricKeyDetails?.namedCurve === 'prime256v1'
    )
  } catch {
    return false
  }
}

/** Whether a CA has signed this certificate. */
export function isIssuedBy(certificate: string, authority: KeyPair): boolean {
  try {
    const issuer = new X509Certificate(authority.certificate)
    const parsed = new X509Certificate(certificate)
    return parsed.checkIssued(issuer) && parsed.verify(issuer.publicKey)
  } catch {
    return false
  }
}

/** Empty when its subject is anything but a common name. */
function commonNameOf({ subject }: X509Certificate): string {
  return /^CN=([^\n,+="\\]+)$/.exec(subject)?.[1] ?? ''
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
}

/** Above zero, as serial numbers have to be. */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return bytes.toString('hex')
}

function signingKeyOf(key: string): Promise<webcrypto.CryptoKey> {
  const der = createPrivateKey(key).export({ type: 'pkcs8', format: 'der' })
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign'])
}

function publicKeyOf({ publicKey }: X509Certificate): Promise<webcrypto.CryptoKey> {
  const der = publicKey.export({ type: 'spki', format: 'der' })
  return webcrypto.subtle.importKey('spki', der, algorithm, true, ['verify'])
}

async function pairOf(
  certificate: ArrayBuffer,
  { privateKey }: webcrypto.CryptoKeyPair,
): Promise<KeyPair> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', privateKey))
  const key = createPrivateKey({ key: der, type: 'pkcs8', format: 'der' })
  return {
    // As Node.js writes it: so `GET /ca.crt` gives the very bytes of the file.
    certificate: new X509Certificate(Buffer.from(certificate)).toString(),
    key: key.export({ type: 'pkcs8', format: 'pem' }) as string,
  }
}
