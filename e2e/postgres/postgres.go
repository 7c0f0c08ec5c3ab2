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

// Server is a PostgreSQL server of the test's own, which can crash.
type Server struct {
	URL string

	program string
	stdin   io.Writer
	stdout  *bufio.Reader
}

// Start runs a server until the test ends. Without build/bin/test-postgres the test is skipped: no
// server that is only known by its URL can be killed.
func Start(t testing.TB, bin string) *Server {
	t.Helper()
	program := filepath.Join(bin, "test-postgres")
	if _, err := os.Stat(program); err != nil {
		t.Skipf("NOT TESTED ON POSTGRESQL: build %s (to set %s may be enough)", program, variable)
	}
	cmd := exec.Command(program)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // it stops when its stdin closes
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	s := &Server{program: program, stdin: stdin, stdout: bufio.NewReader(stdout)}
	s.URL = s.line(t)
	return s
}

// Crash kills all processes of the server, and returns when it is up again on its port and data.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	if _, err := io.WriteString(s.stdin, "crash\n"); err != nil {
		t.Fatal(err)
	}
	if line := s.line(t); line != "ready" {
		t.Fatalf("%s printed %q, not ready", s.program, line)
	}
}

func (s *Server) line(t testing.TB) string {
	t.Helper()
	line, err := s.stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("%s printed nothing: %v", s.program, err)
	}
	return strings.TrimSpace(line)
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
