import type { FastifyInstance } from 'fastify'

/** Every route of an app, as `METHOD /path`: as the router itself has them. */
export function routesOf(app: FastifyInstance): string[] {
  const parents: string[] = []
  return app
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const [, indent = '', part = '', methods = ''] =
        /^((?:│ {3}| {4})*)[├└]── (.*) \(([A-Z, ]+)\)$/.exec(line) ?? []
      if (part === '') return []
      const depth = indent.length / 4
      parents.splice(depth, Infinity, (parents[depth - 1] ?? '') + part)
      return methods.split(', ').map((method) => `${method} ${parents[depth] ?? ''}`)
    })
}
