import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { RegistryError } from './errors.js'
import { methodsAt } from './v2/names.js'

/** The routes that there are, to tell a wrong path from a wrong method. */
export class Endpoints {
  readonly #methods = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>()

  /** To be called before there are routes. */
  constructor(app: FastifyInstance) {
    app.addHook('onRoute', ({ url, method }) => {
      const endpoint = this.#methods.get(url) ?? { pattern: patternOf(url), methods: new Set() }
      for (const name of [method].flat()) endpoint.methods.add(name)
      this.#methods.set(url, endpoint)
    })
  }

  /** A path that no route has: 405 when only the method is wrong, else 404. */
  refuse(request: FastifyRequest, reply: FastifyReply): void {
    const methods = this.#methodsAt(request.originalUrl)
    // Where the method is possible, it is the name that no route takes: one with a newline in it.
    if (methods.length === 0 || methods.includes(request.method)) {
      throw new RegistryError('ENDPOINT_UNKNOWN', 'there is nothing at this path')
    }
    reply.header('Allow', methods.join(', '))
    throw new RegistryError('UNSUPPORTED', `${request.method} is not possible here`)
  }

  #methodsAt(url: string): readonly string[] {
    // A name of a repository is more than one segment there.
    const ofRepository = methodsAt(url)
    if (ofRepository) return ofRepository
    const [path = ''] = url.split('?')
    return [...this.#methods.values()].flatMap(({ pattern, methods }) =>
      pattern.test(path) ? [...methods] : [],
    )
  }
}

/** `/a/:name/b` → any one segment in place of the parameter. */
function patternOf(url: string): RegExp {
  const segments = url.split('/').map((segment) => {
    return segment.startsWith(':') ? '[^/]+' : segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  })
  return new RegExp(`^${segments.join('/')}$`)
}
