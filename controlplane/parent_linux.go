package controlplane

import "syscall"

// DieWithParent has the kernel kill the process when we are killed: nobody would stop it then.
func DieWithParent(attr *syscall.SysProcAttr) {
	attr.Pdeathsig = syscall.SIGKILL
}
