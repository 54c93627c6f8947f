import path from 'node:path'
import { onTestFinished } from 'vitest'
import { SqliteMetadataStore } from '../../src/metadata/sqlite/sqlite-metadata-store.js'
import { temporaryDirectory } from '../support/directories.js'
import { metadataStoreContract } from './metadata-store-contract.js'

metadataStoreContract('SQLite', async () => {
  const file = path.join(await temporaryDirectory(), 'berth.db')
  const store = await SqliteMetadataStore.open({ file })
  onTestFinished(() => store.close())
  return store
})
