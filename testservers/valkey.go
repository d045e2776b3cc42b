package testservers

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

// Valkey is a Valkey server that keeps nothing on disk.
type Valkey struct {
	Port   int
	bin    string
	dir    string
	args   []string
	server *daemon
	log    bytes.Buffer
}

// StartValkey starts a server, with further settings as arguments of valkey-server.
func StartValkey(args ...string) (*Valkey, error) {
	bin, err := exec.LookPath("valkey-server")
	if err != nil {
		return nil, fmt.Errorf("valkey-server %w", ErrMissing)
	}
	v := &Valkey{bin: bin, args: args}
	if v.Port, err = FreePort(); err != nil {
		return nil, err
	}
	if v.dir, err = os.MkdirTemp("", "tandem-valkey-"); err != nil {
		return nil, err
	}
	if err := v.Start(); err != nil {
		_ = os.RemoveAll(v.dir)
		return nil, err
	}
	return v, nil
}

// NewValkey is like StartValkey for one test, at whose end it removes the server.
func NewValkey(t testing.TB, args ...string) *Valkey {
	t.Helper()
	v, err := StartValkey(args...)
	Need(t, err)
	t.Cleanup(v.Remove)
	return v
}

// Start restarts the killed server, which is then empty, and waits until it answers.
func (v *Valkey) Start() error {
	cmd := exec.Command(v.bin, append([]string{"--port", strconv.Itoa(v.Port), "--bind", "127.0.0.1", "--save", "",
		"--appendonly", "no", "--dir", v.dir}, v.args...)...)
	cmd.Stdout, cmd.Stderr = &v.log, &v.log
	var err error
	if v.server, err = start(cmd, syscall.SIGKILL); err != nil {
		return err
	}
	return v.server.await(&v.log, v.ping)
}

// ping returns nil if the server answers; an error such as NOAUTH is an answer too.
func (v *Valkey) ping(ctx context.Context) error {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", v.Addr())
	if err != nil {
		return err
	}
	defer c.Close()
	deadline, _ := ctx.Deadline()
	_ = c.SetDeadline(deadline)
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	var b [1]byte
	_, err = c.Read(b[:])
	return err
}

// Addr returns the server's host and port.
func (v *Valkey) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(v.Port)) }

// URL returns the server's URL.
func (v *Valkey) URL() string { return "valkey://" + v.Addr() }

// Kill ends the server at once; Start restarts it, empty.
func (v *Valkey) Kill() { v.server.end(syscall.SIGKILL) }

// Freeze stops the server from answering, until Thaw.
func (v *Valkey) Freeze() { v.server.freeze() }

// Thaw undoes Freeze.
func (v *Valkey) Thaw() { v.server.thaw() }

// Remove ends the server and removes its files.
func (v *Valkey) Remove() {
	v.Kill()
	_ = os.RemoveAll(v.dir)
}
