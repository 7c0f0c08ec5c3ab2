package crash

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"harikube.io/e2e/server"
)

// history is the log of the server, as it has been read and checked.
type history struct {
	events   []event
	live     map[string]event // the state that they lead to
	checked  int              // acknowledged writes that were found
	revision int64            // of the last round's end
}

// check compares what the server has with what it has said, for the writes since the last check.
func (l *load) check(round int, began time.Time) {
	t := l.t
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for _, w := range l.watch {
		w.breakOff()
	}
	before, err := l.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	// The end of the round, in each watcher's prefix.
	end := attempt{prefix + "own/3/end": "end", prefix + "shared/end": "end"}
	response, err := l.client.Txn(ctx).Then(clientv3.OpPut(prefix+"own/3/end", "end"), clientv3.OpPut(prefix+"shared/end", "end")).Commit()
	if err != nil {
		t.Fatal(err)
	}
	last := response.Header.Revision
	if last != before.Header.Revision+1 {
		t.Errorf("after revision %d comes %d", before.Header.Revision, last)
	}
	l.ack(last, end)

	events := l.read(ctx, l.history.revision+1, last)
	l.replay(events, last)
	l.checkOutcomes(events)
	l.checkReads(ctx)
	l.checkState(ctx, last)
	l.checkWatchers(last)
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("round %d: %d writes, %d of unknown outcome, %d refused so far; revision %d after %.1f s",
		round+1, len(l.acks), len(l.maybe), len(l.never), last, time.Since(began).Seconds())
	l.history.checked = len(l.acks)
	l.history.revision = last
	if t.Failed() {
		t.FailNow() // what comes after would only repeat it
	}
}

// checkAll reads the whole log once more: it has to be what it was round by round.
func (l *load) checkAll() {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	l.same("the log, read again", l.history.events, l.read(ctx, 1, l.history.revision))
}

// read returns the log from one revision to another.
func (l *load) read(ctx context.Context, from, to int64) []event {
	l.t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := server.Client(l.t, l.address)
	defer client.Close()
	var events []event
	for response := range client.Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(from), clientv3.WithPrevKV()) {
		if err := response.Err(); err != nil {
			l.t.Fatal(err)
		}
		for _, e := range response.Events {
			events = append(events, eventOf(e))
		}
		if n := len(events); n > 0 && events[n-1].revision >= to {
			return events
		}
	}
	l.t.Fatalf("no end of the log at revision %d after %d events", to, len(events))
	return nil
}

// replay adds the events to the history: no revision is left out, and each follows from those before.
func (l *load) replay(events []event, last int64) {
	t, h := l.t, &l.history
	at := h.revision
	if at == 0 {
		at = 1 // that of an empty store
	}
	for _, e := range events {
		if e.revision != at && e.revision != at+1 {
			t.Errorf("after revision %d the log has %d", at, e.revision)
		}
		at = e.revision
		old, existed := h.live[e.key]
		if e.previous != old.value || e.previousRevision != old.revision {
			t.Errorf("revision %d of %s: the previous one is said to be %d, it is %d", e.revision, e.key, e.previousRevision, old.revision)
		}
		switch {
		case e.value == "" && !existed:
			t.Errorf("revision %d deletes %s, which is not there", e.revision, e.key)
		case e.value == "":
			delete(h.live, e.key)
		default:
			create, version := e.revision, int64(1)
			if existed {
				create, version = old.create, old.version+1
			}
			if e.create != create || e.version != version {
				t.Errorf("revision %d of %s: created at %d, version %d; not %d, %d", e.revision, e.key, e.create, e.version, create, version)
			}
			h.live[e.key] = e
		}
	}
	if at != last {
		t.Errorf("the log ends at %d, not %d", at, last)
	}
	h.events = append(h.events, events...)
}

// checkOutcomes compares the log with what the writers were told.
func (l *load) checkOutcomes(events []event) {
	t := l.t
	l.mu.Lock()
	defer l.mu.Unlock()
	byRevision := map[int64]attempt{}
	for _, e := range events {
		if byRevision[e.revision] == nil {
			byRevision[e.revision] = attempt{}
		}
		if _, twice := byRevision[e.revision][e.key]; twice {
			t.Errorf("revision %d changes %s twice", e.revision, e.key)
		}
		byRevision[e.revision][e.key] = e.value
	}
	for _, a := range l.acks[l.history.checked:] {
		if got, found := byRevision[a.revision]; !found {
			t.Errorf("the acknowledged write of revision %d is not there (or another was given the same revision): %s", a.revision, brief(a.writes))
		} else if !equal(got, a.writes) {
			t.Errorf("revision %d is %s, acknowledged was %s", a.revision, brief(got), brief(a.writes))
		}
		delete(byRevision, a.revision)
	}
	// What is left can only be of unknown outcome, each once and as a whole.
	used := map[int]bool{}
	for revision, got := range byRevision {
		found := false
		for i, candidate := range l.maybe {
			if candidate != nil && !used[i] && isOutcome(got, candidate) {
				found, used[i] = true, true
				break
			}
		}
		if !found {
			t.Errorf("nobody has written revision %d (or not twice): %s", revision, brief(got))
		}
	}
	for i := range used {
		l.maybe[i] = nil // it has come true, and is not to do so again
	}
}

// isOutcome says whether an attempt can have made the change: only deletions may be missing in it.
func isOutcome(got, tried attempt) bool {
	for key, value := range got {
		if wanted, ok := tried[key]; !ok || wanted != value {
			return false
		}
	}
	for key, value := range tried {
		if _, ok := got[key]; !ok && value != "" {
			return false
		}
	}
	return true
}

func equal(a, b attempt) bool { return len(a) == len(b) && isOutcome(a, b) }

// checkReads reads each acknowledged write at its revision.
func (l *load) checkReads(ctx context.Context) {
	t := l.t
	l.mu.Lock()
	acks := l.acks[l.history.checked:]
	l.mu.Unlock()
	work := make(chan ack)
	var readers sync.WaitGroup
	for range writers {
		readers.Go(func() {
			for a := range work {
				for key, value := range a.writes {
					response, err := l.client.Get(ctx, key, clientv3.WithRev(a.revision))
					switch {
					case err != nil:
						t.Errorf("read of revision %d: %v", a.revision, err)
					case value == "" && len(response.Kvs) == 0:
					case len(response.Kvs) != 1 || string(response.Kvs[0].Value) != value || response.Kvs[0].ModRevision != a.revision:
						t.Errorf("%s at revision %d is %v", key, a.revision, response.Kvs)
					}
				}
			}
		})
	}
	for _, a := range acks {
		work <- a
	}
	close(work)
	readers.Wait()
}

// checkState compares what is there with what the log leads to.
func (l *load) checkState(ctx context.Context, last int64) {
	t := l.t
	response, err := l.client.Get(ctx, "\x00", clientv3.WithFromKey())
	if err != nil {
		t.Fatal(err)
	}
	if response.Header.Revision != last || response.Count != int64(len(l.history.live)) || len(response.Kvs) != len(l.history.live) {
		t.Errorf("revision %d with %d keys, counted %d; not %d with %d",
			response.Header.Revision, len(response.Kvs), response.Count, last, len(l.history.live))
	}
	for _, kv := range response.Kvs {
		want := l.history.live[string(kv.Key)]
		if string(kv.Value) != want.value || kv.ModRevision != want.revision || kv.CreateRevision != want.create || kv.Version != want.version {
			t.Errorf("%s is of revision %d, the log leads to %d", kv.Key, kv.ModRevision, want.revision)
		}
	}
}

// checkWatchers compares what each watcher has seen with the log.
func (l *load) checkWatchers(last int64) {
	t := l.t
	for i, w := range l.watch {
		var want []event
		for _, e := range l.history.events {
			if len(e.key) >= len(w.prefix) && e.key[:len(w.prefix)] == w.prefix {
				want = append(want, e)
			}
		}
		timer := time.AfterFunc(within, w.changed.Broadcast)
		deadline := time.Now().Add(within)
		w.mu.Lock()
		for (len(w.events) == 0 || w.events[len(w.events)-1].revision < last) && w.err == nil && time.Now().Before(deadline) {
			w.changed.Wait()
		}
		got, err := w.events, w.err
		w.mu.Unlock()
		timer.Stop()
		if err != nil {
			t.Error(err)
		}
		l.same("watcher "+string(rune('1'+i))+" of "+w.prefix, want, got)
	}
}

func (l *load) same(what string, want, got []event) {
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] {
			l.t.Errorf("%s: event %d is revision %d of %s, should be revision %d of %s (or differs in its values)",
				what, i, got[i].revision, got[i].key, want[i].revision, want[i].key)
			return
		}
	}
	if len(want) != len(got) {
		l.t.Errorf("%s: %d events, not %d", what, len(got), len(want))
	}
}

// brief shows what identifies a write.
func brief(writes attempt) map[string]string {
	short := map[string]string{}
	for key, value := range writes {
		short[key] = value[:min(len(value), 12)]
	}
	return short
}
