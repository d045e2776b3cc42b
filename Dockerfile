# docker build -t tandem . && docker run -p 8080:8080 -v tandem:/data tandem

FROM node:22 AS app
WORKDIR /src/frontend
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
COPY frontend/client/package.json client/
COPY frontend/app/package.json app/
COPY frontend/examples/react/package.json examples/react/
COPY frontend/examples/vue/package.json examples/vue/
RUN npm ci --no-audit --no-fund
COPY frontend .
RUN npm run app

FROM golang:1.26 AS build
WORKDIR /src
# Dependencies first: this layer stays while only our code changes.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
COPY --from=app /src/frontend/app/dist frontend/app/dist
RUN CGO_ENABLED=0 go build -trimpath -o bin/tandem . && mkdir /empty

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
