// Package postgres gives each test a PostgreSQL database of its own.
//
// The server is the one of HARIKUBE_TEST_POSTGRES (a postgres:// URL of a user who may create
// databases), or one that build/bin/test-postgres starts for the test. Without either the test is
// skipped.
package postgres

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

const variable = "HARIKUBE_TEST_POSTGRES"

// Database returns the URL of an empty database that is dropped after the test.
func Database(t testing.TB, bin string) string {
	t.Helper()
	server := os.Getenv(variable)
	if server == "" {
		server = Start(t, bin).URL
	}
	at, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s is not a URL: %v", variable, err)
	}
	name := "harikube_" + strings.ToLower(rand.Text()[:10])
	execute(t, server, "CREATE DATABASE "+name)
	t.Cleanup(func() { execute(t, server, "DROP DATABASE "+name+" WITH (FORCE)") })
	at.Path = "/" + name
	return at.String()
}

// DatabaseIfAny is Database for a test that compares: where there is no PostgreSQL it returns false, and the rest is
// compared all the same.
func DatabaseIfAny(t testing.TB, bin string) (endpoint string, ok bool) {
	t.Helper()
	_, err := os.Stat(filepath.Join(bin, "test-postgres"))
	if err != nil && os.Getenv(variable) == "" {
		t.Log("NOT COMPARED ON POSTGRESQL: there is none, and no build/bin/test-postgres")
		return "", false
	}
	return Database(t, bin), true
}

// Server is a PostgreSQL server of the test's own, which can crash.
type Server struct {
	URL string

	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
}

// Start runs a server until the test ends. Without build/bin/test-postgres the test is skipped: no
// server that is only known by its URL can be killed.
func Start(t testing.TB, bin string) *Server {
	t.Helper()
	program := filepath.Join(bin, "test-postgres")
	if _, err := os.Stat(program); err != nil {
		t.Skipf("NOT TESTED ON POSTGRESQL: build %s (to set %s may be enough)", program, variable)
	}
	s, err := Run(bin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// Run runs a server until it is stopped, with build/bin/test-postgres.
func Run(bin string) (*Server, error) {
	s := &Server{cmd: exec.Command(filepath.Join(bin, "test-postgres"))}
	s.cmd.Stderr = os.Stderr
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.stdout = bufio.NewReader(stdout)
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if s.URL, err = s.line(); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// Stop stops the server, which does so when its input ends, and deletes its data.
func (s *Server) Stop() {
	_ = s.stdin.Close()
	_ = s.cmd.Wait()
}

// Crash kills all processes of the server, and returns when it is up again on its port and data.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	if _, err := io.WriteString(s.stdin, "crash\n"); err != nil {
		t.Fatal(err)
	}
	line, err := s.line()
	if err != nil {
		t.Fatal(err)
	}
	if line != "ready" {
		t.Fatalf("%s printed %q, not ready", s.cmd.Path, line)
	}
}

func (s *Server) line() (string, error) {
	line, err := s.stdout.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("%s printed nothing: %w", s.cmd.Path, err)
	}
	return strings.TrimSpace(line), nil
}

func execute(t testing.TB, server, statement string) {
	t.Helper()
	// Not the test's context: it has ended when the database is dropped.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	connection, err := pgx.Connect(ctx, server)
	if err != nil {
		t.Fatal(fmt.Errorf("PostgreSQL is not reachable: %w", err))
	}
	defer connection.Close(ctx)
	if _, err := connection.Exec(ctx, statement); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", statement, err))
	}
}
