package crash

import (
	"context"
	"fmt"
	"sync"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// event is a change of a key: what an event of a watch says.
type event struct {
	key, value                string // no value: a deletion
	revision, create, version int64
	previous                  string
	previousRevision          int64
}

func eventOf(e *clientv3.Event) event {
	found := event{
		key: string(e.Kv.Key), value: string(e.Kv.Value),
		revision: e.Kv.ModRevision, create: e.Kv.CreateRevision, version: e.Kv.Version,
	}
	if e.PrevKv != nil {
		found.previous, found.previousRevision = string(e.PrevKv.Value), e.PrevKv.ModRevision
	}
	if (e.Type == mvccpb.DELETE) != (found.value == "") {
		found.value = "a deletion with a value, or a put without"
	}
	return found
}

// watcher watches a prefix from the first revision on.
type watcher struct {
	prefix string
	client *clientv3.Client

	mu      sync.Mutex
	changed *sync.Cond
	events  []event
	restart context.CancelFunc // breaks the watch off, to be resumed; nil if the client resumes it
	err     error              // what no crash explains
}

// run watches until ctx ends, again after each restart: from the last revision it has seen, plus 1.
func (w *watcher) run(ctx context.Context, restarts bool) {
	for ctx.Err() == nil {
		watching, cancel := context.WithCancel(ctx)
		w.mu.Lock()
		if restarts {
			w.restart = cancel
		}
		from := int64(1)
		if len(w.events) > 0 {
			from = w.events[len(w.events)-1].revision + 1
		}
		w.mu.Unlock()
		for response := range w.client.Watch(watching, w.prefix, clientv3.WithPrefix(), clientv3.WithRev(from), clientv3.WithPrevKV()) {
			w.take(response)
		}
		cancel()
	}
}

func (w *watcher) take(response clientv3.WatchResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := response.Err(); err != nil && w.err == nil && response.CompactRevision != 0 {
		w.err = fmt.Errorf("the watch of %s: %w", w.prefix, err)
	}
	for _, e := range response.Events {
		w.events = append(w.events, eventOf(e))
	}
	w.changed.Broadcast()
}

// breakOff has the watch begin again, if it is not the client that resumes it.
func (w *watcher) breakOff() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.restart != nil {
		w.restart()
	}
}
