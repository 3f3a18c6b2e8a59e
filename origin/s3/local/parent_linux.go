package local

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end the program when the thread that starts it does. A group of its own keeps ctrl-C in a
// terminal from it: it is ended by its parent, after those that use it.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
