import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { TlsConfig } from '../config-schema.js'
import { RegistryError } from '../errors.js'
import { certificatesIn } from './certificates.js'

/** How `berth tls init` calls the certificate of its CA, beside that of the server. */
export const CA_FILE_NAME = 'ca.crt'

/** `/ca.crt`: what a client needs in order to trust this server. No secret, so everybody gets it. */
export async function caRoutes(
  app: FastifyInstance,
  { tls }: { readonly tls: TlsConfig },
): Promise<void> {
  app.get(`/${CA_FILE_NAME}`, async (request, reply) => {
    const text = await caCertificates(tls).catch((error: unknown) => {
      request.log.warn({ err: error }, 'the certificate of the CA cannot be given')
      return ''
    })
    if (text === '') throw new RegistryError('ENDPOINT_UNKNOWN', 'there is nothing at this path')
    return reply.type('application/x-x509-ca-cert').send(Buffer.from(text))
  })
}

/** Only the certificates: somebody may keep a key in the same file. Empty when there are none. */
async function caCertificates({ caFile, certificateFile }: TlsConfig): Promise<string> {
  const file = caFile === '' ? besideOf(certificateFile) : caFile
  if (file === undefined) return ''
  return certificatesIn(await readFile(file), file).join('')
}

function besideOf(certificateFile: string): string | undefined {
  if (certificateFile === '') return undefined
  const file = path.join(path.dirname(certificateFile), CA_FILE_NAME)
  return existsSync(file) ? file : undefined
}
