import type { FastifyInstance, FastifyRequest } from 'fastify'
import { RegistryError } from '../errors.js'

/**
 * Refuses what the page of another site has made a browser send. Browsers name the site in `Origin` with
 * every request that can change something; nothing here is allowed by a cookie, but whoever may come
 * without any proof, or has given a browser a password for this address, would lend it to that page.
 *
 * @param publicUrl - `http.publicUrl`, where a proxy calls this by another name than clients do
 */
export function refuseOtherOrigins(
  app: FastifyInstance,
  { publicUrl }: { readonly publicUrl: string },
): void {
  app.addHook('onRequest', async (request) => {
    const { origin } = request.headers
    if (origin === undefined || !changesState(request.method)) return
    if (origin === originOf(request) || (publicUrl !== '' && origin === publicUrl)) return
    throw new RegistryError('DENIED', 'pages of other sites may not change anything here')
  })
}

export function changesState(method: string): boolean {
  return method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS'
}

function originOf({ protocol, host }: FastifyRequest): string {
  return `${protocol}://${host}`
}
