// Package faults does to HariKube and its database what happens on a bad day, while clients are at work,
// and checks by the model that nothing acknowledged is lost and no answer is wrong, and that within ten
// seconds after the fault is over everything works again without a restart.
package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"harikube.io/conformance/model"
	"harikube.io/conformance/server"
)

var (
	build = filepath.Join("..", "..", "build")
	bin   = filepath.Join(build, "bin")
)

const (
	prefix        = "/faults/"
	recoverWithin = 10 * time.Second
	// healthWithin is how long the server may take to say how it is.
	healthWithin = 5 * time.Second
	// warm is how long clients work before the fault, and calm after it.
	warm = time.Second
	calm = time.Second
	// endOfLog is how much of the server's log a failed test shows.
	endOfLog = 15
)

// row is a fault.
type row struct {
	name     string
	stores   []string // "sqlite", "postgres"
	quick    bool     // a part of `make test`
	alone    bool     // no other row at the same time: it measures
	settings []string // of PostgreSQL

	setup func(*site)        // before the server starts
	begin func(*site) func() // begins the fault, and returns what ends it
	lasts time.Duration
	check func(*site) // what else has to be seen

	refusesPuts bool // so that /readyz has to say so; it takes 5 s to find out
	setsClock   bool // of the server
	stopsServer bool // so that it cannot say how it is
	restarts    bool // the server ends, and its supervisor starts it again
	losesWrites bool // acknowledged ones: site.acknowledged is set
}

var (
	both         = []string{"sqlite", "postgres"}
	onSqlite     = both[:1]
	onPostgres   = both[1:]
	withoutFault = []row{{name: "none", stores: both, lasts: 2 * time.Second, begin: func(*site) func() { return func() {} }}}
)

// TestMain runs nothing unless HARIKUBE_FAULTS says what: these tests have a part of `make test` to
// themselves, since they measure time.
func TestMain(m *testing.M) {
	if os.Getenv("HARIKUBE_FAULTS") == "" {
		fmt.Println("NOT TESTED: make test-faults runs the faults, or HARIKUBE_FAULTS=quick or all")
		return
	}
	m.Run()
}

// TestFaults has the rows; with HARIKUBE_FAULTS=all also those that take long.
func TestFaults(t *testing.T) {
	all := os.Getenv("HARIKUBE_FAULTS") == "all"
	for _, r := range slices.Concat(withoutFault, sqliteRows, postgresRows, failoverRows, serverRows) {
		for _, store := range r.stores {
			t.Run(r.name+"/"+store, func(t *testing.T) {
				if !r.quick && !all {
					t.Skip("a part of make test-long")
				}
				if !r.alone {
					t.Parallel()
				}
				run(t, r, store)
			})
		}
	}
}

func run(t *testing.T, r row, store string) {
	began := time.Now()
	s := &site{t: t, folder: folder(t, strings.ReplaceAll(r.name, " ", "-")+"-"+store)}
	s.options.Env = []string{"HARIKUBE_JAVA_OPTS=-Xmx256m"}
	t.Cleanup(func() { s.explain() })
	s.open(store, r.settings)
	if r.setup != nil {
		r.setup(s)
	}
	s.server = server.HariKubeWith(t, bin, s.folder, s.endpoint, s.options)
	t.Cleanup(s.server.Stop)
	s.server.Start(t)
	if r.restarts {
		s.supervise()
	}
	s.load = model.New(t, s.server.Address, prefix)
	s.load.Start()
	time.Sleep(warm)

	s.healthy()
	health := s.observe()
	end := r.begin(s)
	time.Sleep(r.lasts)
	end()
	over := time.Now()
	health.check(&r)

	took := s.recovered(over)
	if t.Failed() && took > recoverWithin {
		t.FailNow() // the rest would only repeat it
	}
	took = max(took, s.load.Progress(over, recoverWithin))
	time.Sleep(calm)
	s.load.Stop()
	s.endSupervision()
	if !s.server.Runs() {
		t.Fatalf("the server has ended, with %d", s.server.ExitCode())
	}
	if r.check != nil {
		r.check(s)
	}
	if s.logHas(model.Filling) {
		t.Error("the server's log has values in it")
	}
	if r.losesWrites {
		s.load.CheckAfterLoss(s.acknowledged)
	} else {
		s.load.Check()
	}
	t.Logf("well again after %.1f s; %s; %.0f s in all", took.Seconds(), s.load.Summary(), time.Since(began).Seconds())
}

// explain says where everything is after a failure, and keeps what clients were told.
func (s *site) explain() {
	if !s.t.Failed() {
		return
	}
	if s.load != nil {
		s.load.Stop()
		if err := s.load.Keep(filepath.Join(s.folder, "history.txt")); err != nil {
			s.t.Error(err)
		}
	}
	if s.server == nil {
		return
	}
	text, _ := os.ReadFile(s.server.Log())
	s.t.Logf("logs and history are in %s; the server's log ends with\n%s", s.folder, ending(string(text)))
}

// ending is the last lines of a log, without stack traces and what repeats the line before.
func ending(log string) string {
	var lines []string
	before := ""
	for line := range strings.Lines(log) {
		line = strings.TrimSpace(line[:min(len(line), 300)])
		at, what, _ := strings.Cut(line, " ")
		if what != before && strings.HasSuffix(at, "Z") {
			lines = append(lines, line)
		}
		before = what
	}
	return strings.Join(lines[max(0, len(lines)-endOfLog):], "\n")
}

// folder is kept after the test, logs and all; the next one starts anew.
func folder(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(build, "test-data", "faults", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(fmt.Errorf("left by a test before: %w", err))
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
