import path from 'node:path'
import { onTestFinished } from 'vitest'
import { SqliteMetadataStore } from '../../src/metadata/sqlite/sqlite-metadata-store.js'
import { temporaryDirectory } from '../support/directories.js'
import { accountsContract } from './accounts-contract.js'
import { auditContract } from './audit-contract.js'
import { inspectionContract } from './inspection-contract.js'
import { metadataStoreContract } from './metadata-store-contract.js'
import { metadataVerificationContract } from './metadata-verification-contract.js'
import { quotasContract } from './quotas-contract.js'
import { tagRulesContract } from './tag-rules-contract.js'
import { visibilityContract } from './visibility-contract.js'

metadataStoreContract('SQLite', open)
auditContract('SQLite', open)
metadataVerificationContract('SQLite', open)
inspectionContract('SQLite', open)
quotasContract('SQLite', open)
tagRulesContract('SQLite', open)
accountsContract('SQLite', open)
visibilityContract('SQLite', open)

async function open() {
  const file = path.join(await temporaryDirectory(), 'berth.db')
  const store = await SqliteMetadataStore.open({ file })
  onTestFinished(() => store.close())
  return store
}
