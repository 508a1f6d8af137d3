# The proxy in a container; settings come as KAFKA_REST_... variables. How to use it: docs/systemd.md.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
WORKDIR /tree
COPY setup.py pyproject.toml MANIFEST.in README.md LICENSE ./
COPY config config
COPY docs docs
COPY kafka_rest kafka_rest
RUN python -m venv /opt/kafka-rest \
    && /opt/kafka-rest/bin/pip install --no-cache-dir --disable-pip-version-check .

FROM python:${PYTHON}
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent kafka-rest
COPY --from=build /opt/kafka-rest /opt/kafka-rest
ENV PATH=/opt/kafka-rest/bin:$PATH
USER 10001
EXPOSE 8082
# Asks the process alone: a broker that is away is no reason to restart a proxy.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('KAFKA_REST_PORT', 8082)), timeout=2); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
# Without a shell in between, so that TERM reaches the server.
CMD ["kafka-rest-start"]
