package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestChildrenDoNotStayAndItEndsWhenTold(t *testing.T) {
	program := filepath.Join(t.TempDir(), "pause")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// The shell becomes pause, which so has children: one that may have ended before, and one that ends when it is told.
	command := exec.Command("sh", "-c", "true & first=$!; cat >/dev/null <&3 & echo $first $!; exec 3<&-; exec "+program)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.ExtraFiles = []*os.File{reader}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	reader.Close()
	line := make([]byte, 64)
	length, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	for _, child := range strings.Fields(string(line[:length])) {
		deadline := time.Now().Add(30 * time.Second)
		for !gone(t, child) {
			if time.Now().After(deadline) {
				t.Fatalf("the child %s is still there", child)
			}
			time.Sleep(time.Millisecond)
		}
	}
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Error(err)
	}
}

func gone(t *testing.T, process string) bool {
	t.Helper()
	_, err := os.Stat("/proc/" + process)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err != nil
}
