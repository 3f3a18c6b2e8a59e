package clock

import (
	"encoding/binary"
	"math"
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

// arrival is when a packet arrived, by the oscillator, from the kernel's stamp on it; now where there is none. The stamp is
// of the system's clock, which may be set at any moment; but it would have to be within the microseconds since, and what
// is then out of bounds is not used.
func arrival(oob []byte, osc Oscillator) time.Duration {
	now := osc.Elapsed()
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return now
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_SOCKET || m.Header.Type != unix.SO_TIMESTAMPNS || len(m.Data) != 16 {
			continue
		}
		stamp := time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
		// Both clocks as close together as can be had: others want this core, too.
		closest := time.Duration(math.MaxInt64)
		var at, age time.Duration
		for range 3 {
			before := osc.Elapsed()
			since := time.Since(stamp)
			if after := osc.Elapsed(); after-before < closest {
				closest, at, age = after-before, before+(after-before)/2, since
			}
		}
		if age >= 0 && age < time.Second {
			return at - age
		}
	}
	return now
}
