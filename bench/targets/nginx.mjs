import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { ServerProcess } from './server-process.mjs'

const program = 'nginx'

/**
 * nginx with sendfile, one process of it: what it costs on this machine to send a file, whoever
 * does it. It is no registry; what it serves are the files of a folder.
 */
export const nginx = {
  name: 'nginx',
  isOurs: false,
  servesFiles: true,

  isInstalled: () => spawnSync(program, ['-v']).status === 0,

  /** @param {string} data - the folder */
  async start(workspace, data) {
    const port = await freePort()
    const prefix = workspace.newFolder('nginx')
    const configuration = path.join(prefix, 'nginx.conf')
    writeFileSync(configuration, configurationFor(port, data))
    return ServerProcess.start(workspace, {
      name: 'nginx',
      command: program,
      args: ['-p', prefix, '-c', configuration, '-e', 'stderr'],
      env: process.env,
      // Said when it has opened its sockets.
      listening: /using the "\w+" event method/,
      port,
    })
  },

  blobsIn: (data) => data,
}

/** As Debian's package sets it up, in one process that belongs to whoever runs the benchmark. */
function configurationFor(port, data) {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `daemon off;
master_process off;
pid nginx.pid;
error_log stderr notice;
events {}
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
${temporary.map((name) => `  ${name}_temp_path ${name};`).join('\n')}
  server {
    listen 127.0.0.1:${port};
    root ${JSON.stringify(data)};
  }
}
`
}

/** nginx does not tell which port it was given. */
async function freePort() {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}
