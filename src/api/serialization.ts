import type { FastifyInstance } from 'fastify'
import { default as build, type Schema } from 'fast-json-stringify'

/**
 * Has answers written by their schemas. Each is compiled for the first answer that needs it: all of them
 * would take longer than the rest of a start does.
 */
export function writeAnswers(app: FastifyInstance): void {
  app.setSerializerCompiler<Schema>(({ schema }) => {
    let write: ReturnType<typeof build> | undefined
    const compiled = () => build(schema, { schema: app.getSchemas() as Record<string, Schema> })
    return (answer) => (write ??= compiled())(answer)
  })
}
