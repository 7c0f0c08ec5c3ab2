package main

import "syscall"

// dieWithParent has the kernel kill the process when we are killed: nobody would stop it then.
func dieWithParent(attr *syscall.SysProcAttr) {
	attr.Pdeathsig = syscall.SIGKILL
}
