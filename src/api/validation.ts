import type { FastifyError, FastifyInstance, FastifySchemaCompiler } from 'fastify'
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv'
import { RegistryError } from '../errors.js'
import { isWholeTime } from '../times.js'
import { queryOf } from './pages.js'
import { readValues } from './url-values.js'

/** A body with thousands of mistakes is told of the first of them. */
const mistakesMax = 20

const checks: Options = {
  allErrors: true,
  useDefaults: true,
  strict: true,
  strictRequired: false,
  formats: { 'date-time': isWholeTime },
  // The schemas are ours: looking at them costs more of a start than all of them do.
  ...{ meta: false, validateSchema: false },
}

/**
 * Has every part of a request checked against its schema, which must know all that is in it: nothing is
 * dropped or bent to fit. Only what stands in a URL, and so is text, is read as a number or a boolean
 * where one is asked for.
 */
export function checkRequests(app: FastifyInstance): void {
  // A route that says nothing of its query has none.
  app.addHook('onRoute', (route) => {
    route.schema = { querystring: queryOf({}), ...route.schema }
  })
  const ajv = new Ajv(checks)
  app.setValidatorCompiler<object>(({ schema, httpPart }) => {
    const check = compiledOnUse(ajv, schema)
    return httpPart === 'body' ? check : onValues(check, schema)
  })
}

type Check = ReturnType<FastifySchemaCompiler<object>>

/** Compiled for the first request that needs it: all of them would take longer than the rest of a start. */
function compiledOnUse(ajv: Ajv, schema: object): Check {
  let compiled: ValidateFunction | undefined
  const check: Check = (part) => {
    compiled ??= ajv.compile(schema)
    const isValid = compiled(part)
    check.errors = compiled.errors ?? null
    return isValid
  }
  return check
}

/** Not by Ajv's own coercion, which takes `1e0` and `0x1` for 1. */
function onValues(check: Check, schema: object): Check {
  const checkValues: Check = (texts) => {
    readValues(texts, schema)
    const isValid = check(texts)
    checkValues.errors = check.errors ?? null
    return isValid
  }
  return checkValues
}

const PARTS: Readonly<Record<string, string>> = {
  body: 'the body',
  headers: 'the headers',
  params: 'the path',
  querystring: 'the query',
}

/** What a failed check says to whoever sent the request; other errors as they are. */
export function translatedCheck(error: unknown): unknown {
  const { validation, validationContext } = error as Partial<FastifyError>
  if (validation === undefined || validationContext === undefined) return error
  const part = PARTS[validationContext] ?? validationContext
  const mistakes = (validation as unknown as readonly ErrorObject[])
    .slice(0, mistakesMax)
    .map((mistake) => ({ member: memberOf(mistake), detail: sentence(mistake, part) }))
  const message = mistakes.map(({ detail }) => detail).join('; ')
  return new RegistryError('REQUEST_INVALID', message, { details: mistakes, cause: error })
}

/** `rules.0.keepNewest`; empty for the part as a whole. */
function memberOf({ instancePath, keyword, params }: ErrorObject): string {
  const path = instancePath.slice(1).replaceAll('/', '.')
  const { additionalProperty, missingProperty } = params as Record<string, string | undefined>
  const name = keyword === 'required' ? missingProperty : additionalProperty
  return name === undefined ? path : path === '' ? name : `${path}.${name}`
}

function sentence(mistake: ErrorObject, part: string): string {
  const member = memberOf(mistake)
  switch (mistake.keyword) {
    case 'additionalProperties':
      return `${part} has a member ${member} that is not known`
    case 'required':
      return `${part} needs the member ${member}`
    case 'enum': {
      const { allowedValues } = mistake.params as { allowedValues: readonly unknown[] }
      return `${member} of ${part} must be one of ${allowedValues.join(', ')}`
    }
    default:
      return `${member === '' ? part : `${member} of ${part}`} ${mistake.message ?? 'is not valid'}`
  }
}
