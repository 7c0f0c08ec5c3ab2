package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"harikube.io/images/tools/container"
)

const (
	insideVariable    = "HARIKUBE_STACK_INSIDE"
	containerVariable = "HARIKUBE_STACK_CONTAINER"
)

// TestMain has three lives: the one that `go test` starts, the tests in their own namespaces, and each container of a pod.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv(containerVariable) != "":
		fmt.Fprintln(os.Stderr, becomeContainer(os.Getenv(containerVariable)))
		os.Exit(127)
	case os.Getenv(insideVariable) != "":
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, "the namespaces of the test:", err)
			os.Exit(1)
		}
		os.Exit(runAll(m))
	case container.Possible():
		os.Exit(runInside())
	default:
		os.Exit(m.Run())
	}
}

func runAll(m *testing.M) int {
	defer removeImages()
	return m.Run()
}

func becomeContainer(text string) error {
	var spec container.Spec
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return err
	}
	return container.Exec(spec)
}

// runInside runs this program again where the ports are free. Its end is the end of all that it has started.
func runInside() int {
	runtime.LockOSThread()
	command := exec.Command("/proc/self/exe", os.Args[1:]...)
	command.Env = append(os.Environ(), insideVariable+"=1")
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	err := command.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return max(exit.ExitCode(), 1)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the namespaces of the test:", err)
		return 1
	}
	return 0
}

// furnish gives the new namespaces what programs expect of a machine.
func furnish() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("/proc: %w", err)
	}
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	request := struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}{flags: syscall.IFF_UP}
	copy(request.name[:], "lo")
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(socket), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return fmt.Errorf("the loopback: %w", errno)
	}
	return nil
}
