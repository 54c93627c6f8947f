import { SqliteMetadataStore } from './metadata/sqlite/sqlite-metadata-store.js'
import { restoreBackup, type RestoredBackup } from './registry/backup/restore-backup.js'
import { BackupFiles } from './storage/backup-files.js'
import { FsBlobStore } from './storage/fs-blob-store.js'

/**
 * Makes a data directory of a backup, with the stores that it is served with.
 *
 * @param from - the folder of the backup, as an absolute path
 * @param to - the data directory, likewise: empty, or not there yet
 * @throws an error whose message says why it cannot be done
 */
export function restore(from: string, to: string): Promise<RestoredBackup> {
  return restoreBackup({
    ...{ from, to, now: Date.now },
    openMetadata: (file) => SqliteMetadataStore.open({ file }),
    openBlobs: (directory) => FsBlobStore.open(directory),
    openFiles: (source, into) => BackupFiles.open({ from: source, to: into, mayLink: false }),
  })
}
