# The sidecar as an image. It runs `tandem run`, or the command it is given; its configuration is /tandem/tandem.yaml or
# the environment (DATABASE_URL, EXTERNAL_DB_URL), its backups go to /tandem/backups.
ARG NODE=node:20-bookworm-slim

FROM ${NODE} AS build
WORKDIR /build
COPY . .
RUN npm ci --ignore-scripts && npm run build \
  && find dist -name '*.map' -delete \
  && npm ci --ignore-scripts --omit=dev --omit=optional

FROM ${NODE}
# pg_dump of this major reads servers up to it; of newer ones only the JSON half of a backup is made.
ARG POSTGRESQL_CLIENT=postgresql-client-15
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates ${POSTGRESQL_CLIENT} \
  && rm -rf /var/lib/apt/lists/*
COPY --from=build /build/package.json /opt/tandem/
COPY --from=build /build/node_modules /opt/tandem/node_modules
COPY --from=build /build/migrations /opt/tandem/migrations
COPY --from=build /build/sql /opt/tandem/sql
COPY --from=build /build/dist /opt/tandem/dist
RUN chmod +x /opt/tandem/dist/cli/main.js \
  && ln -s /opt/tandem/dist/cli/main.js /usr/local/bin/tandem \
  && mkdir -p /tandem/backups && chown -R 1000:1000 /tandem
ENV NODE_ENV=production
USER 1000:1000
WORKDIR /tandem
EXPOSE 7420
HEALTHCHECK --start-period=30s CMD ["node", "-e", "fetch('http://127.0.0.1:7420/healthz').then((a) => process.exit(a.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["tandem"]
CMD ["run"]
