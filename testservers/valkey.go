package testservers

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// Valkey is a Valkey server of its own, which keeps nothing on disk.
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
	if v.Port, err = freePort(); err != nil {
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

// NewValkey is StartValkey for one test, at whose end the server goes.
func NewValkey(t testing.TB, args ...string) *Valkey {
	t.Helper()
	v, err := StartValkey(args...)
	Need(t, err)
	t.Cleanup(v.Remove)
	return v
}

// Start starts the server, which has been killed, empty, and returns when it answers.
func (v *Valkey) Start() error {
	cmd := exec.Command(v.bin, append([]string{"--port", strconv.Itoa(v.Port), "--bind", "127.0.0.1", "--save", "",
		"--appendonly", "no", "--dir", v.dir}, v.args...)...)
	cmd.Stdout, cmd.Stderr = &v.log, &v.log
	var err error
	if v.server, err = start(cmd, syscall.SIGKILL); err != nil {
		return err
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if v.answers() {
			return nil
		}
		select {
		case <-v.server.ended:
			return fmt.Errorf("Valkey ended instead of serving:\n%s", v.log.Bytes())
		default:
		}
		if time.Now().After(deadline) {
			v.Kill()
			return fmt.Errorf("Valkey did not answer within 30 s:\n%s", v.log.Bytes())
		}
	}
}

// answers tells whether the server speaks; a refusal (NOAUTH) is an answer too.
func (v *Valkey) answers() bool {
	c, err := net.DialTimeout("tcp", v.Addr(), time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	var b [1]byte
	_, err = c.Read(b[:])
	return err == nil
}

// Addr is the server's host and port.
func (v *Valkey) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(v.Port)) }

// URL is the server's.
func (v *Valkey) URL() string { return "valkey://" + v.Addr() }

// Kill ends it at once; Start brings it back, empty.
func (v *Valkey) Kill() { v.server.end(syscall.SIGKILL) }

// Freeze stops it from answering, until Thaw.
func (v *Valkey) Freeze() { _ = v.server.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (v *Valkey) Thaw() { _ = v.server.cmd.Process.Signal(syscall.SIGCONT) }

// Remove ends the server and removes its files.
func (v *Valkey) Remove() {
	v.Kill()
	_ = os.RemoveAll(v.dir)
}
