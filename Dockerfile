# docker build -t shoptally .
# docker run --rm --read-only --tmpfs /tmp -p 8501:8501 -v shoptally:/app/data shoptally

FROM python:3.11.14-slim-bookworm AS packages
RUN python -m venv /venv
COPY requirements.txt .
RUN /venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check --use-pep517 -r requirements.txt

FROM python:3.11.14-slim-bookworm
# What the app prints belongs to the log at once; the code is read-only for its user.
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
# A new volume takes the owner of the folder it covers.
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin shoptally \
    && install -d -o shoptally -g shoptally /app/data
COPY --from=packages /venv /venv
COPY .streamlit/config.toml .streamlit/
COPY core core/
COPY pages pages/
COPY app.py LICENSE ./
# Here, because whoever runs it may not write.
RUN python -m compileall -q core pages app.py
USER shoptally
VOLUME /app/data
EXPOSE 8501
# Whether the process lives, for who restarts what is unhealthy; a database that is away shows at /ready. There is no
# curl in a slim image.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8501/health', timeout=4)"]
# The welcome is for terminals, and asks a server of somebody else's for this machine's address.
CMD ["streamlit", "run", "app.py", "--server.address", "0.0.0.0", "--server.port", "8501", "--server.headless", "true", \
     "--logger.hideWelcomeMessage", "true"]
