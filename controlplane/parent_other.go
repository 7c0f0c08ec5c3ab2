//go:build !linux

package controlplane

import "syscall"

// DieWithParent does nothing: only Linux has it. A start on the data of such orphans fails, because
// the store has its files locked, and says so.
func DieWithParent(*syscall.SysProcAttr) {}
