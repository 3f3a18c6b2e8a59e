//go:build !linux

package local

import "os/exec"

// dieWithParent does nothing: only Linux ends a program with its parent. Close does elsewhere.
func dieWithParent(*exec.Cmd) {}
