package snapcast

import (
	"net"

	"golang.org/x/sys/unix"
)

// limitUnsent keeps what is written beyond n unsent bytes waiting in this process (tcp(7), TCP_NOTSENT_LOWAT), where
// something else may still go before it. Where the kernel does not do that, sound and answers share its buffer.
func limitUnsent(c *net.TCPConn, n int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, n) })
}
