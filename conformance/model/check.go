package model

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"harikube.io/conformance/server"
)

// Check compares what the server has with what it has said. All clients have stopped; this ends the
// watches, too. It returns the history since the load was started.
func (l *Load) Check() []Event {
	l.t.Helper()
	l.check(0)
	return l.events
}

// CheckAfterLoss is Check for a database that has lost acknowledged commits, the last of them of a
// revision: the server has to go on above it, with all before compacted, so that every client lists
// anew.
func (l *Load) CheckAfterLoss(acknowledged int64) {
	l.check(acknowledged)
}

func (l *Load) check(lost int64) {
	t := l.t
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*settleWithin)
	defer cancel()
	defer l.close()
	defer l.tellWrong()
	l.awaitShortLeases(ctx)
	// The end, in each watcher's prefix.
	end := attempt{l.prefix + "own/3/end": "end", l.prefix + "shared/end": "end", l.prefix + "together/end": "end"}
	var puts []clientv3.Op
	for key, value := range end {
		puts = append(puts, clientv3.OpPut(key, value))
	}
	response, err := l.client.Txn(ctx).Then(puts...).Commit()
	if err != nil {
		t.Fatal(err)
	}
	last := response.Header.Revision
	l.ack(last, end)

	from := l.base
	if lost > 0 {
		from = l.baseAfterLoss(ctx, lost)
	}
	if t.Failed() && from.live == nil {
		return
	}
	events, err := History(ctx, l.t, l.address, from.revision+1, last)
	if err != nil {
		t.Error(err)
		return
	}
	l.events = events
	live := l.replay(from, events, last, lost > 0)
	l.checkOutcomes(from.revision, events)
	l.checkReads(from, events)
	l.checkState(ctx, last, live)
	l.checkWatchers(from.revision, events, last)
	l.checkLeases(ctx, live)
}

// errorf fails the test, and says so for the first of a kind.
func (l *Load) errorf(format string, args ...any) {
	if l.failures[format]++; l.failures[format] <= atMost {
		l.t.Errorf(format, args...)
	}
}

// tellWrong fails the test for what was seen to be wrong while it happened.
func (l *Load) tellWrong() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, what := range l.wrong {
		if i == atMost {
			l.t.Errorf("and %d more", len(l.wrong)-i)
			break
		}
		l.t.Error(what)
	}
}

// baseAfterLoss returns the state from which the server has a history.
func (l *Load) baseAfterLoss(ctx context.Context, lost int64) state {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for response := range l.client.Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(lost)) {
		compacted := response.CompactRevision
		if compacted == 0 {
			l.errorf("a watch from revision %d, whose commit is lost, is not told that it is compacted", lost)
			return state{}
		}
		if compacted < lost {
			l.errorf("revision %d was acknowledged and is lost, only those below %d are compacted", lost, compacted)
		}
		found, err := l.list(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(compacted))
		if err != nil {
			l.errorf("the state at the compacted revision %d: %v", compacted, err)
			return state{}
		}
		found.revision = compacted
		l.checkValues(found)
		return found
	}
	l.errorf("a watch from revision %d had no answer", lost)
	return state{}
}

// checkValues looks whether all that is there has been written.
func (l *Load) checkValues(found state) {
	l.mu.Lock()
	defer l.mu.Unlock()
	written := map[string]bool{}
	for _, writes := range l.acks {
		for _, value := range writes {
			written[value] = true
		}
	}
	for _, m := range l.maybe {
		for _, value := range m.writes {
			written[value] = true
		}
	}
	for key, e := range found.live {
		if within(key, l.prefix) && !written[e.Value] {
			l.errorf("nobody has written what %s is: %s", key, short12(e.Value))
		}
	}
}

// History reads the log from one revision to another.
func History(ctx context.Context, t testing.TB, address string, from, to int64) ([]Event, error) {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := server.Client(t, address)
	defer client.Close()
	var events []Event
	for response := range client.Watch(ctx, "\x00", clientv3.WithFromKey(), clientv3.WithRev(from), clientv3.WithPrevKV()) {
		if err := response.Err(); err != nil {
			return nil, fmt.Errorf("the log from revision %d: %w", from, err)
		}
		for _, e := range response.Events {
			events = append(events, eventOf(e))
		}
		if n := len(events); n > 0 && events[n-1].Revision >= to {
			return events, nil
		}
	}
	return nil, fmt.Errorf("no end of the log at revision %d after %d events", to, len(events))
}

// replay follows the history: no revision is left out, and each follows from those before.
func (l *Load) replay(from state, events []Event, last int64, gap bool) map[string]Event {
	at, live := from.revision, maps.Clone(from.live)
	for i, e := range events {
		if e.Revision != at && e.Revision != at+1 && !(gap && i == 0) {
			l.errorf("after revision %d the log has %d", at, e.Revision)
		}
		at = e.Revision
		old, existed := live[e.Key]
		if e.Previous != old.Value || e.PreviousRevision != old.Revision {
			l.errorf("revision %d of %s: the previous one is said to be %d, it is %d", e.Revision, e.Key, e.PreviousRevision, old.Revision)
		}
		switch {
		case e.Value == "" && !existed:
			l.errorf("revision %d deletes %s, which is not there", e.Revision, e.Key)
		case e.Value == "":
			delete(live, e.Key)
		default:
			create, version := e.Revision, int64(1)
			if existed {
				create, version = old.Create, old.Version+1
			}
			if e.Create != create || e.Version != version {
				l.errorf("revision %d of %s: created at %d, version %d; not %d, %d", e.Revision, e.Key, e.Create, e.Version, create, version)
			}
			live[e.Key] = e
		}
	}
	if at != last {
		l.errorf("the log ends at %d, not %d", at, last)
	}
	return live
}

// checkOutcomes compares the log with what the clients were told.
func (l *Load) checkOutcomes(base int64, events []Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	byRevision := map[int64]attempt{}
	for _, e := range events {
		if byRevision[e.Revision] == nil {
			byRevision[e.Revision] = attempt{}
		}
		if _, twice := byRevision[e.Revision][e.Key]; twice {
			l.errorf("revision %d changes %s twice", e.Revision, e.Key)
		}
		byRevision[e.Revision][e.Key] = e.Value
		if err, refused := l.never[e.Value]; refused {
			l.errorf("revision %d puts %s, what was refused: %v", e.Revision, e.Key, err)
			delete(byRevision, e.Revision)
		}
	}
	for revision, writes := range l.acks {
		if revision <= base {
			continue
		}
		got, found := byRevision[revision]
		switch {
		case !found:
			l.errorf("the acknowledged write of revision %d is not there (or was refused as well): %v", revision, brief(writes))
		case !equal(got, writes):
			l.errorf("revision %d is %v, acknowledged was %v", revision, brief(got), brief(writes))
		}
		delete(byRevision, revision)
	}
	// What is left can only be the end of a lease, or of unknown outcome, each once and as a whole.
	for _, revision := range slices.Sorted(maps.Keys(byRevision)) {
		got := byRevision[revision]
		if l.isEnd(got) || l.isOthers(got) {
			continue
		}
		i := slices.IndexFunc(l.maybe, func(m maybe) bool { return !m.came && isOutcome(got, m.writes) })
		if i < 0 {
			l.errorf("nobody has written revision %d (or not twice): %v", revision, brief(got))
			continue
		}
		l.maybe[i].came = true
	}
}

// isOthers says whether a change is none of our keys.
func (l *Load) isOthers(got attempt) bool {
	for key := range got {
		if within(key, l.prefix) {
			return false
		}
	}
	return true
}

// isEnd says whether a change is what the end of a lease does that nobody keeps alive.
func (l *Load) isEnd(got attempt) bool {
	for key, value := range got {
		if value != "" || !within(key, l.shortLeases()) {
			return false
		}
	}
	return true
}

// checkReads compares each answer with the state at its revision.
func (l *Load) checkReads(from state, events []Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.SortStableFunc(l.reads, func(a, b read) int { return cmp.Compare(a.revision, b.revision) })
	live, next := maps.Clone(from.live), 0
	for _, r := range l.reads {
		if r.revision < from.revision {
			continue // lost since
		}
		for next < len(events) && events[next].Revision <= r.revision {
			if e := events[next]; e.Value == "" {
				delete(live, e.Key)
			} else {
				live[e.Key] = e
			}
			next++
		}
		want := map[string]int64{}
		if r.prefix {
			for key, e := range live {
				if within(key, r.key) {
					want[key] = e.Revision
				}
			}
		} else if e, there := live[r.key]; there {
			want[r.key] = e.Revision
		}
		if !maps.Equal(want, r.found) {
			l.errorf("%s of %s as of revision %d is not what was there: %s", r.what, r.key, r.revision, difference(want, r.found))
		}
	}
}

// checkState compares what is there with what the log leads to.
func (l *Load) checkState(ctx context.Context, last int64, live map[string]Event) {
	found, err := l.list(ctx, "\x00", clientv3.WithFromKey())
	if err != nil {
		l.t.Error(err)
		return
	}
	if found.revision != last {
		l.errorf("the state is as of revision %d, not %d", found.revision, last)
	}
	for key := range live {
		e := live[key].withoutPrevious()
		if found.live[key] != e {
			l.errorf("%s is of revision %d, the log leads to %d", key, found.live[key].Revision, e.Revision)
		}
		delete(found.live, key)
	}
	for key := range found.live {
		l.errorf("%s is there, the log does not lead to it", key)
	}
}

// checkWatchers compares what each watch has seen with the log, and with what others have seen.
func (l *Load) checkWatchers(base int64, events []Event, last int64) {
	type change struct {
		revision int64
		key      string
	}
	told := map[change]Event{}
	for i, w := range l.watch {
		if !w.awaitRevision(last, settleWithin/2) {
			l.errorf("watcher %d of %s has not seen the end, revision %d", i+1, w.prefix, last)
		}
		w.mu.Lock()
		for _, s := range w.segments {
			l.checkSegment(i, w, s, base, events)
			for _, e := range s.events {
				at := change{e.Revision, e.Key}
				before, seen := told[at]
				if seen && before.Value != e.Value {
					l.errorf("revision %d of %s was told as %s and as %s", e.Revision, e.Key, short12(before.Value), short12(e.Value))
				}
				told[at] = e
			}
		}
		w.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for revision, writes := range l.acks {
		for key, value := range writes {
			if e, seen := told[change{revision, key}]; seen && e.Value != value {
				l.errorf("revision %d of %s was acknowledged as %s, watches were told %s", revision, key, short12(value), short12(e.Value))
			}
		}
	}
}

func (l *Load) checkSegment(i int, w *watcher, s *segment, base int64, events []Event) {
	if s.end != nil && s.compacted == 0 && s.end != rpctypes.ErrCompacted {
		l.t.Logf("watcher %d of %s was ended: %v", i+1, w.prefix, s.end)
	}
	if len(s.events) == 0 {
		return
	}
	first, upTo := s.events[0].Revision, s.events[len(s.events)-1].Revision
	if s.from <= base && first <= base && upTo > base {
		l.errorf("watcher %d of %s, from revision %d, went on to %d past lost commits as if nothing was", i+1, w.prefix, s.from, upTo)
		return
	}
	if upTo <= base {
		return // there is no log of it any more
	}
	var want []Event
	for _, e := range events {
		if within(e.Key, w.prefix) && e.Revision >= s.from && e.Revision <= upTo {
			if !w.prevKV {
				e = e.withoutPrevious()
			}
			want = append(want, e)
		}
	}
	for n := range min(len(want), len(s.events)) {
		if want[n] != s.events[n] {
			l.errorf("watcher %d of %s from revision %d: event %d is revision %d of %s, should be revision %d of %s (or differs in its values)",
				i+1, w.prefix, s.from, n, s.events[n].Revision, s.events[n].Key, want[n].Revision, want[n].Key)
			return
		}
	}
	if len(want) != len(s.events) {
		l.errorf("watcher %d of %s from revision %d to %d: %d events, not %d", i+1, w.prefix, s.from, upTo, len(s.events), len(want))
	}
}

// checkLeases looks whether the leases that are kept alive are there, with their keys and their time.
func (l *Load) checkLeases(ctx context.Context, live map[string]Event) {
	l.mu.Lock()
	kept := maps.Clone(l.kept)
	l.mu.Unlock()
	for key, lease := range kept {
		if _, there := live[key]; !there {
			l.errorf("%s is gone, its lease was kept alive", key)
		}
		left, err := l.client.TimeToLive(ctx, lease)
		if err != nil {
			l.errorf("the lease of %s: %v", key, err)
		} else if left.TTL <= 0 || left.TTL > keptSeconds {
			l.errorf("the lease of %s, of %d s, has %d s left", key, keptSeconds, left.TTL)
		}
	}
}

func difference(want, got map[string]int64) string {
	var text string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if got[key] != want[key] {
			text += key + " is " + number(got[key]) + ", was " + number(want[key]) + "; "
		}
	}
	for _, key := range slices.Sorted(maps.Keys(got)) {
		if _, there := want[key]; !there {
			text += key + " is " + number(got[key]) + ", was not there; "
		}
	}
	return text[:min(len(text), 400)]
}
