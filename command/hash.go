package command

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"tandem/program"
)

// hashCommand is the process that serve starts beside itself.
type hashCommand struct{}

// Run ends when the server does, however that ends; signals from a terminal or supervisor are for the server.
func (hashCommand) Run() error {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	return program.HashPasswords(os.Stdin, os.Stdout)
}

// ourselves returns a command line of this program, or nil if its file is unknown.
func ourselves(args ...string) []string {
	self := "/proc/self/exe" // also if the file was replaced by a new version
	if runtime.GOOS != "linux" {
		var err error
		if self, err = os.Executable(); err != nil {
			return nil
		}
	}
	return append([]string{self}, args...)
}
