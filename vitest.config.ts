import { statfsSync } from 'node:fs'
import { defineConfig } from 'vitest/config'

/**
 * Tests import the sources, and get what was built from them: that is what ships, and the writer
 * thread can be started from JavaScript only. `npm test` builds before it starts vitest.
 */
const builtSources = {
  find: /^(?:\.\.\/)+src\/(.*)$/,
  replacement: `${import.meta.dirname}/dist/$1`,
}

/** In memory nobody waits for a disk; what is synced to one is tested end to end. */
const memory = '/dev/shm'
const memoryBytesMin = 4 * 1024 ** 3

/** Where the folders of unit tests are. */
function temporaryFolder(): { TMPDIR?: string } {
  try {
    const { bavail, bsize } = statfsSync(memory)
    return bavail * bsize >= memoryBytesMin ? { TMPDIR: memory } : {}
  } catch {
    // Not every system has it.
    return {}
  }
}

const shared = {
  resolve: { alias: [builtSources] },
  // Loaded by Node.js itself, as in production.
  server: { deps: { external: [/\/dist\//] } },
}

export default defineConfig({
  test: {
    // By default one core stays idle: half of a small machine.
    maxWorkers: '100%',
    projects: [
      {
        resolve: shared.resolve,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**'],
          server: shared.server,
          // For what hangs: the longest take some seconds on an idle machine.
          testTimeout: 300_000,
          hookTimeout: 300_000,
          // Every file would load, and warm up, the whole registry anew. None leaves anything behind.
          isolate: false,
          env: temporaryFolder(),
        },
      },
      {
        resolve: shared.resolve,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          server: shared.server,
          // For what hangs: the longest take a minute on an idle machine.
          testTimeout: 1_200_000,
          hookTimeout: 1_200_000,
          // The clients and their daemons share one machine.
          fileParallelism: false,
        },
      },
    ],
  },
})
