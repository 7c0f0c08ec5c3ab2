package hostile

import (
	"bytes"
	"fmt"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

func create(key, end string, revision int64) []byte {
	return envelope(encoded(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{
		CreateRequest: &pb.WatchCreateRequest{Key: []byte(key), RangeEnd: []byte(end), StartRevision: revision, PrevKv: true},
	}}), false)
}

func cancel(watch int64) []byte {
	return envelope(encoded(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{
		CancelRequest: &pb.WatchCancelRequest{WatchId: watch},
	}}), false)
}

// watchCreatesUnread: creates without end, each of which is answered, by a client that takes no answer.
func watchCreatesUnread(a *attacker) {
	many := bytes.Repeat(create("/att/0", "", -1), 1000)
	a.connections(1, nothing, func(r *raw) error { return a.stream(r, watch, many, 1000) })
}

// watchesCreatedAndCanceled: 3 clients create watches and cancel them, without waiting for the answers.
func watchesCreatedAndCanceled(a *attacker) {
	a.connections(3, everything, func(r *raw) error {
		stream, err := r.call(watch)
		if err != nil {
			return err
		}
		request := create("/att/0", "", 0)
		for id := int64(0); ; id += 500 {
			many := bytes.Repeat(request, 500)
			for i := range int64(500) {
				many = append(many, cancel(id+i)...)
			}
			if err := r.send(stream, many, false); err != nil {
				return err
			}
			a.done.Add(500)
		}
	})
}

// manyWatches: 100,000 watches on one stream, of a key that nobody writes.
func manyWatches(a *attacker) {
	many := bytes.Repeat(create("/nothing", "", 0), 1000)
	a.connections(1, everything, func(r *raw) error {
		stream, err := r.call(watch)
		if err != nil {
			return err
		}
		for range 100 {
			if err := r.send(stream, many, false); err != nil {
				return err
			}
			a.done.Add(1000)
		}
		return a.untilThrownOut(r)
	})
}

// malformedWatches: 40 streams at a time, each with a watch of what is written, and then what is no
// protobuf.
func malformedWatches(a *attacker) {
	bad := append(create("/", "0", 1), envelope([]byte{0xff, 0xff, 0xff}, false)...)
	a.connections(1, nothing, func(r *raw) error {
		for a.ctx.Err() == nil {
			for range 40 {
				stream, err := r.call(watch)
				if err != nil {
					return err
				}
				if err := r.send(stream, bad, false); err != nil {
					return err
				}
				a.done.Add(1)
			}
			a.wait(100 * time.Millisecond)
		}
		return nil
	})
}

// watchesOfThePastUnread: 110 clients watch all big values from the first revision on, and take nothing.
func watchesOfThePastUnread(a *attacker) {
	a.connections(110, nothing, func(r *raw) error {
		return a.watching(r, create(bigPrefix, bigEnd, 1))
	})
}

// watchesUnread: 20 clients watch what another one writes, and take nothing.
func watchesUnread(a *attacker) {
	value := bytes.Repeat([]byte("v"), 100_000)
	writing, err := a.dial(everything)
	if err != nil {
		a.failed(err)
		return
	}
	go func() {
		for i := 0; a.ctx.Err() == nil; i++ {
			put := encoded(&pb.PutRequest{Key: fmt.Appendf(nil, "/att/live/%d", i%10), Value: value})
			if err := writing.request(kvPut, put); err != nil {
				a.failed(err)
				return
			}
			a.wait(50 * time.Millisecond)
		}
	}()
	a.connections(20, nothing, func(r *raw) error {
		return a.watching(r, create("/att/", "/att0", 0))
	})
}

// watching has a watch until the server ends it.
func (a *attacker) watching(r *raw, request []byte) error {
	stream, err := r.call(watch)
	if err != nil {
		return err
	}
	if err := r.send(stream, request, false); err != nil {
		return err
	}
	a.done.Add(1)
	return a.untilThrownOut(r)
}
