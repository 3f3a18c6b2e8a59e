package rooms

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// LimitUnsent keeps what is written to a connection beyond n unsent bytes waiting in this process (tcp(7),
// TCP_NOTSENT_LOWAT), where something else may still go before it. Where the kernel does not do that, sound and answers about
// the time share its buffer.
func LimitUnsent(c syscall.Conn, n int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, n) })
}
