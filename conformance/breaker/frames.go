package breaker

import (
	"encoding/binary"
	"io"
)

// readFrame reads a WebSocket frame from a server, which is not masked (RFC 6455 §5.2). head is its first byte: FIN,
// the reserved bits and the opcode.
func readFrame(r io.Reader) (head byte, payload []byte, err error) {
	var b [8]byte
	if _, err := io.ReadFull(r, b[:2]); err != nil {
		return 0, nil, err
	}
	head = b[0]
	n := uint64(b[1] & 0x7f)
	switch n {
	case 126:
		_, err = io.ReadFull(r, b[:2])
		n = uint64(binary.BigEndian.Uint16(b[:2]))
	case 127:
		_, err = io.ReadFull(r, b[:8])
		n = binary.BigEndian.Uint64(b[:8])
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return head, payload, err
}

func appendFrame(dst []byte, head byte, payload []byte) []byte {
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, head, byte(n))
	case n <= 0xffff:
		dst = binary.BigEndian.AppendUint16(append(dst, head, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, head, 127), uint64(n))
	}
	return append(dst, payload...)
}
