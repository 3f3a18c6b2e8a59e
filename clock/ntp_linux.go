package clock

import (
	"encoding/binary"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// arrivals asks the kernel to say when packets arrive: between that and this process reading them lies whatever else the
// machine is doing.
func (s *stamped) arrivals() {
	if udp, ok := s.Conn.(*net.UDPConn); ok && stamping(udp) {
		s.oob = make([]byte, oobSize)
	}
}

const oobSize = 128 // a time stamp takes 32

func stamping(c syscall.Conn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) })
	return err == nil && failed == nil
}

// age is how long ago a packet arrived, by the kernel's stamp on it; 0 where there is none. The stamp is of the
// system's clock, which may be set at any moment; but within the microseconds from arrival to now it would have to be
// hit, and what is then out of bounds is not used.
func age(oob []byte) time.Duration {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SO_TIMESTAMPNS || len(m.Data) != 16 {
			continue
		}
		stamp := time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		if d := time.Since(stamp); d > 0 && d < time.Second {
			return d
		}
	}
	return 0
}
