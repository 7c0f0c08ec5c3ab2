package bigvalues

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"harikube.io/conformance/server"
)

const (
	prefix    = "/big/"
	prefixEnd = "/big0"
	valueSize = 1_400_000
	writers   = 8
	// page is how many big values are asked for at once: 56 MB.
	page = 40
	// samples is how many values a check reads.
	samples = 5
)

// entry is what a key should have.
type entry struct {
	serial   int64 // of its value; 0: a small one
	revision int64
}

// store is a server, and what should be in it.
type store struct {
	database, folder, endpoint string
	keys                       int
	versions                   int // how often one key is changed that is not among the big ones
	server                     *server.Server
	client                     *clientv3.Client
	pid                        int

	mu      sync.Mutex
	serial  int64
	live    map[string]entry
	revoked int64 // the revision that took all big keys; 0: none has
}

// noise is what values are made of: nothing that a database could make smaller.
var noise = func() []byte {
	noise := make([]byte, valueSize)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	return noise
}()

// value is the big one with a number, in whose order values are.
func value(serial int64) []byte {
	value := bytes.Clone(noise)
	binary.BigEndian.PutUint64(value, uint64(serial))
	return value
}

const small = "small"

func key(i int) string { return fmt.Sprintf("%s%05d", prefix, i) }

// is says whether a value is the one with the number.
func is(value []byte, serial int64) bool {
	if serial == 0 {
		return string(value) == small
	}
	return len(value) == valueSize && binary.BigEndian.Uint64(value) == uint64(serial) && bytes.Equal(value[8:], noise[8:])
}

// put puts a new big value, and tells the number of it.
func (s *store) put(ctx context.Context, key string, options ...clientv3.OpOption) (*clientv3.PutResponse, int64, error) {
	s.mu.Lock()
	s.serial++
	serial := s.serial
	s.mu.Unlock()
	response, err := s.client.Put(ctx, key, string(value(serial)), options...)
	if err == nil {
		s.mu.Lock()
		s.live[key] = entry{serial, response.Header.Revision}
		s.mu.Unlock()
	}
	return response, serial, err
}

// each does something for all big keys, some at a time.
func (s *store) each(t *testing.T, work func(i int) error) {
	t.Helper()
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := w; i < s.keys; i += writers {
				if err := work(i); err != nil {
					t.Errorf("%s: %v", key(i), err)
					return
				}
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// fill puts a new value to all big keys.
func (s *store) fill(t *testing.T, options ...clientv3.OpOption) {
	t.Helper()
	ctx := s.timed(t)
	s.each(t, func(i int) error {
		_, _, err := s.put(ctx, key(i), options...)
		return err
	})
}

// check says whether the server is the same process, answers, and has what it should.
func (s *store) check(t *testing.T) {
	t.Helper()
	if !s.server.Runs() || s.server.Pid() != s.pid {
		t.Fatal("the server has ended")
	}
	ctx := s.timed(t)
	got, err := s.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Kvs) != len(s.live) || got.Count != int64(len(s.live)) {
		t.Errorf("there are %d keys, counted %d, not %d", len(got.Kvs), got.Count, len(s.live))
	}
	for _, kv := range got.Kvs {
		if want := s.live[string(kv.Key)]; kv.ModRevision != want.revision {
			t.Errorf("%s is of revision %d, not %d", kv.Key, kv.ModRevision, want.revision)
		}
	}
	checked := 0
	for key, want := range s.live { // in random order
		got, err := s.client.Get(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Kvs) != 1 {
			t.Fatalf("%s is not there", key)
		}
		s.same(t, got.Kvs[0], want)
		if checked++; checked == samples {
			break
		}
	}
}

// same compares a key with what it should be.
func (s *store) same(t *testing.T, got *mvccpb.KeyValue, want entry) {
	t.Helper()
	if got.ModRevision != want.revision {
		t.Errorf("%s is of revision %d, not %d", got.Key, got.ModRevision, want.revision)
	}
	if !is(got.Value, want.serial) {
		t.Errorf("%s has another value than number %d, of %d bytes", got.Key, want.serial, len(got.Value))
	}
}

// again starts a server on the data, whatever has become of the one before, and takes what it has for true.
func (s *store) again(t *testing.T) {
	t.Helper()
	s.server.Kill() // it may be about to end
	s.server.Start(t)
	s.pid = s.server.Pid()
	s.live = map[string]entry{}
	ctx := s.timed(t)
	for i := range s.keys {
		got, err := s.client.Get(ctx, key(i))
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range got.Kvs {
			found := entry{revision: kv.ModRevision}
			if len(kv.Value) == valueSize {
				found.serial = int64(binary.BigEndian.Uint64(kv.Value))
			}
			s.live[string(kv.Key)] = found
		}
	}
}

// refusedCleanly says whether it was too much, in words, and not an end.
func refusedCleanly(err error) bool {
	var known rpctypes.EtcdError
	if errors.As(err, &known) {
		return known.Code() == codes.ResourceExhausted
	}
	return status.Code(err) == codes.ResourceExhausted
}

// revision is the current one.
func (s *store) revision(t *testing.T) int64 {
	t.Helper()
	got, err := s.client.Get(s.timed(t), "revision")
	if err != nil {
		t.Fatal(err)
	}
	return got.Header.Revision
}
