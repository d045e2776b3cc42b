// Command tandem is a self-hosted chat backend: a REST API and one stream of typed events over WebSocket and
// plain HTTP. Package command is its command line, package program the server.
package main

import (
	_ "embed"

	"tandem/command"
)

// The contract is at the root, where people look for it, and only a file beside it can embed it.
//
//go:embed openapi.yaml
var spec []byte

func main() {
	command.Run(spec)
}
