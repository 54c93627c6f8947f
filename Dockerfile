# Berth in a container; docs/container.md says how to build and run it.
#
# Both stages start from one image, because SQLite is compiled in the first and loaded in the
# second: the same Node.js and the same C library. Any Debian with Node.js 20.19 or newer will do.
ARG BASE_IMAGE=node:22-bookworm-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /build
RUN if ! { command -v python3 && command -v make && command -v g++; }; then \
      apt-get update \
      && apt-get install --yes --no-install-recommends python3 make g++ \
      && rm -rf /var/lib/apt/lists/*; \
    fi
COPY package.json package-lock.json ./
# SQLite's module is always compiled, with the headers that lie beside Node.js: nothing is fetched
# but what the lock file pins.
RUN headers="$(dirname "$(dirname "$(command -v node)")")" \
    && if [ -e "$headers/include/node/node.h" ]; then export npm_config_nodedir="$headers"; fi \
    && npm_config_build_from_source=true JOBS=max npm ci --no-audit --no-fund
COPY . .
# What only the compiler needed is most of the module's size; npm leaves empty folders behind.
RUN npm run build \
    && chmod +x dist/cli/main.js \
    && npm prune --omit=dev --no-audit --no-fund \
    && find node_modules/better-sqlite3/build ! -type d ! -name better_sqlite3.node -delete \
    && rm -rf node_modules/better-sqlite3/deps \
    && find node_modules -type d -empty -delete

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Berth" \
      org.opencontainers.image.description="An OCI distribution registry for private teams" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN mkdir -m 0750 /data \
    && chown 10001:10001 /data \
    && ln -s /berth/dist/cli/main.js /usr/local/bin/berth
WORKDIR /berth
COPY --from=build /build/node_modules node_modules/
COPY --from=build /build/migrations migrations/
COPY --from=build /build/dist dist/
# With a wildcard, those that a source tree lacks are no error.
COPY --from=build /build/package.json /build/LICENSE /build/README.m[d] /build/config.example.jso[n] ./

# These beat a configuration file, so that EXPOSE, VOLUME and HEALTHCHECK stay true beside one.
ENV BERTH_HTTP_HOST=0.0.0.0 \
    BERTH_HTTP_PORT=5000 \
    BERTH_DATA_DIRECTORY=/data
# Files are read, written and synced on these threads; a cold disk must not hold up all of them.
ENV UV_THREADPOOL_SIZE=16
# Else each of them would take memory of its own and keep it: 3 MiB before the first request.
ENV MALLOC_ARENA_MAX=2
EXPOSE 5000
VOLUME /data
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "const ask = (how) => new Promise((done) => require(how).get({ host: '127.0.0.1', port: process.env.BERTH_HTTP_PORT, path: '/healthz', rejectUnauthorized: false }, ({ statusCode }) => done(statusCode === 200)).on('error', () => done(false))); ask('node:http').then((ok) => ok || ask('node:https')).then((ok) => process.exit(ok ? 0 : 1))"]
ENTRYPOINT ["berth"]
CMD ["serve"]
