# The image of the stack `upstream`: the authors' own packages on Python 3.8, for comparison with a checkout that the
# user mounts. Operators are built for the CPU, from their sources, with the compiler in a stage that is left behind.
# The doctor and the installer run on the distribution's Python 3; Python 3.8 is the base's own.
ARG BASE=python:3.8-slim-bookworm

FROM ${BASE} AS base
COPY docker/certificates/ /usr/local/share/bevready-certificates/
# The base's digest pins its packages; Debian's mirrors drop old versions, so a version named here would stop to build.
# hadolint ignore=DL3008
RUN set -eu; \
    if ! /usr/bin/python3 -c 'import ensurepip, venv' || [ ! -s /etc/ssl/certs/ca-certificates.crt ]; then \
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
    PYTHONUNBUFFERED=1 \
    OMP_WAIT_POLICY=passive
WORKDIR /opt/bevready

# The environment, phase by phase, by the same code and the same hashes as on a host.
FROM base AS environment
# No versions of Debian's packages, as above.
# hadolint ignore=DL3008
RUN set -eu; \
    if ! command -v g++; then \
        apt-get update; \
        apt-get install --yes --no-install-recommends g++; \
        rm -rf /var/lib/apt/lists/*; \
    fi
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
COPY env/upstream/ ./env/upstream/
COPY doctor/ ./doctor/
RUN PIP_NO_CACHE_DIR=1 /usr/bin/python3 -c \
    'import sys; from doctor.locks.menu import main; sys.exit(main(sys.argv[1:]))' \
    --stack upstream --prefix /opt/venv --python "$(command -v python3.8)"

FROM base AS image
COPY --from=environment /opt/venv/ /opt/venv/
COPY LICENSE ./
COPY env/upstream/ ./env/upstream/
COPY env/cu130/stack.json ./env/cu130/
COPY doctor/ ./doctor/
COPY repro/__init__.py ./repro/
COPY repro/containers/__init__.py repro/containers/lease.py ./repro/containers/
ARG BASE_NAME
ARG BASE_DIGEST
ARG SOURCES
ARG MIN_DRIVER
LABEL org.opencontainers.image.title="bevready-upstream" \
    org.opencontainers.image.description="The authors' own stack of BEVFormer, on the CPU, for comparison" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.base.name="${BASE_NAME}" \
    org.opencontainers.image.base.digest="${BASE_DIGEST}" \
    bevready.stack="upstream" \
    bevready.sources="${SOURCES}" \
    bevready.min-driver="${MIN_DRIVER}"
USER 1000:1000
ENV HOME=/tmp USER=bevready PYTHONPATH=/opt/bevready
WORKDIR /work
HEALTHCHECK --interval=10m --timeout=60s --start-period=30s --retries=2 CMD ["/usr/bin/python3", "-m", "doctor", "--python", "/opt/venv/bin/python"]
ENTRYPOINT ["/opt/venv/bin/python"]
CMD ["--version"]
