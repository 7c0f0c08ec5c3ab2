// Command etcd stands in for the executable of that name where Kubernetes' tests start an etcd of
// their own: it takes etcd's flags and runs a HariKube server on a fresh store instead.
//
// The store is chosen by the environment:
//
//	HARIKUBE_BIN            the server's executable
//	HARIKUBE_TEST_STORE     "sqlite" (default; a file in the data directory) or "postgres"
//	HARIKUBE_TEST_POSTGRES  postgres:// URL of a database server; a database is made for this
//	                        process in it and dropped at the end
//
// It ends the server, and drops the database, when it is told to stop and when its parent is gone.
package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	_ "github.com/lib/pq"

	"harikube/conformance/storage/store"
)

const (
	startTimeout = 60 * time.Second
	stopTimeout  = 10 * time.Second

	databaseTimeout = 30 * time.Second
)

func main() {
	// The parent-death signal of the child hangs on the thread that starts it.
	runtime.LockOSThread()
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "etcd (HariKube):", err)
		os.Exit(1)
	}
}

// options are the flags of etcd that mean something to our server.
type options struct {
	dataDir          string
	clientURLs       string
	progressInterval time.Duration
	certFile         string
	keyFile          string
	trustedCAFile    string
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("etcd", flag.ContinueOnError)
	flags.StringVar(&o.dataDir, "data-dir", "", "where a SQLite store is kept")
	flags.StringVar(&o.clientURLs, "listen-client-urls", "http://127.0.0.1:2379", "one http, https or unix URL")
	flags.DurationVar(&o.progressInterval, "watch-progress-notify-interval", 0, "")
	flags.DurationVar(&o.progressInterval, "experimental-watch-progress-notify-interval", 0, "")
	flags.StringVar(&o.certFile, "cert-file", "", "")
	flags.StringVar(&o.keyFile, "key-file", "", "")
	flags.StringVar(&o.trustedCAFile, "trusted-ca-file", "", "")
	// About members, logs and disk space of etcd: nothing here to apply them to. A flag that is not
	// listed is an error, so that a test which depends on it does not run without it unnoticed.
	for _, name := range []string{
		"advertise-client-urls", "listen-peer-urls", "log-level", "quota-backend-bytes",
	} {
		flags.String(name, "", "accepted and ignored")
	}
	flags.Bool("unsafe-no-fsync", false, "accepted and ignored: commits stay durable")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.dataDir == "" {
		return o, fmt.Errorf("--data-dir is missing")
	}
	if strings.Contains(o.clientURLs, ",") {
		return o, fmt.Errorf("more than one client URL: %s", o.clientURLs)
	}
	return o, nil
}

func run(args []string) (err error) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if err := dieWithParent(syscall.SIGTERM); err != nil {
		return err
	}

	o, err := parse(args)
	if err != nil {
		return err
	}
	listen, err := url.Parse(o.clientURLs)
	if err != nil {
		return err
	}
	address := listen.Host
	if listen.Scheme == "unix" {
		if address, err = store.FreeAddress(); err != nil {
			return err
		}
	}
	endpoint, dropStore, err := freshStore(o.dataDir)
	if err != nil {
		return err
	}
	server, err := startServer(o, endpoint, address)
	if err != nil {
		return errors.Join(err, dropStore())
	}
	defer func() {
		server.stop()
		if dropErr := dropStore(); err == nil {
			err = dropErr
		}
	}()

	if listen.Scheme == "unix" {
		// Who waits for the socket takes its existence for readiness.
		if err := server.waitUntilListening(address, stop); err != nil {
			return err
		}
		socket, err := net.Listen("unix", listen.Host+listen.Path)
		if err != nil {
			return err
		}
		defer socket.Close()
		go forward(socket, address)
	}

	select {
	case <-stop:
		return nil
	case <-server.done:
		return fmt.Errorf("the server ended by itself: %v", server.cmd.ProcessState)
	}
}

// dieWithParent asks the kernel (Linux) for a signal when the process that started this one ends.
func dieWithParent(s syscall.Signal) error {
	parent := os.Getppid()
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, syscall.PR_SET_PDEATHSIG, uintptr(s), 0); errno != 0 {
		return fmt.Errorf("prctl: %w", errno)
	}
	if os.Getppid() != parent {
		return fmt.Errorf("the parent ended during the start")
	}
	return nil
}

// freshStore returns the endpoint of a store that nobody has used, and what removes it.
func freshStore(dataDir string) (endpoint string, drop func() error, err error) {
	switch kind := os.Getenv("HARIKUBE_TEST_STORE"); kind {
	case "", "sqlite":
		dir, err := filepath.Abs(dataDir)
		if err != nil {
			return "", nil, err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return "", nil, err
		}
		return "sqlite://" + filepath.Join(dir, "harikube.db"), func() error { return nil }, nil
	case "postgres":
		admin := os.Getenv("HARIKUBE_TEST_POSTGRES")
		u, err := url.Parse(admin)
		if err != nil || admin == "" {
			return "", nil, fmt.Errorf("HARIKUBE_TEST_POSTGRES must be a postgres:// URL")
		}
		// Made here, although the server makes a missing one: it would be left behind if the server
		// were killed while it does.
		name := databaseName()
		if err := execute(*u, `CREATE DATABASE "`+name+`"`); err != nil {
			return "", nil, err
		}
		drop := func() error { return execute(*u, `DROP DATABASE IF EXISTS "`+name+`" WITH (FORCE)`) }
		fresh := *u
		fresh.Path = "/" + name
		return fresh.String(), drop, nil
	default:
		return "", nil, fmt.Errorf("unknown HARIKUBE_TEST_STORE %q", kind)
	}
}

func databaseName() string {
	b := make([]byte, 8)
	rand.Read(b)
	return "harikube_test_" + hex.EncodeToString(b)
}

func execute(server url.URL, statement string) error {
	// PostgreSQL's own clients and JDBC take "prefer" for the default, this driver "require".
	if q := server.Query(); !q.Has("sslmode") {
		q.Set("sslmode", "prefer")
		server.RawQuery = q.Encode()
	}
	db, err := sql.Open("postgres", server.String())
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), databaseTimeout)
	defer cancel()
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

type server struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
}

func startServer(o options, endpoint, address string) (*server, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	args := []string{
		"server",
		"--endpoint", endpoint,
		"--listen-address", net.JoinHostPort(host, port),
		"--metrics-bind-address", "0",
	}
	if o.progressInterval > 0 {
		args = append(args, "--watch-progress-notify-interval", o.progressInterval.String())
	}
	for flag, file := range map[string]string{
		"--server-cert-file": o.certFile,
		"--server-key-file":  o.keyFile,
		"--trusted-ca-file":  o.trustedCAFile,
	} {
		if file != "" {
			args = append(args, flag, file)
		}
	}
	cmd := exec.Command(os.Getenv("HARIKUBE_BIN"), args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	// A group of its own, so that a launcher script and the JVM it started end together.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("HARIKUBE_BIN: %w", err)
	}
	s := &server{cmd: cmd, done: make(chan struct{})}
	go func() {
		cmd.Wait()
		close(s.done)
	}()
	return s, nil
}

func (s *server) waitUntilListening(address string, stop <-chan os.Signal) error {
	deadline := time.After(startTimeout)
	for {
		if c, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			c.Close()
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-stop:
			return fmt.Errorf("stopped during the start")
		case <-s.done:
			return fmt.Errorf("the server did not start: %v", s.cmd.ProcessState)
		case <-deadline:
			return fmt.Errorf("the server did not listen within %v", startTimeout)
		}
	}
}

func (s *server) stop() {
	group := -s.cmd.Process.Pid
	syscall.Kill(group, syscall.SIGTERM)
	select {
	case <-s.done:
	case <-time.After(stopTimeout):
	}
	syscall.Kill(group, syscall.SIGKILL)
	<-s.done
}

// forward passes every connection of the socket on to the server; one end closing closes the other.
func forward(socket net.Listener, address string) {
	for {
		in, err := socket.Accept()
		if err != nil {
			return
		}
		go func() {
			defer in.Close()
			out, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer out.Close()
			ended := make(chan struct{}, 2)
			pipe := func(to io.Writer, from io.Reader) {
				io.Copy(to, from)
				ended <- struct{}{}
			}
			go pipe(out, in)
			go pipe(in, out)
			<-ended
		}()
	}
}
