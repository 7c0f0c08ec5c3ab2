package model

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"harikube.io/conformance/server"
)

// watcher watches a prefix: one watch after the other, each of them a segment.
type watcher struct {
	prefix  string
	from    int64
	prevKV  bool
	breaks  time.Duration // after which a watch is broken off, to go on with another one; 0: never
	rewinds bool          // the next watch begins somewhere before, and not behind the last one

	load   *Load
	client *clientv3.Client
	end    func()

	mu       sync.Mutex
	segments []*segment
}

// segment is a watch: what it was told from its first revision on.
type segment struct {
	from      int64
	events    []Event
	end       error // the server's; a watch may also be broken off
	compacted int64 // the revision that it was ended with
}

func (l *Load) startWatch(w *watcher) {
	w.load, w.client = l, server.Client(l.t, l.address)
	l.watch = append(l.watch, w)
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { w.run(ctx) })
	w.end = sync.OnceFunc(func() {
		cancel()
		_ = w.client.Close()
		done.Wait()
	})
}

func (w *watcher) run(ctx context.Context) {
	from := w.from
	for ctx.Err() == nil {
		w.one(ctx, from)
		w.mu.Lock()
		done := w.segments[len(w.segments)-1]
		w.mu.Unlock()
		switch {
		case done.end != nil: // as every client has to: list anew
			from = w.list(ctx)
		case len(done.events) == 0:
			from = done.from
		case w.rewinds:
			from = done.from + rand.Int64N(done.events[len(done.events)-1].Revision-done.from+2)
		default:
			from = done.events[len(done.events)-1].Revision + 1
		}
	}
}

// one watches until the server ends it, or it is broken off.
func (w *watcher) one(ctx context.Context, from int64) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if w.breaks > 0 {
		timer := time.AfterFunc(w.breaks, cancel)
		defer timer.Stop()
	}
	now := &segment{from: from}
	w.mu.Lock()
	w.segments = append(w.segments, now)
	w.mu.Unlock()
	options := []clientv3.OpOption{clientv3.WithPrefix(), clientv3.WithRev(from)}
	if w.prevKV {
		options = append(options, clientv3.WithPrevKV())
	}
	for response := range w.client.Watch(ctx, w.prefix, options...) {
		w.take(now, response)
	}
}

func (w *watcher) take(now *segment, response clientv3.WatchResponse) {
	received := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := response.Err(); err != nil {
		now.end, now.compacted = err, response.CompactRevision
	}
	for _, e := range response.Events {
		event := eventOf(e)
		now.events = append(now.events, event)
		w.load.expired(event, received)
	}
}

// expired looks whether a lease has ended before its time.
func (l *Load) expired(e Event, received time.Time) {
	if e.Value != "" || !within(e.Key, l.prefix+"lease/") {
		return
	}
	l.mu.Lock()
	_, kept := l.kept[e.Key]
	due := l.short[e.Key]
	l.mu.Unlock()
	if kept {
		l.violation("%s is gone at revision %d: its lease of %d s is kept alive", e.Key, e.Revision, keptSeconds)
	} else if early := min(due.Sub(received), due.Round(0).Sub(received.Round(0))); early > 0 {
		// From one server to the next it is the wall clock that counts, which may be set meanwhile.
		l.violation("%s is gone at revision %d, %s too early", e.Key, e.Revision, early)
	}
}

func (w *watcher) list(ctx context.Context) int64 {
	for ctx.Err() == nil {
		response, err := w.client.Get(ctx, w.prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err == nil {
			return response.Header.Revision + 1
		}
		time.Sleep(retryAfter)
	}
	return 0
}

func (w *watcher) endings() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	ended := 0
	for _, s := range w.segments {
		if s.end != nil {
			ended++
		}
	}
	return ended
}

// awaitRevision waits until a watch has had an event of a revision, or of a later one.
func (w *watcher) awaitRevision(revision int64, limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for {
		w.mu.Lock()
		there := slices.ContainsFunc(w.segments, func(s *segment) bool {
			return len(s.events) > 0 && s.events[len(s.events)-1].Revision >= revision
		})
		w.mu.Unlock()
		if there || time.Now().After(deadline) {
			return there
		}
		time.Sleep(10 * time.Millisecond)
	}
}
