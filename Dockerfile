# docker build -t tresor . && docker run -p 8080:8080 -e TRESOR_PASSWORD=... tresor
# With -v tresor:/data -e TRESOR_STORE_PATH=/data the store outlives the container.

FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package tresor-cli

FROM debian:12-slim
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin tresor \
    && install -d -o tresor -g tresor -m 0700 /data
COPY --from=build /source/target/release/tresor /usr/local/bin/tresor
COPY docker/entrypoint.sh /usr/local/bin/tresor-entrypoint
USER tresor
VOLUME /data
EXPOSE 8080 6379
# SIGTERM ends it in good order: what is in flight gets up to 10 seconds.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD tresor health --server "http://127.0.0.1:${TRESOR_PORT:-8080}"
ENTRYPOINT ["tresor-entrypoint"]
