package bigvalues

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"harikube.io/conformance/server"
)

// puts puts all keys for the first time.
func (s *store) puts(t *testing.T) { s.fill(t) }

// putsAgain puts some keys once more, with and without what they had.
func (s *store) putsAgain(t *testing.T) {
	ctx := s.timed(t)
	s.each(t, func(i int) error {
		if i%4 != 0 {
			return nil
		}
		s.mu.Lock()
		before := s.live[key(i)]
		s.mu.Unlock()
		got, _, err := s.put(ctx, key(i), clientv3.WithPrevKV())
		if err != nil {
			return err
		}
		if got.PrevKv == nil {
			return fmt.Errorf("no value before")
		}
		s.same(t, got.PrevKv, before)
		_, _, err = s.put(ctx, key(i))
		return err
	})
}

// batchOfSmallChanges has 400 small requests change big values at once.
func (s *store) batchOfSmallChanges(t *testing.T) {
	s.fill(t)
	ctx := s.timed(t)
	var all sync.WaitGroup
	failures := make(chan error, s.keys)
	for i := range min(400, s.keys) {
		before := s.live[key(i)]
		all.Go(func() {
			unchanged := clientv3.Compare(clientv3.ModRevision(key(i)), "=", before.revision)
			got, err := s.client.Txn(ctx).If(unchanged).Then(clientv3.OpPut(key(i), small)).Commit()
			if err == nil && !got.Succeeded {
				err = fmt.Errorf("%s has been changed by nobody", key(i))
			}
			if err != nil {
				failures <- err
				return
			}
			s.mu.Lock()
			s.live[key(i)] = entry{0, got.Header.Revision}
			s.mu.Unlock()
		})
	}
	all.Wait()
	if n := len(failures); n > 0 {
		t.Errorf("%d of them failed, one so: %v", n, <-failures)
	}
}

// deleteWithValues deletes some keys and gets their values, and is refused all.
func (s *store) deleteWithValues(t *testing.T) {
	ctx := s.timed(t)
	if _, err := s.client.Delete(ctx, prefix, clientv3.WithPrefix(), clientv3.WithPrevKV()); !refusedCleanly(err) {
		t.Errorf("a deletion that answers everything: %v", err)
	}
	s.check(t)
	got, err := s.client.Delete(ctx, prefix, clientv3.WithRange(key(20)), clientv3.WithPrevKV())
	if err != nil {
		t.Fatal(err)
	}
	if got.Deleted != 20 || len(got.PrevKvs) != 20 {
		t.Errorf("%d deleted, %d values", got.Deleted, len(got.PrevKvs))
	}
	for _, kv := range got.PrevKvs {
		s.same(t, kv, s.live[string(kv.Key)])
		delete(s.live, string(kv.Key))
	}
}

// deletePrefix deletes all big keys at once.
func (s *store) deletePrefix(t *testing.T) {
	s.fill(t)
	got, err := s.client.Delete(s.timed(t), prefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	if got.Deleted != int64(len(s.live)) {
		t.Errorf("%d deleted, not %d", got.Deleted, len(s.live))
	}
	clear(s.live)
}

// leased puts all big keys on a lease that is kept alive until the context ends.
func (s *store) leased(ctx context.Context, t *testing.T, ttl int64) clientv3.LeaseID {
	t.Helper()
	lease, err := s.client.Grant(ctx, ttl)
	if err != nil {
		t.Fatal(err)
	}
	alive, err := s.client.KeepAlive(ctx, lease.ID)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for range alive {
		}
	}()
	s.fill(t, clientv3.WithLease(lease.ID))
	return lease.ID
}

// revoke revokes a lease with all big keys, which keep their values when they get it.
func (s *store) revoke(t *testing.T) {
	s.fill(t)
	ctx := s.timed(t)
	lease, err := s.client.Grant(ctx, 600)
	if err != nil {
		t.Fatal(err)
	}
	s.each(t, func(i int) error {
		got, err := s.client.Put(ctx, key(i), "", clientv3.WithIgnoreValue(), clientv3.WithLease(lease.ID))
		if err == nil {
			s.mu.Lock()
			s.live[key(i)] = entry{s.live[key(i)].serial, got.Header.Revision}
			s.mu.Unlock()
		}
		return err
	})
	s.check(t)
	revoked, err := s.client.Revoke(ctx, lease.ID)
	if err != nil {
		t.Fatal(err)
	}
	s.revoked = revoked.Header.Revision
	clear(s.live)
}

// expiryAfterCrashes has a lease with all big keys end between a crash and the next.
func (s *store) expiryAfterCrashes(t *testing.T) {
	keeping, lose := context.WithCancel(s.timed(t))
	defer lose()
	s.leased(keeping, t, 15)
	s.server.Kill()
	lose()
	for range 2 {
		s.server.Launch(t)
		<-time.After(3 * time.Second) // it may be at it
		if !s.server.Runs() {
			t.Fatal("the server has ended again, soon after its start")
		}
		s.server.Kill()
	}
	s.server.Start(t)
	s.pid = s.server.Pid()
	clear(s.live)
	for ctx := s.timed(t); ; <-time.After(100 * time.Millisecond) {
		left, err := s.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			t.Fatal(err)
		}
		if left.Count == 0 {
			return
		}
	}
}

// compaction forgets all big values, and gives their room back.
func (s *store) compaction(t *testing.T) {
	ctx := s.timed(t)
	if _, err := s.client.Compact(ctx, s.revision(t), clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.client.Defragment(ctx, s.server.Address); err != nil {
		t.Fatal(err)
	}
}

// snapshot restores a snapshot into the other database, and compares all of it.
func (s *store) snapshot(t *testing.T) {
	ctx := s.timed(t)
	in, err := s.client.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	file := filepath.Join(s.folder, "snapshot.db")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatalf("the snapshot: %v", err)
	}
	other := map[string]string{"sqlite": "postgres", "postgres": "sqlite"}[s.database]
	to := endpoint(t, other, s.folder, "restored.db")
	restore := exec.CommandContext(ctx, filepath.Join(bin, "harikube"), "restore", file, "--endpoint", to)
	if out, err := restore.CombinedOutput(); err != nil {
		t.Fatalf("restore: %v\n%s", err, out)
	}
	logs := filepath.Join(s.folder, "restored")
	if err := os.MkdirAll(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	restored := server.HariKube(t, bin, logs, to)
	client := server.Client(t, restored.Address)
	defer client.Close()
	s.pages(t, client, maps.Clone(s.live), 0)
	restored.Stop()
}
