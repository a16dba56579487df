# Workers, producers, the HTTP service and the exporter in one image, without TensorFlow. From the root of the project:
#   docker build --file deploy/images/service.Dockerfile --tag shelver/service:0.1.0 .
# 283 MB on top of the base, for which pip installs 2.3 GB. It runs `shelver-worker run`; another role is another
# entrypoint or command: shelver-worker exporter, shelver-producer watch, shelver-producer api, ...
# To hold the base to the bit, add the digest that `docker buildx imagetools inspect python:3.11-slim-bookworm` prints:
#   --build-arg BASE=python:3.11-slim-bookworm@sha256:...
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
# of shelver; what the slim environment is made of
ARG EXTRAS=worker,producer,api,traces
WORKDIR /project
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY worker worker
COPY producer producer
COPY trainer trainer
COPY migrations migrations
COPY deploy deploy
# Unlike --constraint it reaches the environment that pip builds the package in, too.
ENV PIP_CONSTRAINT=/project/constraints.txt
ENV PIP_CACHE_DIR=/cache
# Compiled here, since nothing may be written there, and each probe is a process; without dates, so that it is the same
# wherever it is built.
RUN --mount=type=cache,target=/cache \
    python -m venv /build \
    && /build/bin/python -m pip install ".[${EXTRAS}]" \
    && /build/bin/python -m deploy.images.slim /opt/shelver --extras "${EXTRAS}" \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/shelver/lib

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="shelver/service" \
      org.opencontainers.image.description="Shelver's workers, producers, HTTP service and exporter" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN python -m pip uninstall --yes pip setuptools wheel \
    && groupadd --gid 10001 shelver \
    && useradd --uid 10001 --gid shelver --home-dir /tmp --no-create-home --shell /usr/sbin/nologin shelver \
    && install --directory --owner shelver --group shelver /models
COPY --from=build /opt/shelver /opt/shelver
ENV PATH=/opt/shelver/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# It writes to SHELVER_STATE_FOLDER, which is in /tmp, and to /dev/shm, which each container has: --read-only --tmpfs /tmp
WORKDIR /tmp
USER 10001:10001
STOPSIGNAL SIGTERM
# A worker has said how it is some seconds after its start; a slow store or Redis may take up to a minute to be told.
HEALTHCHECK --start-period=60s --interval=30s --timeout=15s --retries=3 CMD ["shelver-worker", "live"]
ENTRYPOINT ["shelver-worker"]
CMD ["run"]
