# The command `mend` and the page, with the models that ship and without PyTorch.
#   docker build --tag mendline .
#   docker run --rm --user "$(id -u)" --volume "$PWD:/work" mendline photo.jpg --mask mask.png -o restored.png
#   docker run --rm --publish 7860:7860 --entrypoint mendline mendline app
FROM python:3.12-slim
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY mendline mendline
COPY pipeline pipeline
COPY models models
RUN pip install --no-cache-dir . 'gradio>=6.31' 'ruamel.yaml>=0.18' && rm -r /src
RUN useradd --create-home mend && mkdir /work
USER mend
ENV GRADIO_SERVER_NAME=0.0.0.0 HOME=/tmp
WORKDIR /work
EXPOSE 7860
ENTRYPOINT ["mend"]
