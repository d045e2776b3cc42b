package auth

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"time"
)

// HashPasswords derives keys from the passwords and salts on in, one after another, until in ends: it is the process of
// Config.HashCommand. It yields to everything else on the machine.
func HashPasswords(in io.Reader, out io.Writer) error {
	lowerPriority()
	r := bufio.NewReader(in)
	for {
		password, err := readText(r)
		if err == io.EOF {
			return nil // the parent is gone
		}
		if err != nil {
			return err
		}
		salt, err := readText(r)
		if err != nil {
			return err
		}
		if _, err := out.Write(argon2id(argonMemory, password, salt)); err != nil {
			return err
		}
	}
}

// Each text is preceded by its length: two bytes, big-endian.
func appendText(b, text []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(text))), text...)
}

func readText(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	text := make([]byte, binary.BigEndian.Uint16(size[:]))
	_, err := io.ReadFull(r, text)
	return text, err
}

const (
	// hashWait is how long the other process may take for one key. On a busy machine it gets next to no time, and users
	// must still be able to log in.
	hashWait = 2 * time.Second
	// hashPause is how long the server hashes by itself after the process took longer than that, so that not every login
	// on a busy machine waits in vain.
	hashPause = 10 * time.Second
)

// hasher derives one key at a time, in a separate process: inside the server, other goroutines would have to wait for
// the scheduler's time slices, 10 ms each, and the server's threads have one priority.
type hasher struct {
	command []string // empty: hash in this process
	wait    time.Duration
	logger  *slog.Logger
	paused  time.Time // until then, hash in this process
	cmd     *exec.Cmd // nil: not started
	in      io.WriteCloser
	out     io.Reader
}

func (h *hasher) key(memory uint32, password, salt []byte) []byte {
	if len(h.command) > 0 && memory == argonMemory && !time.Now().Before(h.paused) {
		key, err := h.ask(password, salt)
		if err == nil {
			return key
		}
		h.stop() // the next call starts it again
		h.logger.Warn("hashed a password inside the server process, which delays others", "error", err)
	}
	return argon2id(memory, password, salt)
}

func (h *hasher) ask(password, salt []byte) ([]byte, error) {
	if h.cmd == nil {
		if err := h.start(); err != nil {
			return nil, err
		}
	}
	late := time.AfterFunc(h.wait, func() { _ = h.cmd.Process.Kill() })
	key := make([]byte, argonKey)
	_, err := h.in.Write(appendText(appendText(nil, password), salt))
	if err == nil {
		_, err = io.ReadFull(h.out, key)
	}
	if !late.Stop() && err != nil {
		h.paused = time.Now().Add(hashPause)
		err = fmt.Errorf("the process took longer than %v", h.wait)
	}
	return key, err
}

func (h *hasher) start() (err error) {
	cmd := exec.Command(h.command[0], h.command[1:]...)
	cmd.Env = []string{"GOMAXPROCS=1"} // and none of our secrets
	if h.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	if h.out, err = cmd.StdoutPipe(); err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	h.cmd = cmd
	return nil
}

// stop ends the process, if there is one, and waits for it.
func (h *hasher) stop() {
	if h.cmd == nil {
		return
	}
	_ = h.cmd.Process.Kill() // it has nothing to finish, and may have ended already
	_ = h.cmd.Wait()
	h.cmd = nil
}
