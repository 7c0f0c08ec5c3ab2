package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// warmers is how many clients warm a server up.
const warmers = 16

// silent is the log of the client library, which repeats each error that we count.
var silent = zap.NewNop()

// step is one line of the tables: a load with a number of clients.
type step struct {
	load
	count int
}

// bench runs the chosen peers through the chosen steps and keeps what was measured.
type bench struct {
	options  *options
	began    time.Time
	peers    []peer
	steps    []step
	postgres *postgres         // nil: there is none
	versions map[string]string // by program
	notes    []string          // what a reader of the results has to know
	results  map[string]map[string][]*result
	starts   int
	progress int
}

func newBench(ctx context.Context, o *options) (_ *bench, err error) {
	b := &bench{options: o, began: time.Now(), versions: map[string]string{}, results: map[string]map[string][]*result{}}
	for _, folder := range []string{"data", "logs"} {
		if err := os.RemoveAll(filepath.Join(o.out, folder)); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(filepath.Join(o.out, folder), 0o700); err != nil {
			return nil, err
		}
	}
	if note := busyNote(); note != "" {
		b.note(note)
	}
	wantsPostgres := func(p peer) bool { return p.postgres }
	for _, p := range peers {
		if slices.Contains(o.peers, p.name) {
			b.peers = append(b.peers, p)
		}
	}
	if slices.ContainsFunc(b.peers, wantsPostgres) {
		if b.postgres, err = openPostgres(ctx, o); err != nil {
			return nil, err
		}
		if b.postgres == nil {
			b.peers = slices.DeleteFunc(b.peers, wantsPostgres)
			b.note("NOT MEASURED ON POSTGRESQL: there is no test-postgres in " + filepath.Base(o.bin) +
				" and neither --postgres nor " + postgresVariable + " names a server.")
		} else {
			b.versions["PostgreSQL"] = b.postgres.version
			for _, note := range b.postgres.notes {
				b.note(note)
			}
		}
	}
	for _, p := range b.peers {
		if b.versions[p.program], err = programVersion(o.bin, p.program); err != nil {
			b.close()
			return nil, err
		}
	}
	if options := os.Getenv("HARIKUBE_JAVA_OPTS"); options != "" {
		b.note("HARIKUBE_JAVA_OPTS=" + options)
	}
	if o.kineSynchronous != "FULL" && slices.Contains(o.peers, "kine-sqlite") {
		b.note("kine on SQLite is NOT DURABLE: it runs with synchronous=" + o.kineSynchronous + ".")
	}
	if o.kineConnections != 0 {
		b.note(fmt.Sprintf("kine has at most %d connections to PostgreSQL.", o.kineConnections))
	}
	b.chooseSteps()
	return b, nil
}

func (b *bench) chooseSteps() {
	for _, name := range b.options.loads {
		l := loads[slices.IndexFunc(loads, func(l load) bool { return l.name == name })]
		counts := l.clients
		switch {
		case l.measure != nil:
			counts = []int{b.options.watchWriters}
		case b.options.clients != nil:
			counts = b.options.clients
		}
		for _, count := range counts {
			b.steps = append(b.steps, step{l, count})
		}
	}
}

func (b *bench) note(text string) {
	fmt.Println(text)
	b.notes = append(b.notes, text)
}

func (b *bench) close() {
	b.postgres.close()
	_ = os.RemoveAll(filepath.Join(b.options.out, "data"))
}

func (s step) id() string {
	return fmt.Sprintf("%s-%d", s.name, s.count)
}

// runRounds measures peer after peer, and then again with another one first: what changes on the
// machine over time meets all, and so does what another peer has left behind. Only the end of ctx is
// an error; what becomes of a peer is a result.
func (b *bench) runRounds(ctx context.Context) error {
	for round := range b.options.rounds {
		for i := range b.peers {
			if err := b.runPeer(ctx, b.peers[(i+round)%len(b.peers)], round+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// runPeer takes a peer through all steps in one run: a server that has just been started, of which a
// JVM suffers most, is nobody's daily life. After a crash it gets fresh data again.
func (b *bench) runPeer(ctx context.Context, p peer, round int) error {
	var running *instance
	defer func() {
		if running != nil {
			running.close()
		}
	}()
	for _, s := range b.steps {
		b.progress++
		if b.skips(p, s) {
			continue
		}
		fmt.Printf("[%d/%d] round %d, %s: %s, %d clients … ", b.progress,
			b.options.rounds*len(b.peers)*len(b.steps), round, p.title, s.title, s.count)
		var r *result
		if running == nil {
			var err error
			if running, err = b.start(ctx, p); err != nil {
				r = &result{err: fmt.Errorf("it does not start: %w", err)}
				running = nil
			} else {
				b.warm(ctx, running, p)
			}
		}
		if running != nil {
			// What a load or another peer has left behind must not be on its way to the disk during the next.
			syscall.Sync()
			r = b.measure(ctx, running, s, round)
			if running.exited() {
				r.err = running.exitError()
				running.close()
				running = nil
			}
		}
		if ctx.Err() != nil {
			fmt.Println("interrupted")
			return errors.New("interrupted; nothing is reported")
		}
		b.keep(p, s, r)
		fmt.Println(outcome(r))
	}
	return nil
}

// skips says whether a step is not measured with a peer.
func (b *bench) skips(p peer, s step) bool {
	few := p.program == "kine" && b.options.kineClients != nil && s.measure == nil
	return s.without == p.program || few && !slices.Contains(b.options.kineClients, s.count)
}

// warm gives a server that has just been started work that is not measured, of watches, too: a JVM
// compiles for a minute what 500 writes a second and their events need, and for some seconds what all
// that it can do needs. What goes wrong will go wrong again. kine gets no puts, at which it ends itself now
// and then: it would lose the rest, too.
func (b *bench) warm(ctx context.Context, running *instance, p peer) {
	ctx, cancel := running.whileItRuns(ctx)
	defer cancel()
	names := []string{"puts", "creates", "updates", "gets", "watch-flood"}
	if p.program == "kine" {
		names = names[1:]
	}
	settling := *b.options
	settling.warmup, settling.window = b.options.settle/time.Duration(len(names)), time.Millisecond
	for _, name := range names {
		l := loads[slices.IndexFunc(loads, func(l load) bool { return l.name == name })]
		session, err := newSession(running.address, warmers, b.watchersOf(l), "/registry/bench/warm-"+name+"/", &settling)
		if err != nil {
			return
		}
		b.run(ctx, session, l, &settling)
		session.close()
	}
}

func (b *bench) measure(ctx context.Context, running *instance, s step, round int) *result {
	ctx, cancel := running.whileItRuns(ctx)
	defer cancel()
	session, err := newSession(running.address, s.count, b.watchersOf(s.load),
		fmt.Sprintf("/registry/bench/%s-%d/", s.id(), round), b.options)
	if err != nil {
		return &result{err: err}
	}
	defer session.close()
	return b.run(ctx, session, s.load, b.options)
}

// watchersOf returns how many watches a load has.
func (b *bench) watchersOf(l load) int {
	if l.measure == nil {
		return 0
	}
	return b.options.watchers
}

// run has a load measured in a session of its own.
func (b *bench) run(ctx context.Context, s *session, l load, o *options) *result {
	if l.measure != nil {
		return l.measure(ctx, s, o)
	}
	operations, err := l.prepare(ctx, s, o)
	if err != nil {
		return &result{err: err}
	}
	return drive(ctx, operations, o.warmup, o.window)
}

func (b *bench) keep(p peer, s step, r *result) {
	if b.results[p.name] == nil {
		b.results[p.name] = map[string][]*result{}
	}
	b.results[p.name][s.id()] = append(b.results[p.name][s.id()], r)
}

// outcome is what the progress line ends with: no times, which are in the details, and of a log no
// more than where it begins to matter; the report has the rest.
func outcome(r *result) string {
	text := "done"
	if r.err != nil {
		lines := strings.Split(r.err.Error(), "\n")
		text = "FAILED: " + strings.Join(lines[:min(len(lines), 2)], "\n")
	}
	if r.errors() > 0 {
		text += fmt.Sprintf("\n    %d of %d operations failed: %s", r.errors(), r.attempts, r.commonFailure())
	}
	return text
}
