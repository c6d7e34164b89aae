# The gateway and its dashboard, without the embedded Postgres, pip and build tools: the first stage's installation is
# copied. With --build-arg EXTRAS=dashboard,otel it can also send traces.
FROM python:3.13-slim AS build
ARG EXTRAS=dashboard
RUN python -m venv --without-pip /opt/pgmq-gateway
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY app app
COPY sql sql
RUN pip --python /opt/pgmq-gateway/bin/python install --no-cache-dir --constraint requirements.lock ".[$EXTRAS]"

FROM python:3.13-slim
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent pgmq-gateway
COPY --from=build /opt/pgmq-gateway /opt/pgmq-gateway
ENV PATH=/opt/pgmq-gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PGRST_SERVER_HOST=0.0.0.0
USER 10001
EXPOSE 3000 3001 3002
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD python -c "from urllib.request import urlopen; urlopen('http://127.0.0.1:${PGRST_ADMIN_SERVER_PORT:-3001}/live', timeout=2)"
STOPSIGNAL SIGTERM
ENTRYPOINT ["pgmq-gateway"]
# The dashboard runs in a container of its own: docs/guides/dashboard.md.
CMD ["serve", "--no-dashboard"]
