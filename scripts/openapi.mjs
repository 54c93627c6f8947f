// Writes docs/openapi.json: what the management API says of itself.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { format } from 'prettier'
import { prepare, root } from './prepare.mjs'

prepare()
const { assemble } = await import('../dist/assembly.js')
const { loadConfig } = await import('../dist/config.js')
const { createLog } = await import('../dist/log.js')

const data = mkdtempSync(path.join(tmpdir(), 'berth-openapi-'))
const assembly = await assemble({
  config: loadConfig({ environment: {}, flags: { data } }),
  log: await createLog({ level: 'warn', format: 'json' }),
  onDurabilityLost(error) {
    throw error
  },
})
try {
  const { body } = await assembly.app.inject('/api/v1/openapi.json')
  const text = await format(body, { parser: 'json', printWidth: 100 })
  writeFileSync(path.join(root, 'docs', 'openapi.json'), text)
} finally {
  await assembly.close()
  rmSync(data, { recursive: true })
}
