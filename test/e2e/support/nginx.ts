import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFailed, onTestFinished } from 'vitest'
import { temporaryDirectory } from '../../support/directories.js'
import type { Berth } from './berth.js'
import { freePort } from './container-engine.js'
import { Daemon } from './daemon.js'

const page = fileURLToPath(new URL('../../../docs/nginx.md', import.meta.url))

/** What a server block needs around it, where nothing of the machine's own nginx is used. */
const MAIN = `
daemon off;
pid nginx.pid;
worker_processes 1;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  include berth.conf;
}
`

export interface Nginx {
  /** What a client puts before the name of a repository: `127.0.0.1:PORT`. */
  readonly host: string
  readonly url: string
  /** The end of what it has logged. */
  readonly log: () => string
}

/**
 * Starts nginx in front of a registry, with the configuration that the documentation has; only the
 * ports and the data directory are those of the test. It ends with the test.
 */
export async function startNginx({ port, dataDirectory }: Berth): Promise<Nginx> {
  const listenPort = await freePort()
  const prefix = await temporaryDirectory()
  await writeFile(path.join(prefix, 'nginx.conf'), MAIN)
  const configuration = replaced(await configurationOnPage(), {
    'server 127.0.0.1:5000;': `server 127.0.0.1:${port};`,
    'listen 80;': `listen 127.0.0.1:${listenPort};`,
    'alias /var/lib/berth/blobs/;': `alias ${dataDirectory}/blobs/;`,
  })
  await writeFile(path.join(prefix, 'berth.conf'), configuration)
  await mkdir(path.join(prefix, 'logs'))
  // Its workers are www-data; folders of tests let nobody else through.
  for (const directory of [prefix, dataDirectory]) await chmod(directory, 0o711)
  const url = `http://127.0.0.1:${listenPort}`
  const daemon = await Daemon.start('nginx', ['-p', prefix, '-c', 'nginx.conf', '-e', 'stderr'], {
    isReady: () =>
      fetch(`${url}/healthz`).then(
        ({ ok }) => ok,
        () => false,
      ),
  })
  onTestFinished(() => daemon.stop())
  onTestFailed(() => {
    process.stderr.write(`--- nginx\n${daemon.output}\n`)
  })
  return { host: `127.0.0.1:${listenPort}`, url, log: () => daemon.output }
}

/** The first block of the page that is for nginx. */
async function configurationOnPage(): Promise<string> {
  const block = /^```nginx\n([^]*?)^```$/m.exec(await readFile(page, 'utf8'))?.[1]
  if (block === undefined) throw new Error(`${page} has no configuration of nginx`)
  return block
}

function replaced(text: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((changed, [from, to]) => {
    if (changed.split(from).length !== 2) throw new Error(`${page} does not have ${from} once`)
    return changed.replace(from, to)
  }, text)
}
