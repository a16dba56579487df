# The data scientist's commands, with all of TensorFlow. From the root of the project:
#   docker build --file deploy/images/trainer.Dockerfile --tag shelver/trainer:0.1.0 .
# For NVIDIA GPUs: --build-arg TENSORFLOW='tensorflow[and-cuda]', which brings CUDA along; run it with --gpus all.
# service.Dockerfile says how to hold the base to the bit.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG TENSORFLOW=tensorflow
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
    python -m venv --without-pip /opt/shelver \
    && python -m pip --python /opt/shelver/bin/python install ".[trainer]" "${TENSORFLOW}"

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="shelver/trainer" \
      org.opencontainers.image.description="Shelver's trainer: from a dump to a published model" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN python -m pip uninstall --yes pip setuptools wheel \
    && groupadd --gid 10001 shelver \
    && useradd --uid 10001 --gid shelver --home-dir /tmp --no-create-home --shell /usr/sbin/nologin shelver \
    && install --directory --owner shelver --group shelver /models /data
COPY --from=build /opt/shelver /opt/shelver
ENV PATH=/opt/shelver/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=2
# Dumps, prepared data and runs are in /data; models are published to /models.
WORKDIR /data
USER 10001:10001
STOPSIGNAL SIGTERM
# Its commands end by themselves.
HEALTHCHECK NONE
ENTRYPOINT ["shelver-trainer"]
CMD ["--help"]
