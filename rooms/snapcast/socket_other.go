//go:build !linux

package snapcast

import "net"

// limitUnsent does nothing where there is no such limit: sound and answers share the kernel's buffer.
func limitUnsent(*net.TCPConn, int) {}
