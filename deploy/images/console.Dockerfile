# The analysts' page, without TensorFlow. From the root of the project:
#   docker build --file deploy/images/console.Dockerfile --tag shelver/console:0.1.0 .
# service.Dockerfile says how to hold the base to the bit.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
# of shelver; what the slim environment is made of
ARG EXTRAS=console
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
RUN --mount=type=cache,target=/cache \
    python -m venv /build \
    && /build/bin/python -m pip install ".[${EXTRAS}]" \
    && /build/bin/python -m deploy.images.slim /opt/shelver --extras "${EXTRAS}" \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/shelver/lib

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="shelver/console" \
      org.opencontainers.image.description="Shelver's console for analysts" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN python -m pip uninstall --yes pip setuptools wheel \
    && groupadd --gid 10001 shelver \
    && useradd --uid 10001 --gid shelver --home-dir /tmp --no-create-home --shell /usr/sbin/nologin shelver
COPY --from=build /opt/shelver /opt/shelver
ENV PATH=/opt/shelver/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# It writes nothing but uploads, to /tmp: --read-only --tmpfs /tmp
WORKDIR /tmp
USER 10001:10001
EXPOSE 8501
STOPSIGNAL SIGTERM
HEALTHCHECK --start-period=60s --interval=30s --timeout=10s --retries=3 \
    CMD ["python", "-m", "deploy.images.answers", "http://127.0.0.1:8501/_stcore/health"]
ENTRYPOINT ["python", "-m", "deploy.console"]
# It needs SHELVER_CONSOLE_PASSWORD to be reached from elsewhere.
CMD ["--host", "0.0.0.0", "--port", "8501"]
