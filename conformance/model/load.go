package model

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"harikube.io/conformance/server"
)

const (
	writers    = 6
	readers    = 3
	ownKeys    = 12
	sharedKeys = 6
	// A group is some keys that are only ever put together, all with the same value.
	groups    = 3
	groupKeys = 5

	// pause is between two requests of a client, and after an error: an outage is some attempts, not
	// thousands.
	pause      = 5 * time.Millisecond
	retryAfter = 30 * time.Millisecond
	// Patience is how long a client waits for an answer.
	patience = 5 * time.Second
	// atMost failures of a kind are told.
	atMost = 10
	// settleWithin is for what only takes so long when it hangs.
	settleWithin = time.Minute
)

// Load is clients that are at work on a server, and what they have been told.
type Load struct {
	t       testing.TB
	address string
	prefix  string
	client  *clientv3.Client
	watch   []*watcher
	base    state // from which the history begins

	stop    context.CancelFunc
	running sync.WaitGroup // all but the watchers
	tag     string         // in all values, so that those of another load are others
	events  []Event        // the history, when it has been checked

	mu       sync.Mutex
	acks     map[int64]attempt // by revision
	maybe    []maybe
	never    map[string]error // the values that were refused
	serial   int
	acked    int64          // the highest acknowledged revision
	seen     int64          // the highest revision of any answer
	progress map[string]int // successes by what has succeeded
	last     map[string]time.Time
	reads    []read
	kept     map[string]clientv3.LeaseID // keys whose leases are kept alive
	short    map[string]time.Time        // keys, and until when their leases may not end
	wrong    []string                    // what was seen to be wrong while it happened

	failures map[string]int // of the check, by kind
}

// maybe is a write of unknown outcome.
type maybe struct {
	writes attempt
	came   bool // found in the history
}

// state is what a store has at a revision.
type state struct {
	revision int64
	live     map[string]Event
}

// New prepares clients for the keys with a prefix, which nobody else writes.
func New(t testing.TB, address, prefix string) *Load {
	l := &Load{
		t: t, address: address, prefix: prefix, client: server.Client(t, address), never: map[string]error{}, failures: map[string]int{},
		acks: map[int64]attempt{}, progress: map[string]int{}, last: map[string]time.Time{},
		kept: map[string]clientv3.LeaseID{}, short: map[string]time.Time{}, tag: rand.Text()[:4],
	}
	t.Cleanup(l.close)
	return l
}

// Start has all clients begin, and returns when each kind has succeeded at something.
func (l *Load) Start() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), settleWithin)
	defer cancel()
	base, err := l.list(ctx, "\x00", clientv3.WithFromKey())
	if err != nil {
		l.t.Fatal(err)
	}
	l.base = base
	l.seen = base.revision

	running, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.t.Cleanup(l.Stop)
	from := base.revision + 1
	l.startWatch(&watcher{prefix: l.prefix, from: from, prevKV: true})
	l.startWatch(&watcher{prefix: l.prefix, from: from, prevKV: true, breaks: 2 * time.Second})
	l.startWatch(&watcher{prefix: l.prefix + "own/3/", from: from, breaks: 3 * time.Second, rewinds: true})
	l.startWatch(&watcher{prefix: l.prefix + "shared/", from: from})
	l.startWatch(&watcher{prefix: l.prefix + "together/", from: from + 40, prevKV: true})
	for id := range writers {
		l.run(running, (&writer{id: id, load: l}).one)
	}
	for id := range readers {
		l.run(running, (&reader{id: id, load: l}).one)
	}
	for id := range 3 {
		l.run(running, (&keeper{id: id, load: l}).one)
	}
	l.run(running, (&granter{load: l}).one)
	l.Progress(time.Now(), settleWithin)
}

// run has a client make one request after the other.
func (l *Load) run(ctx context.Context, one func(context.Context, *clientv3.Client) (string, error)) {
	client := server.Client(l.t, l.address)
	l.running.Go(func() {
		defer client.Close()
		for ctx.Err() == nil {
			// Not ctx: what has been asked is waited for, so that fewer outcomes are unknown.
			attempt, cancel := context.WithTimeout(context.Background(), patience)
			what, err := one(attempt, client)
			cancel()
			wait := pause
			if err != nil {
				wait = retryAfter
			} else {
				l.succeeded(what)
			}
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
		}
	})
}

func (l *Load) succeeded(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.progress[what]++
	l.last[what] = time.Now()
}

// Progress waits until every client has succeeded at something that it began after a time, and returns
// how long that took; what has not by then is an error of the test.
func (l *Load) Progress(since time.Time, limit time.Duration) time.Duration {
	l.t.Helper()
	l.mu.Lock()
	before := maps.Clone(l.progress)
	l.mu.Unlock()
	for {
		var missing []string
		l.mu.Lock()
		for _, what := range clients() {
			// One success may have been on its way already.
			if l.progress[what] < before[what]+2 {
				missing = append(missing, what)
			}
		}
		l.mu.Unlock()
		took := time.Since(since)
		if len(missing) == 0 {
			return took
		}
		if took > limit {
			l.t.Errorf("after %s these clients have not succeeded again: %v", took.Round(time.Second), missing)
			return took
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func clients() []string {
	all := []string{"granter"}
	for id := range writers {
		all = append(all, fmt.Sprintf("writer %d", id))
	}
	for id := range readers {
		all = append(all, fmt.Sprintf("reader %d", id))
	}
	for id := range 3 {
		all = append(all, fmt.Sprintf("keeper %d", id))
	}
	return all
}

// Acked returns the highest revision that was acknowledged.
func (l *Load) Acked() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

// Acknowledged waits for more acknowledged writes than there are.
func (l *Load) Acknowledged(more int) {
	l.t.Helper()
	deadline := time.Now().Add(settleWithin)
	written := func() int {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.acks)
	}
	for target := written() + more; written() < target; time.Sleep(pause) {
		if time.Now().After(deadline) {
			l.t.Fatalf("%d of %d writes in %s", more-(target-written()), more, settleWithin)
		}
	}
}

// LastWrite returns when the last write was acknowledged.
func (l *Load) LastWrite() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	var last time.Time
	for id := range writers {
		if at := l.last[fmt.Sprintf("writer %d", id)]; at.After(last) {
			last = at
		}
	}
	return last
}

// Stop ends all clients but those that watch.
func (l *Load) Stop() {
	if l.stop != nil {
		l.stop()
	}
	l.running.Wait()
}

// close ends what is left.
func (l *Load) close() {
	for _, w := range l.watch {
		w.end()
	}
	_ = l.client.Close()
}

// Summary says in one line what was done.
func (l *Load) Summary() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ended := 0
	for _, w := range l.watch {
		ended += w.endings()
	}
	return fmt.Sprintf("%d writes, %d of unknown outcome, %d refused, %d reads, %d short leases; %d watches were ended; revision %d",
		len(l.acks), len(l.maybe), len(l.never), len(l.reads), len(l.short), ended, l.acked)
}

func (l *Load) violation(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.wrong, what) {
		l.wrong = append(l.wrong, what)
	}
}

// ack remembers a write that the server has acknowledged. Deletions of what was not there are not in it.
func (l *Load) ack(revision int64, writes attempt) {
	if len(writes) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if other, twice := l.acks[revision]; twice {
		l.wrong = append(l.wrong, fmt.Sprintf("revision %d was given to two writes: %v and %v", revision, brief(other), brief(writes)))
	}
	l.acks[revision] = writes
	l.acked = max(l.acked, revision)
	l.seen = max(l.seen, revision)
}

// failed remembers a write without a good answer.
func (l *Load) failed(writes attempt, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if unknown(err) {
		l.maybe = append(l.maybe, maybe{writes: writes})
		return
	}
	l.refuse(writes, err)
}

func (l *Load) refuse(writes attempt, err error) {
	for _, value := range writes {
		if value != "" {
			l.never[value] = err
		}
	}
}

func (l *Load) lowest() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}

func (l *Load) answered(revision, lowest int64, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if revision < lowest {
		l.wrong = append(l.wrong, fmt.Sprintf("%s was answered as of revision %d, %d had been answered before it was asked", what, revision, lowest))
	}
	l.seen = max(l.seen, revision)
}

// Filling is in all values, and nowhere else.
const Filling = "these-are-the-values-of-keys;"

// value returns one that was never written; it is long enough to fill pages of the database.
func (l *Load) value(size int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serial++
	return fmt.Sprintf("%s-%d %s", l.tag, l.serial, strings.Repeat(Filling, 1+size/len(Filling)))
}

func (l *Load) list(ctx context.Context, key string, options ...clientv3.OpOption) (state, error) {
	response, err := l.client.Get(ctx, key, options...)
	if err != nil {
		return state{}, err
	}
	found := state{revision: response.Header.Revision, live: map[string]Event{}}
	for _, kv := range response.Kvs {
		found.live[string(kv.Key)] = Event{
			Key: string(kv.Key), Value: string(kv.Value), Revision: kv.ModRevision, Create: kv.CreateRevision, Version: kv.Version,
		}
	}
	return found, nil
}
