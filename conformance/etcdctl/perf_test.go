package etcdctl

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"harikube.io/conformance/postgres"
	"harikube.io/conformance/server"
)

// perfWithin is the minute that a check takes, and what it needs to clean up.
const perfWithin = 3 * time.Minute

var measured = regexp.MustCompile(`[0-9]+(\.[0-9]+)?`)

// TestCheckPerf has etcdctl judge each server by the load of a small cluster: what it says of HariKube is
// what it says of etcd, but for the figures.
func TestCheckPerf(t *testing.T) {
	if os.Getenv("HARIKUBE_CHECK_PERF") == "" {
		t.Skip("SKIPPED: etcdctl check perf takes a minute for each server; make test-check-perf runs it")
	}
	folder := folder(t, "perf")
	check := func(s *server.Server) string {
		defer s.Stop()
		ctx, cancel := context.WithTimeout(t.Context(), perfWithin)
		defer cancel()
		command := exec.CommandContext(ctx, filepath.Join(bin, "etcdctl"), "--endpoints="+s.Address, "check", "perf", "--load=s")
		out, err := command.Output() // the progress bar goes to stderr
		if err != nil {
			t.Errorf("etcdctl check perf: %v\n%s", err, out)
		}
		var verdicts []string
		for line := range strings.Lines(string(out)) {
			if at := strings.Index(line, "PASS"); at >= 0 {
				verdicts = append(verdicts, measured.ReplaceAllString(strings.TrimSpace(line[at:]), "N"))
			} else if at := strings.Index(line, "FAIL"); at >= 0 {
				verdicts = append(verdicts, strings.TrimSpace(line[at:]))
			}
		}
		return strings.Join(verdicts, "\n")
	}
	want := check(server.Etcd(t, bin, folder))
	if !strings.Contains(want, "PASS") {
		t.Fatalf("etcd's own verdict: %q", want)
	}
	for name, endpoint := range map[string]string{
		"sqlite": sqlite(folder, "harikube.db"), "postgres": postgres.Database(t, bin),
	} {
		if got := check(server.HariKube(t, bin, folder, endpoint)); got != want {
			t.Errorf("on %s:\n got %s\nwant %s", name, got, want)
		}
	}
}
