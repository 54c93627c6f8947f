import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { environmentWithout, ServerProcess } from './server-process.mjs'

const program = 'docker-registry'

/** Debian's package of distribution 2.8, set up as the package does, and with deletes on. */
export const dockerRegistry = dockerRegistryWith({})

function dockerRegistryWith({ ca, tls = '' }) {
  return {
    name: 'docker-registry',
    isOurs: false,
    ca,

    /** The same over TLS. */
    overTls: ({ certificateFile, keyFile, caText }) =>
      dockerRegistryWith({
        ca: caText,
        tls: `  tls:
    certificate: ${JSON.stringify(certificateFile)}
    key: ${JSON.stringify(keyFile)}
`,
      }),

    /** @returns {string | undefined} what it calls itself; undefined when it is not installed */
    version() {
      const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
      return status === 0 ? stdout.trim().split(' ').at(-1) : undefined
    },

    /** @param {string} data - its root directory */
    start(workspace, data) {
      const configuration = workspace.newFile('docker-registry.yml')
      writeFileSync(configuration, configurationFor(data, tls))
      return ServerProcess.start(workspace, {
        name: 'docker-registry',
        command: program,
        args: ['serve', configuration],
        env: environmentWithout('REGISTRY_'),
        listening: /msg="listening on \S+:(\d+)(?:, tls)?"/,
      })
    },

    blobsIn: (data) => path.join(data, 'docker', 'registry', 'v2', 'blobs'),
  }
}

/** The package's /etc/docker/registry/config.yml, but for accounts, the address and deletes. */
function configurationFor(data, tls) {
  return `version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: ${JSON.stringify(data)}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:0
  headers:
    X-Content-Type-Options: [nosniff]
${tls}health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
`
}
