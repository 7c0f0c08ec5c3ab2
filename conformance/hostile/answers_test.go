package hostile

import (
	"math"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// What is in the store: so many keys of so many bytes below a prefix.
const (
	bigPrefix, bigEnd = "/big/", "/big0"
	bigKeys           = 95
	bigValue          = 1_000_000
)

type message interface{ Marshal() ([]byte, error) }

func encoded(m message) []byte {
	bytes, err := m.Marshal()
	if err != nil {
		panic(err)
	}
	return bytes
}

// big is a range of 40 to 95 MB.
func big(limit int64) []byte {
	return encoded(&pb.RangeRequest{Key: []byte(bigPrefix), RangeEnd: []byte(bigEnd), Limit: limit})
}

// rangesUnread: 20 clients ask for 20 big answers each and take nothing of them.
func rangesUnread(a *attacker) {
	a.connections(20, nothing, func(r *raw) error {
		for i := range int64(20) {
			if err := r.request(kvRange, big(40+55*i/19)); err != nil {
				return err
			}
			a.done.Add(1)
		}
		return a.untilThrownOut(r)
	})
}

// rangesOfClientsThatLeave: the same, but the clients leave after half a second, and others come.
func rangesOfClientsThatLeave(a *attacker) {
	a.connections(20, nothing, func(r *raw) error {
		for range 20 {
			if err := r.request(kvRange, big(bigKeys)); err != nil {
				return err
			}
			a.done.Add(1)
		}
		a.wait(500 * time.Millisecond)
		return nil
	})
}

// rangesReadSlowly: 16 clients ask for 48 MB and read 0.6 MB a second.
func rangesReadSlowly(a *attacker) {
	a.connections(16, little, func(r *raw) error {
		if err := r.request(kvRange, big(48)); err != nil {
			return err
		}
		a.done.Add(1)
		return a.untilThrownOut(r)
	})
}

// rangeStreamsUnread: answers in parts, of which none is taken.
func rangeStreamsUnread(a *attacker) {
	a.connections(20, nothing, func(r *raw) error {
		for range 20 {
			if err := r.request(kvRangeStream, big(0)); err != nil {
				return err
			}
			a.done.Add(1)
		}
		return a.untilThrownOut(r)
	})
}

// limitOfInt64: ranges that hold nothing, with the largest limit, with keys below them and without.
func limitOfInt64(a *attacker) {
	a.connections(8, everything, func(r *raw) error {
		for _, start := range []string{"\x00", "/nothing/"} {
			for _, order := range []pb.RangeRequest_SortOrder{pb.RangeRequest_NONE, pb.RangeRequest_DESCEND} {
				if err := r.request(kvRange, encoded(&pb.RangeRequest{
					Key: []byte(start), RangeEnd: []byte(start + "\x01"), Limit: math.MaxInt64, SortOrder: order,
				})); err != nil {
					return err
				}
				a.done.Add(1)
			}
		}
		return r.settled(settle)
	})
}

// snapshotsAtOnce: 40 clients take snapshots.
func snapshotsAtOnce(a *attacker) {
	a.connections(40, everything, func(r *raw) error {
		if err := r.request(snapshot, nil); err != nil {
			return err
		}
		a.done.Add(1)
		return a.untilDone(r)
	})
}

// snapshotsUnread: 20 clients take snapshots and take nothing of them.
func snapshotsUnread(a *attacker) {
	a.connections(20, nothing, func(r *raw) error {
		if err := r.request(snapshot, nil); err != nil {
			return err
		}
		a.done.Add(1)
		return a.untilThrownOut(r)
	})
}

// untilThrownOut keeps a connection until the server ends it, or all of its streams, or the attack is over.
func (a *attacker) untilThrownOut(r *raw) error { return r.settled(a.Time) }

// untilDone waits for the answers.
func (a *attacker) untilDone(r *raw) error { return r.settled(a.Time) }
