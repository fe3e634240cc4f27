# The service of one model on the CPU: docker build -t anogan . && docker run -p 8000:8000 -v ./models:/models:ro anogan
FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY anogan anogan
COPY cli cli
RUN python -m venv /opt/anogan \
    && /opt/anogan/bin/pip install --no-cache-dir --extra-index-url https://download.pytorch.org/whl/cpu \
        -c constraints.txt ".[serve]"

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 anogan
COPY --from=build /opt/anogan /opt/anogan
ENV PATH=/opt/anogan/bin:$PATH OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
USER anogan
EXPOSE 8000
HEALTHCHECK CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=3)"]
ENTRYPOINT ["anogan"]
CMD ["serve", "/models/model.anogan", "--host", "0.0.0.0"]
