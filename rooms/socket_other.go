//go:build !linux

package rooms

import "syscall"

// LimitUnsent does nothing where there is no such limit: sound and answers share the kernel's buffer.
func LimitUnsent(syscall.Conn, int) {}
