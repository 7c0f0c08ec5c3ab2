package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// started serves, and gives the address and what is said, line by line; at the end it must end by itself.
func started(t *testing.T, file string, every time.Duration) (string, *bufio.Scanner) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	said, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, file, every, out) }()
	t.Cleanup(func() {
		stop()
		go io.Copy(io.Discard, said)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	lines := bufio.NewScanner(said)
	if address := listener.Addr().String(); !lines.Scan() || lines.Text() != "listening on "+address {
		t.Errorf("at first it says %q", lines.Text())
	}
	return listener.Addr().String(), lines
}

func asked(t *testing.T, arguments ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), arguments, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTheNameOfTheHost(t *testing.T) {
	address, lines := started(t, "", 0)
	answer := make(chan string)
	go func() { answer <- asked(t, "get", "http://"+address+"/path") }()
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "GET /path from 127.0.0.1:") {
		t.Errorf("of a request it says %q", lines.Text())
	}
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got := <-answer; got != name+"\n" {
		t.Errorf("it answers %q; want %q", got, name)
	}
	if got := asked(t, "connect", address); got != address+"\n" {
		t.Errorf("a connection was made to %q; want %q", got, address)
	}
}

func TestAFileThatAppears(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	address, lines := started(t, file, 0)
	go func() {
		for lines.Scan() {
		}
	}()
	if err := run(t.Context(), []string{"get", "http://" + address}, io.Discard); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("without its file: %v", err)
	}
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := asked(t, "get", "http://"+address); got != "kept" {
		t.Errorf("it answers %q", got)
	}
}

func TestTimePasses(t *testing.T) {
	_, lines := started(t, "", time.Millisecond)
	for _, want := range []string{"tick 1", "tick 2"} {
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("it says %q; want %q", lines.Text(), want)
		}
	}
}

func TestLookup(t *testing.T) {
	if got := asked(t, "lookup", "127.0.0.1"); got != "127.0.0.1\n" {
		t.Errorf("it is at %q", got)
	}
	if err := run(t.Context(), []string{"lookup", "none.invalid"}, io.Discard); err == nil {
		t.Error("a host was found that cannot be")
	}
}
