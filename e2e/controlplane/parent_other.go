//go:build !linux

package controlplane

import "syscall"

// dieWithParent does nothing: only Linux has it. A start on the data of such orphans fails, because
// the store has its files locked, and says so.
func dieWithParent(*syscall.SysProcAttr) {}
