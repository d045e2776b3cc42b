# docker build -t tandem . && docker run -p 8080:8080 -v tandem:/data tandem
#
# For several architectures at once, without emulation:
#
#   docker buildx build --platform linux/amd64,linux/arm64 -t registry.example.com/tandem --push .

FROM --platform=$BUILDPLATFORM node:22 AS app
WORKDIR /src
# Dependencies first: this layer stays cached while only our code changes.
COPY Makefile .
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc frontend/
COPY frontend/client/package.json frontend/client/
COPY frontend/app/package.json frontend/app/
COPY frontend/guide/package.json frontend/guide/
COPY frontend/examples/board/package.json frontend/examples/board/
COPY frontend/examples/embed/package.json frontend/examples/embed/
COPY frontend/examples/react/package.json frontend/examples/react/
COPY frontend/examples/vue/package.json frontend/examples/vue/
RUN make frontend/node_modules
COPY frontend frontend
RUN make app

FROM --platform=$BUILDPLATFORM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
COPY third_party third_party
RUN go mod download
COPY . .
COPY --from=app /src/frontend/app/dist frontend/app/dist
ARG TARGETOS TARGETARCH
RUN GOOS=$TARGETOS GOARCH=$TARGETARCH make binary
RUN mkdir /empty

FROM scratch
COPY --from=build /src/bin/tandem /tandem
# A new volume takes its owner from the directory in the image, so the unprivileged user can write to it.
COPY --from=build --chown=10001:10001 /empty /data
COPY --from=build --chown=10001:10001 /empty /data/files
USER 10001:10001
# SQLite falls back to the working directory for temporary files: scratch has no /tmp.
WORKDIR /data
VOLUME /data
ENV TANDEM_DATA_DIR=/data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/tandem", "health"]
ENTRYPOINT ["/tandem"]
