import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { configSchema } from '../../src/config-schema.js'
import { loadConfig } from '../../src/config.js'
import { settingsIn } from '../support/config.js'

const exampleFile = new URL('../../config.example.json', import.meta.url)
const schemaFile = new URL('../../config.schema.json', import.meta.url)

async function readJson(file: URL): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
}

describe('config.example.json', () => {
  it('is a configuration that says what holds without one', () => {
    const config = loadConfig({ environment: {}, file: fileURLToPath(exampleFile) })

    expect(config).toEqual(loadConfig({ environment: {} }))
  })

  it('shows every setting with its default', async () => {
    const { $schema, ...example } = await readJson(exampleFile)

    expect(settingsIn(example)).toEqual(settingsIn(loadConfig({ environment: {} })))
    expect($schema).toBe('./config.schema.json')
  })

  it('shows them in the order of the schema', async () => {
    const example = await readJson(exampleFile)

    expect(Object.keys(example)).toEqual(Object.keys(configSchema.properties))
  })
})

describe('config.schema.json', () => {
  it('is the schema that configurations are checked with', async () => {
    const schema = await readJson(schemaFile)

    expect(schema).toEqual(configSchema)
  })

  it('is one that a strict checker takes, and the example passes', async () => {
    const [schema, example] = await Promise.all([readJson(schemaFile), readJson(exampleFile)])

    const isValid = new Ajv({ strict: true, allErrors: true }).validate(schema, example)

    expect(isValid).toBe(true)
  })
})

describe('the schema', () => {
  interface Node {
    readonly type?: string
    readonly default?: unknown
    readonly description?: string
    readonly minimum?: number
    readonly maximum?: number
    readonly additionalProperties?: boolean
    readonly properties?: Readonly<Record<string, Node>>
  }

  function nodesIn(node: Node, key = ''): [string, Node][] {
    const children = Object.entries(node.properties ?? {})
    return [
      [key, node],
      ...children.flatMap(([name, child]) => nodesIn(child, key === '' ? name : `${key}.${name}`)),
    ]
  }

  const nodes = nodesIn(configSchema)

  it.each(nodes.filter(([key, { properties }]) => !properties && key !== '$schema'))(
    'explains %s and gives it a default',
    (_, node) => {
      expect(node.description).toMatch(/\S.*\.$/)
      expect(node).toHaveProperty('default')
    },
  )

  it.each(nodes.filter(([, { type }]) => type === 'integer'))(
    'bounds %s on both sides',
    (_, node) => {
      expect(node.minimum).toBeTypeOf('number')
      expect(node.maximum).toBeTypeOf('number')
    },
  )

  it.each(nodes.filter(([, { properties }]) => properties))(
    'lets no unknown key into %j',
    (_, node) => {
      expect(node.additionalProperties).toBe(false)
    },
  )
})

describe('the image', () => {
  it('starts with the variables that npm start sets', async () => {
    const { scripts } = (await readJson(new URL('../../package.json', import.meta.url))) as {
      scripts: { start: string }
    }
    const dockerfile = await readFile(new URL('../../Dockerfile', import.meta.url), 'utf8')

    const variables = [...scripts.start.matchAll(/(\w+)=\$\{\1:-(\w+)\}/g)]

    expect(variables).not.toHaveLength(0)
    for (const [, name, value] of variables) expect(dockerfile).toContain(`ENV ${name}=${value}\n`)
  })
})
