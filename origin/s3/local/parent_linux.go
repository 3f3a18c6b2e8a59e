package local

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end the program when the thread that starts it does.
func dieWithParent(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
