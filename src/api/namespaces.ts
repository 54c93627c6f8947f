import type { FastifyInstance } from 'fastify'
import { requires } from '../auth/guard.js'
import { parseSubject, subjectText } from '../auth/subjects.js'
import { RegistryError } from '../errors.js'
import { addAuditDetails } from '../events/audit-details.js'
import type { Accounts, Namespace, NamespaceOwner, Visibility } from '../metadata/accounts.js'
import { isRepositoryName } from '../oci/reference.js'
import { changeOf } from './changes.js'
import { deleteByName, getByName, listByName } from './named-routes.js'
import { namePath, type NamePath } from './parameters.js'
import { problems } from './problems.js'
import { timeSchema, timeText } from './times.js'

interface PutRoute {
  Params: NamePath
  Body: { readonly owner?: string; readonly defaultVisibility: Visibility }
}

const owner = {
  type: 'string',
  maxLength: 200,
  description:
    'user:NAME or group:NAME, who may do everything with its repositories; absent for nobody.',
} as const

const defaultVisibility = {
  type: 'string',
  enum: ['private', 'public'],
  description:
    'What repositories are that come to be in it. Those that are there stay as they are.',
} as const

const namespaceSchema = {
  type: 'object',
  description:
    'A namespace: what the names of some repositories begin with, up to the first slash.',
  required: ['name', 'defaultVisibility', 'createdAt', 'createdBy'],
  properties: {
    name: { type: 'string' },
    owner,
    defaultVisibility,
    createdAt: timeSchema('When it was made.'),
    createdBy: { type: 'string', description: 'Who made it.' },
  },
} as const

const namespacePath = namePath('The name of a namespace: a path component without a slash.')

/** Namespaces: whose repositories are, and what they are at first. */
export async function namespaceRoutes(
  app: FastifyInstance,
  { accounts, now }: { readonly accounts: Accounts; readonly now: () => number },
): Promise<void> {
  listByName(app, 'namespaces', {
    operationId: 'listNamespaces',
    summary: 'Lists namespaces that were made, by name in byte order.',
    item: namespaceSchema,
    answerOf: namespaceAnswer,
    isName: isNamespaceName,
    list: (page) => accounts.listNamespaces(page),
  })

  getByName(app, 'namespaces', {
    operationId: 'getNamespace',
    summary: 'Tells of one namespace.',
    params: namespacePath,
    item: namespaceSchema,
    get: async (name) => namespaceAnswer(await getNamespace(parseNamespaceName(name))),
  })

  app.put<PutRoute>(
    '/namespaces/:name',
    {
      ...requires('admin'),
      schema: {
        operationId: 'putNamespace',
        summary: 'Makes a namespace, or changes it into this.',
        tags: ['namespaces'],
        params: namespacePath,
        body: {
          type: 'object',
          additionalProperties: false,
          required: ['defaultVisibility'],
          properties: { owner, defaultVisibility },
        },
        response: { 200: namespaceSchema, ...problems(404, 507) },
      },
    },
    async (request) => {
      const name = parseNamespaceName(request.params.name)
      const { owner: text, defaultVisibility } = request.body
      const owner = text === undefined ? undefined : parseOwner(text)

      const before = await accounts.findNamespace(name)
      await accounts.putNamespace({
        ...changeOf(request, now),
        name,
        defaultVisibility,
        ...(owner && { owner }),
      })

      if (before) addAuditDetails(request, { before: termsOf(before) })
      return namespaceAnswer(await getNamespace(name))
    },
  )

  deleteByName(app, 'namespaces', {
    operationId: 'removeNamespace',
    summary: 'Takes away who owns a namespace and what repositories are at first.',
    description: 'Its repositories stay as they are.',
    params: namespacePath,
    done: 'It is gone.',
    remove: async (text) => {
      const name = parseNamespaceName(text)
      const before = await getNamespace(name)
      if (!(await accounts.removeNamespace(name))) throw namespaceUnknown(name)
      return termsOf(before)
    },
  })

  async function getNamespace(name: string): Promise<Namespace> {
    const found = await accounts.findNamespace(name)
    if (found === undefined) throw namespaceUnknown(name)
    return found
  }
}

function parseOwner(text: string): NamespaceOwner {
  const owner = parseSubject(text)
  if (owner.kind === 'user' || owner.kind === 'group') return { kind: owner.kind, name: owner.name }
  throw new RegistryError('REQUEST_INVALID', 'the owner of a namespace is user:NAME or group:NAME')
}

function parseNamespaceName(text: string): string {
  if (isNamespaceName(text)) return text
  throw new RegistryError(
    'REQUEST_INVALID',
    'a namespace is called as the first part of the names of its repositories: lower-case letters and digits, joined by one of . _ __ or dashes',
    { details: [{ name: text.slice(0, 200) }] },
  )
}

function isNamespaceName(text: string): boolean {
  return isRepositoryName(text) && !text.includes('/')
}

function namespaceUnknown(name: string): RegistryError {
  return new RegistryError('NAMESPACE_UNKNOWN', 'there is no such namespace', {
    details: [{ name }],
  })
}

function namespaceAnswer({ createdAt, createdBy, ...namespace }: Namespace) {
  const { name } = namespace
  return { name, ...termsOf(namespace), createdAt: timeText(createdAt), createdBy }
}

function termsOf({ owner, defaultVisibility }: Pick<Namespace, 'owner' | 'defaultVisibility'>) {
  return { ...(owner && { owner: subjectText(owner) }), defaultVisibility }
}
