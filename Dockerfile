# docker build -t tandem . && docker run -p 8080:8080 -v tandem:/data tandem

FROM golang:1.26 AS build
WORKDIR /src
# Dependencies first: this layer stays while only our code changes.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make build && mkdir /empty

FROM scratch
COPY --from=build /src/bin/tandem /tandem
# A volume takes its owner from the image's directory, so that no root is needed to write there.
COPY --from=build --chown=10001:10001 /empty /data
USER 10001:10001
# SQLite's temporary files go here: scratch has no /tmp.
WORKDIR /data
VOLUME /data
ENV TANDEM_DATA_DIR=/data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s CMD ["/tandem", "health"]
ENTRYPOINT ["/tandem"]
