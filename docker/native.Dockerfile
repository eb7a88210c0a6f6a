# The image of a native stack (cu130, cu128, cu126): its pinned packages, the operators built for stated GPUs with no
# GPU present, and bevready itself, run as an ordinary user. `invoke docker-build` gives the arguments and the context.
# It needs nothing of BuildKit: the engine's own builder, podman's and BuildKit take it alike.
ARG BASE=debian:bookworm-slim

# Python and certificates, from the distribution unless the base brings them.
FROM ${BASE} AS base
COPY docker/certificates/ /usr/local/share/bevready-certificates/
# The base's digest pins its packages; Debian's mirrors drop old versions, so a version named here would stop to build.
# hadolint ignore=DL3008
RUN set -eu; \
    if ! python3 -c 'import ensurepip, venv' || [ ! -s /etc/ssl/certs/ca-certificates.crt ]; then \
        apt-get update; \
        apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv; \
        rm -rf /var/lib/apt/lists/*; \
    fi; \
    for file in /usr/local/share/bevready-certificates/*.crt; do \
        [ ! -f "$file" ] || cat "$file" >>/etc/ssl/certs/ca-certificates.crt; \
    done; \
    useradd --create-home --uid 1000 bevready; \
    install -d -o bevready -g bevready /work
ENV PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    BEVREADY_VENV=/opt/venv \
    BEVREADY_CACHE=/opt/bevready/cache \
    PYTHONPATH=/opt/bevready \
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=passive
WORKDIR /opt/bevready

# The stack, by the same bootstrap and the same hashes as on a host. Only a new lock makes this layer anew.
FROM base AS stack
ARG STACK=cu130
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ENV BEVREADY_STACK=${STACK}
COPY bevready ./
COPY env/${STACK}/ ./env/${STACK}/
RUN PIP_NO_CACHE_DIR=1 ./bevready --version && rm -f /opt/venv/install.log /opt/venv.lock

# The operators: a compiler that the image itself does not keep.
FROM stack AS operators
# No versions of Debian's packages, as above.
# hadolint ignore=DL3008
RUN set -eu; \
    if ! command -v g++; then \
        apt-get update; \
        apt-get install --yes --no-install-recommends g++; \
        rm -rf /var/lib/apt/lists/*; \
    fi
COPY doctor/ ./doctor/
COPY repro/__init__.py ./repro/
COPY repro/ops/ ./repro/ops/
ARG ARCHS=all
RUN /opt/venv/bin/python -m doctor.build --arch "${ARCHS}" && chmod -R a+rX cache

FROM stack AS image
COPY --from=operators /opt/bevready/cache/ ./cache/
COPY LICENSE tasks.py pyproject.toml ./
COPY docker/ ./docker/
COPY env/ ./env/
COPY recipes/ ./recipes/
COPY doctor/ ./doctor/
COPY repro/ ./repro/
RUN /opt/venv/bin/python -m compileall -q doctor repro
ARG STACK
ARG ARCHS=all
ARG BASE_NAME
ARG BASE_DIGEST
ARG SOURCES
ARG MIN_DRIVER
LABEL org.opencontainers.image.title="bevready" \
    org.opencontainers.image.description="From bare metal to a verified number for BEVFormer and Deformable DETR" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.base.name="${BASE_NAME}" \
    org.opencontainers.image.base.digest="${BASE_DIGEST}" \
    bevready.stack="${STACK}" \
    bevready.sources="${SOURCES}" \
    bevready.archs="${ARCHS}" \
    bevready.min-driver="${MIN_DRIVER}"
USER 1000:1000
ENV HOME=/tmp USER=bevready
WORKDIR /work
HEALTHCHECK --interval=10m --timeout=60s --start-period=30s --retries=2 CMD ["/opt/venv/bin/python", "-m", "doctor"]
ENTRYPOINT ["/opt/bevready/bevready"]
CMD ["doctor"]
