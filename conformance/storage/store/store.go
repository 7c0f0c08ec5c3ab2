// Package store finds and starts the servers that Kubernetes' tests run against. All of them are
// executables that take etcd's flags: etcd itself, and the stand-in for it that runs HariKube.
package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	startTimeout = time.Minute
	stopTimeout  = 30 * time.Second
)

// Store is a server that can be started.
type Store struct {
	Name       string   // etcd, sqlite or postgres
	Executable string   // its name is etcd, so that tests find it when its folder is in PATH
	Env        []string // what the executable needs
}

// Find returns the store of that name. source is the folder of this module, build the repository's
// build folder; ETCD_BIN and HARIKUBE_BIN name other executables than those in build/bin.
func Find(ctx context.Context, name, source, build string) (Store, error) {
	s := Store{Name: name, Executable: filepath.Join(build, "conformance", "bin", name, "etcd")}
	if err := os.MkdirAll(filepath.Dir(s.Executable), 0o755); err != nil {
		return s, err
	}
	switch name {
	case "etcd":
		etcd, err := existing("ETCD_BIN", filepath.Join(build, "bin", "etcd"))
		if err != nil {
			return s, err
		}
		if err := os.Remove(s.Executable); err != nil && !os.IsNotExist(err) {
			return s, err
		}
		return s, os.Symlink(etcd, s.Executable)
	case "sqlite", "postgres":
		harikube, err := existing("HARIKUBE_BIN", filepath.Join(build, "bin", "harikube"))
		if err != nil {
			return s, err
		}
		if name == "postgres" && os.Getenv("HARIKUBE_TEST_POSTGRES") == "" {
			return s, errors.New("HARIKUBE_TEST_POSTGRES is not set: the postgres:// URL of a server in which databases may be made")
		}
		s.Env = []string{"HARIKUBE_BIN=" + harikube, "HARIKUBE_TEST_STORE=" + name}
		return s, Go(ctx, source, "build", "-o", s.Executable, "./etcd")
	default:
		return s, fmt.Errorf("unknown store %q: etcd, sqlite or postgres", name)
	}
}

func existing(variable, path string) (string, error) {
	if v := os.Getenv(variable); v != "" {
		path = v
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w (%s names another one)", err, variable)
	}
	return path, nil
}

// Go runs the go command; what it says goes to the standard error. A go.work above is not looked at.
func Go(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off") // Kubernetes' repository has one
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// Running is a started server.
type Running struct {
	URL    string // http://127.0.0.1:port
	cmd    *exec.Cmd
	output bytes.Buffer // to be read when done is closed
	done   chan struct{}
}

// Start runs the store in the empty folder dir and returns when it listens. It ends with this process.
func (s Store) Start(ctx context.Context, dir string) (*Running, error) {
	address, err := FreeAddress()
	if err != nil {
		return nil, err
	}
	r := &Running{URL: "http://" + address, done: make(chan struct{})}
	r.cmd = exec.Command(s.Executable,
		"--data-dir", dir,
		"--listen-client-urls", r.URL,
		"--advertise-client-urls", r.URL,
		"--listen-peer-urls", "http://127.0.0.1:0",
		"--log-level", "warn",
	)
	r.cmd.Env = append(os.Environ(), s.Env...)
	r.cmd.Stdout, r.cmd.Stderr = &r.output, &r.output
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		r.cmd.Wait()
		close(r.done)
	}()

	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			c.Close()
			return r, nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-r.done:
			return nil, fmt.Errorf("%s ended while it started: %v\n%s", s.Name, r.cmd.ProcessState, &r.output)
		case <-ctx.Done():
			r.Stop()
			return nil, fmt.Errorf("%s does not listen: %w\n%s", s.Name, ctx.Err(), &r.output)
		}
	}
}

// Stop ends the server. It is an error if it had ended before, or has to be killed.
func (r *Running) Stop() error {
	select {
	case <-r.done:
		return fmt.Errorf("the server ended before it was told to: %v\n%s", r.cmd.ProcessState, &r.output)
	default:
	}
	r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.done:
		return nil
	case <-time.After(stopTimeout):
		r.cmd.Process.Kill()
		<-r.done
		return fmt.Errorf("the server did not stop within %v\n%s", stopTimeout, &r.output)
	}
}

// FreeAddress returns one of 127.0.0.1, below the ports that the kernel gives to clients, so that it stays
// free until the server takes it.
func FreeAddress() (address string, err error) {
	for range 100 {
		address = net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(20_000)))
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("no free port: %w", err)
}
