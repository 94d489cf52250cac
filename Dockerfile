# Trains, evaluates and exports. To serve a model, see export/serving/.
#
#   docker build -t dcgan_tf .                                # CPU
#   docker build -t dcgan_tf:gpu --build-arg EXTRA=gpu .      # NVIDIA GPUs
#   docker run --rm --init --user "$(id -u):$(id -g)" -v "$PWD:/work" dcgan_tf train --dataset=mnist
#   docker run --rm --init --user "$(id -u):$(id -g)" -v "$PWD:/work" --gpus all dcgan_tf:gpu train --dataset=mnist
ARG PYTHON=3.11
FROM python:${PYTHON}-slim
# One of the extras in pyproject.toml. gpu brings NVIDIA's libraries; the host needs only the driver and NVIDIA's
# container toolkit.
ARG EXTRA=""

WORKDIR /source
COPY pyproject.toml README.md LICENSE requirements.txt ./
COPY requirements ./requirements
COPY dcgan_tf ./dcgan_tf
RUN pip install --no-cache-dir ".${EXTRA:+[$EXTRA]}" && rm -r /source/*

# Any user of the host may run it. What is worth keeping lands in the mounted folder.
ENV HOME=/tmp XDG_CACHE_HOME=/work/.cache TFDS_DATA_DIR=/work/tensorflow_datasets
WORKDIR /work
USER 65534:65534
ENTRYPOINT ["dcgan"]
CMD ["--help"]
