package bigvalues

import (
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protowire"
)

// rangeOfEverything asks for more than the heap has.
func (s *store) rangeOfEverything(t *testing.T) {
	if _, err := s.client.Get(s.timed(t), prefix, clientv3.WithPrefix()); !refusedCleanly(err) {
		t.Errorf("a range of everything: %v", err)
	}
	got, err := s.client.Get(s.timed(t), prefix, clientv3.WithPrefix(), clientv3.WithLimit(page))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Kvs) != page || !got.More || got.Count != int64(len(s.live)) {
		t.Errorf("%d keys of %d, more: %t", len(got.Kvs), got.Count, got.More)
	}
	for _, kv := range got.Kvs {
		s.same(t, kv, s.live[string(kv.Key)])
	}
}

// rangeInPages reads everything.
func (s *store) rangeInPages(t *testing.T) { s.pages(t, s.client, s.live, 0) }

// pages reads all that a client finds, in pages, and compares it.
func (s *store) pages(t *testing.T, client *clientv3.Client, want map[string]entry, revision int64) {
	t.Helper()
	ctx, from, n := s.timed(t), prefix, 0
	for {
		got, err := client.Get(ctx, from, clientv3.WithRange(prefixEnd), clientv3.WithLimit(page), clientv3.WithRev(revision))
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range got.Kvs {
			s.same(t, kv, want[string(kv.Key)])
			n++
		}
		if !got.More {
			break
		}
		from = string(got.Kvs[len(got.Kvs)-1].Key) + "\x00"
	}
	if n != len(want) {
		t.Errorf("the pages have %d keys, not %d", n, len(want))
	}
}

// rangeInParts reads everything in one RangeStream.
func (s *store) rangeInParts(t *testing.T) {
	connection, err := grpc.NewClient(s.server.Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	request, err := (&pb.RangeRequest{Key: []byte(prefix), RangeEnd: []byte(prefixEnd)}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	stream, err := connection.NewStream(s.timed(t), &grpc.StreamDesc{ServerStreams: true},
		"/etcdserverpb.KV/RangeStream", grpc.ForceCodec(plain{}), grpc.MaxCallRecvMsgSize(1<<30))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(stream.SendMsg(&request), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	n, count := 0, int64(0)
	for {
		var part []byte
		if err := stream.RecvMsg(&part); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		_, _, tag := protowire.ConsumeTag(part)
		answer, _ := protowire.ConsumeBytes(part[tag:])
		var got pb.RangeResponse
		if err := got.Unmarshal(answer); err != nil {
			t.Fatal(err)
		}
		for _, kv := range got.Kvs {
			s.same(t, kv, s.live[string(kv.Key)])
			n++
		}
		count += got.Count
	}
	if n != len(s.live) || count != int64(n) {
		t.Errorf("the parts have %d keys, counted %d, not %d", n, count, len(s.live))
	}
}

// plain is the codec of messages that are bytes already.
type plain struct{}

func (plain) Name() string                  { return "proto" }
func (plain) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (plain) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = data
	return nil
}

// rangeInOrder has the last of everything by each order: values are in the order of their numbers, as revisions
// are nearly.
func (s *store) rangeInOrder(t *testing.T) {
	const limit = 10
	byKey := slices.Sorted(maps.Keys(s.live))
	by := func(less func(a, b entry) int) []string {
		return slices.SortedFunc(maps.Keys(s.live), func(a, b string) int { return less(s.live[a], s.live[b]) })
	}
	for target, want := range map[clientv3.SortTarget][]string{
		clientv3.SortByKey:         byKey,
		clientv3.SortByModRevision: by(func(a, b entry) int { return int(a.revision - b.revision) }),
		clientv3.SortByValue:       by(func(a, b entry) int { return int(a.serial - b.serial) }),
	} {
		got, err := s.client.Get(s.timed(t), prefix, clientv3.WithPrefix(), clientv3.WithSort(target, clientv3.SortDescend),
			clientv3.WithLimit(limit))
		if err != nil {
			t.Errorf("by %d: %v", target, err)
			continue
		}
		if len(got.Kvs) != limit {
			t.Errorf("by %d: %d keys", target, len(got.Kvs))
			continue
		}
		for i, kv := range got.Kvs {
			if name := want[len(want)-1-i]; string(kv.Key) != name {
				t.Errorf("by %d: %s is in the place of %s", target, kv.Key, name)
			}
			s.same(t, kv, s.live[string(kv.Key)])
		}
	}
}

// rangeWithoutValues asks for the keys, for their number, and for what none of them has.
func (s *store) rangeWithoutValues(t *testing.T) {
	ctx := s.timed(t)
	names, err := s.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range names.Kvs {
		if len(kv.Value) != 0 {
			t.Errorf("%s has %d bytes", kv.Key, len(kv.Value))
		}
	}
	count, err := s.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		t.Fatal(err)
	}
	if len(names.Kvs) != len(s.live) || count.Count != int64(len(s.live)) {
		t.Errorf("%d keys, counted %d, not %d", len(names.Kvs), count.Count, len(s.live))
	}
	none, err := s.client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithMinModRev(1<<40))
	if err != nil {
		t.Fatal(err)
	}
	if len(none.Kvs) != 0 {
		t.Errorf("%d keys are of the future", len(none.Kvs))
	}
}

// rangeOfThePast changes all keys, and reads them as they were.
func (s *store) rangeOfThePast(t *testing.T) {
	before, at := maps.Clone(s.live), s.revision(t)
	s.fill(t)
	s.pages(t, s.client, before, at)
	if _, err := s.client.Get(s.timed(t), prefix, clientv3.WithPrefix(), clientv3.WithRev(at)); !refusedCleanly(err) {
		t.Errorf("a range of everything, as it was: %v", err)
	}
}

// transactionThatReads reads big values in one transaction: what fits, and what does not.
func (s *store) transactionThatReads(t *testing.T) {
	ctx := s.timed(t)
	got, err := s.client.Txn(ctx).Then(
		clientv3.OpGet(key(0)),
		clientv3.OpGet(prefix, clientv3.WithPrefix(), clientv3.WithLimit(20)),
		clientv3.OpPut("/other", small),
		clientv3.OpGet(key(1)),
	).Commit()
	if err != nil {
		t.Fatal(err)
	}
	kvs := got.Responses[1].GetResponseRange().Kvs
	if len(kvs) != 20 {
		t.Errorf("%d keys", len(kvs))
	}
	for _, kv := range kvs {
		s.same(t, kv, s.live[string(kv.Key)])
	}
	everything := clientv3.OpGet(prefix, clientv3.WithPrefix())
	if _, err := s.client.Txn(ctx).Then(everything, clientv3.OpPut("/other", "x")).Commit(); !refusedCleanly(err) {
		t.Errorf("a transaction that reads everything: %v", err)
	}
	other, err := s.client.Get(ctx, "/other")
	if err != nil {
		t.Fatal(err)
	}
	if len(other.Kvs) != 1 || string(other.Kvs[0].Value) != small {
		t.Error("a transaction that was refused has changed a key")
	}
}

// transactionThatCompares compares all keys: by what is not their value, by their value, and with a read
// of a big one for the one who lost.
func (s *store) transactionThatCompares(t *testing.T) {
	ctx := s.timed(t)
	for _, compare := range []clientv3.Cmp{
		clientv3.Compare(clientv3.Version(prefix).WithPrefix(), ">", 0),
		clientv3.Compare(clientv3.ModRevision(prefix).WithPrefix(), ">", 0),
		clientv3.Compare(clientv3.Value(prefix).WithPrefix(), "!=", small),
		clientv3.Compare(clientv3.Value(prefix).WithPrefix(), "<", "\xff"),
	} {
		got, err := s.client.Txn(ctx).If(compare).Then(clientv3.OpPut("/other", small)).Commit()
		if err != nil {
			t.Fatal(err)
		}
		if !got.Succeeded {
			t.Errorf("a compare that should hold does not: %v", compare.Result)
		}
	}
	got, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.Value(prefix).WithPrefix(), "=", small)).
		Else(clientv3.OpGet(key(2))).Commit()
	if err != nil {
		t.Fatal(err)
	}
	if got.Succeeded {
		t.Error("a compare that should not hold does")
	}
	s.same(t, got.Responses[0].GetResponseRange().Kvs[0], s.live[key(2)])
}

// hash has the same hash twice.
func (s *store) hash(t *testing.T) {
	ctx := s.timed(t)
	first, err := s.client.HashKV(ctx, s.server.Address, 0)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.client.HashKV(ctx, s.server.Address, first.Header.Revision)
	if err != nil {
		t.Fatal(err)
	}
	if first.Hash != second.Hash {
		t.Errorf("hash %d, and then %d", first.Hash, second.Hash)
	}
}
