package controlplane

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockFolder makes the folder and locks it until the file is closed or this process ends. What is in it is
// for its owner alone: every Secret of the cluster is.
func lockFolder(folder string) (*os.File, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("another control plane is running on %s: stop it or choose another data folder", folder)
	}
	return file, nil
}
