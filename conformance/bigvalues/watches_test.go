package bigvalues

import (
	"context"
	"hash/crc32"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// watcher reads a watch stream message by message: clientv3 reads ahead without end.
type watcher struct {
	stream pb.Watch_WatchClient
	last   map[string]seen // each key that was there
	at     int64           // the revision of the newest event
	events int
}

// seen is enough of a key to know it again.
type seen struct {
	revision int64
	sum      uint32 // of its value
}

func seenIn(kv *mvccpb.KeyValue) seen { return seen{kv.ModRevision, crc32.ChecksumIEEE(kv.Value)} }

// watch begins a watch with prev_kv and fragments.
func (s *store) watch(ctx context.Context, t *testing.T, key, end string, revision int64) *watcher {
	t.Helper()
	connection, err := grpc.NewClient(s.server.Address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<30)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	stream, err := pb.NewWatchClient(connection).Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{
		Key: []byte(key), RangeEnd: []byte(end), StartRevision: revision, PrevKv: true, Fragment: true,
	}}}); err != nil {
		t.Fatal(err)
	}
	created, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if !created.Created || created.Canceled {
		t.Fatalf("the watch was not created: %v", created)
	}
	return &watcher{stream: stream, last: map[string]seen{}}
}

// until reads all events up to a revision: each has the value before it, and none is missing.
func (w *watcher) until(t *testing.T, revision int64, pause time.Duration) {
	t.Helper()
	for w.at < revision {
		message, err := w.stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if message.Canceled {
			t.Fatalf("the watch was canceled after revision %d: %s", w.at, message.CancelReason)
		}
		for _, event := range message.Events {
			w.take(t, event)
		}
		<-time.After(pause)
	}
}

func (w *watcher) take(t *testing.T, event *mvccpb.Event) {
	t.Helper()
	kv, name := event.Kv, string(event.Kv.Key)
	if kv.ModRevision < w.at {
		t.Errorf("revision %d comes after %d", kv.ModRevision, w.at)
	}
	w.at = kv.ModRevision
	w.events++
	before, known := w.last[name]
	switch {
	case known && (event.PrevKv == nil || seenIn(event.PrevKv) != before):
		t.Errorf("revision %d of %s has another value before it than revision %d", kv.ModRevision, name, before.revision)
	case !known && event.PrevKv != nil && kv.Version == 1:
		t.Errorf("revision %d creates %s, and has a value before it", kv.ModRevision, name)
	}
	if event.Type == mvccpb.DELETE {
		delete(w.last, name)
		return
	}
	w.last[name] = seenIn(kv)
}

// watchOfThePast reads everything that has happened, with the values before.
func (s *store) watchOfThePast(t *testing.T) {
	w := s.watch(s.timed(t), t, prefix, prefixEnd, 1)
	newest := int64(0)
	for _, e := range s.live {
		newest = max(newest, e.revision)
	}
	w.until(t, newest, 0)
	if len(w.last) != len(s.live) {
		t.Errorf("the events lead to %d keys, not %d", len(w.last), len(s.live))
	}
}

// watchReadSlowly changes one key again and again while somebody watches who takes a message each 25 ms.
func (s *store) watchReadSlowly(t *testing.T) {
	ctx := s.timed(t)
	slow := s.watch(ctx, t, "/one", "", 0)
	last := int64(0)
	for range s.versions {
		s.mu.Lock()
		s.serial++
		serial := s.serial
		s.mu.Unlock()
		got, err := s.client.Put(ctx, "/one", string(value(serial)))
		if err != nil {
			t.Fatal(err)
		}
		last = got.Header.Revision
	}
	slow.until(t, last, 25*time.Millisecond)
	if slow.events != s.versions {
		t.Errorf("%d events, not %d", slow.events, s.versions)
	}
}

// watchOfOneKey reads all versions of that key from the past.
func (s *store) watchOfOneKey(t *testing.T) {
	got, err := s.client.Get(s.timed(t), "/one")
	if err != nil {
		t.Fatal(err)
	}
	w := s.watch(s.timed(t), t, "/one", "", 1)
	w.until(t, got.Kvs[0].ModRevision, 0)
	if w.events != s.versions {
		t.Errorf("%d events, not %d", w.events, s.versions)
	}
}

// watchOfTheRevocation asks for the one revision in which a lease took all big keys with it: with the values before
// it weighs more than the heap has, and is never split. So the watch ends as compacted, unless it is sent.
func (s *store) watchOfTheRevocation(t *testing.T) {
	revision := s.revoked
	if revision == 0 {
		t.Skip("SKIPPED: nothing was revoked")
	}
	w := s.watch(s.timed(t), t, prefix, prefixEnd, revision)
	for w.events < s.keys {
		message, err := w.stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		if message.Canceled {
			if message.CompactRevision != revision+1 || w.events > 0 {
				t.Fatalf("the watch was canceled after %d events, compacted at %d: %s", w.events, message.CompactRevision, message.CancelReason)
			}
			return
		}
		for _, event := range message.Events {
			w.events++
			if event.Type != mvccpb.DELETE || event.Kv.ModRevision != revision || event.PrevKv == nil ||
				len(event.PrevKv.Value) != valueSize {
				t.Errorf("%s: %v of revision %d", event.Kv.Key, event.Type, event.Kv.ModRevision)
			}
		}
	}
}
