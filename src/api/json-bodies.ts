import type { FastifyInstance, FastifyRequest } from 'fastify'
import { RegistryError } from '../errors.js'
import { JsonError, parseJson } from '../oci/json.js'
import { contentTypeOf, invite } from '../request-bodies.js'
import { changesState } from './origins.js'

export const bodyBytesMax = 1024 * 1024

/**
 * Has bodies read as JSON, and no others: a page in a browser can send other types to any address
 * without asking first.
 */
export function acceptJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer', bodyLimit: bodyBytesMax },
    async (request: FastifyRequest, body: Buffer) => {
      if (body.byteLength === 0) return undefined
      if (request.routeOptions.schema?.body === undefined) {
        throw new RegistryError('REQUEST_INVALID', 'this takes no body')
      }
      if (!isJson(contentTypeOf(request))) {
        throw notJson()
      }
      try {
        return parseJson(body)
      } catch (error) {
        if (!(error instanceof JsonError)) throw error
        throw new RegistryError('REQUEST_INVALID', `the body is no JSON: ${error.message}`, {
          cause: error,
        })
      }
    },
  )
  app.addHook('onRequest', async (request) => {
    // Also where the body is empty, and so is parsed by nobody.
    const type = contentTypeOf(request)
    if (type !== undefined && changesState(request.method) && !isJson(type)) throw notJson()
  })
  app.addHook('preParsing', async (request, reply) => invite(request, reply))
}

function notJson(): RegistryError {
  return new RegistryError('MEDIA_TYPE_INVALID', 'a body has the type application/json')
}

function isJson(contentType: string | undefined): boolean {
  return contentType !== undefined && /^application\/json\s*(;|$)/i.test(contentType)
}
