package hostile

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/encoding/protowire"
)

// bursts has clients send many small requests at once, and again when all are answered.
func (a *attacker) bursts(clients, size int, method string, message func(i int) []byte) {
	a.connections(clients, everything, func(r *raw) error {
		for a.ctx.Err() == nil {
			for i := range size {
				if err := r.request(method, message(i)); err != nil {
					return err
				}
				a.done.Add(1)
			}
			if err := r.settled(settle); err != nil {
				return err
			}
		}
		return nil
	})
}

// getsAtOnce: hundreds of thousands of gets of one key on 4 connections.
func getsAtOnce(a *attacker) {
	get := encoded(&pb.RangeRequest{Key: []byte("/att/0")})
	a.bursts(4, 50_000, kvRange, func(int) []byte { return get })
}

// putsAtOnce: the same with puts of one byte.
func putsAtOnce(a *attacker) { a.bursts(4, 50_000, kvPut, smallPut) }

func smallPut(i int) []byte {
	return encoded(&pb.PutRequest{Key: fmt.Appendf(nil, "/att/%d", i%100), Value: []byte("v")})
}

// putsWhileWritesAreSlow: the same while another program holds the lock of the database.
func putsWhileWritesAreSlow(a *attacker) {
	held := make(chan error, 1)
	go func() { held <- a.holdWrites() }()
	a.wait(200 * time.Millisecond)
	a.bursts(4, 150_000, kvPut, smallPut)
	if err := <-held; err != nil {
		fmt.Fprintln(os.Stderr, "the lock of the database:", err)
	}
}

// holdWrites has a transaction that writes open until the attack is over.
func (a *attacker) holdWrites() error {
	at, err := url.Parse(a.Database)
	if err != nil {
		return err
	}
	if at.Scheme == "postgres" {
		connection, err := pgx.Connect(a.ctx, a.Database)
		if err != nil {
			return err
		}
		defer connection.Close(context.Background())
		if _, err := connection.Exec(a.ctx, "BEGIN; SELECT * FROM meta FOR UPDATE"); err != nil {
			return err
		}
		return a.hold()
	}
	shell := exec.Command("sqlite3", at.Path)
	in, err := shell.StdinPipe() // it ends with its input
	if err != nil {
		return err
	}
	if err := shell.Start(); err != nil {
		return err
	}
	_, err = io.WriteString(in, ".timeout 5000\nBEGIN IMMEDIATE;\n")
	_ = a.hold()
	_ = in.Close()
	return errors.Join(err, shell.Wait())
}

// bigPutsAtOnce: 300 puts of 1 MB at once on one connection, and again a second later.
func bigPutsAtOnce(a *attacker) {
	value := bytes.Repeat([]byte("v"), bigValue)
	a.connections(1, everything, func(r *raw) error {
		for a.ctx.Err() == nil {
			for i := range 300 {
				stream, err := r.call(kvPut)
				if err != nil {
					return err
				}
				put := envelope(encoded(&pb.PutRequest{Key: fmt.Appendf(nil, "/att/big/%d", i%10), Value: value}), false)
				go func() { _ = r.send(stream, put, true) }()
				a.done.Add(1)
			}
			if err := r.settled(settle); err != nil {
				return err
			}
			a.wait(time.Second)
		}
		return nil
	})
}

// halfMessages: 40 clients begin two puts of 2 MB each and stop just before the end.
func halfMessages(a *attacker) {
	put := envelope(bytes.Repeat([]byte("v"), 2_000_000), false)
	a.connections(40, everything, func(r *raw) error {
		for range 2 {
			stream, err := r.call(kvPut)
			if err != nil {
				return err
			}
			a.done.Add(1)
			if err := r.send(stream, put[:len(put)-1], false); err != nil {
				return err
			}
		}
		return a.untilThrownOut(r)
	})
}

// hugeTransactions: 64,000 counts of all keys in one transaction, within the limit of each of its levels; the
// client gives up after 3 s.
func hugeTransactions(a *attacker) {
	count := &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{
		Key: []byte{0}, RangeEnd: []byte{0}, CountOnly: true,
	}}}
	transaction := encoded(nested(nested(nested(count))).GetRequestTxn())
	a.connections(1, everything, func(r *raw) error {
		if err := r.request(kvTxn, transaction); err != nil {
			return err
		}
		a.done.Add(1)
		return r.settled(3 * time.Second)
	})
}

// changesThatScan: transactions that count all keys as often as they may, and put one.
func changesThatScan(a *attacker) {
	count := &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{
		Key: []byte{0}, RangeEnd: []byte{0}, CountOnly: true,
	}}}
	put := &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("/att/scan")}}}
	txn := &pb.TxnRequest{Success: []*pb.RequestOp{put}}
	for range 127 {
		txn.Success = append(txn.Success, count)
	}
	transaction := encoded(txn)
	a.bursts(4, 100, kvTxn, func(int) []byte { return transaction })
}

// longSelectors: ranges by selectors of 20,000 values each, never the same twice.
func longSelectors(a *attacker) {
	const labelSelector = 14 // of a range
	request := encoded(&pb.RangeRequest{Key: []byte("/registry/pods/"), RangeEnd: []byte("/registry/pods0"), Limit: 1})
	a.bursts(4, 10, kvRange, func(i int) []byte {
		var selector strings.Builder
		fmt.Fprintf(&selector, "l%d in (v", i)
		for value := range 20_000 {
			fmt.Fprintf(&selector, ",%d", 10*value+i)
		}
		selector.WriteByte(')')
		message := protowire.AppendTag(bytes.Clone(request), labelSelector, protowire.BytesType)
		return protowire.AppendString(message, selector.String())
	})
}

// nested is a transaction that does the same 40 times.
func nested(op *pb.RequestOp) *pb.RequestOp {
	txn := &pb.TxnRequest{}
	for range 40 {
		txn.Success = append(txn.Success, op)
	}
	return &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: txn}}
}

// locks: clients wait for one lock, all of them for ever.
func locks(a *attacker) { a.bursts(4, 5000, lock, func(int) []byte { return named("/att/lock") }) }

// elections: the same to be elected.
func elections(a *attacker) {
	a.bursts(4, 5000, campaign, func(int) []byte { return named("/att/election") })
}

// named is a request whose first field is a name, without a lease: the server makes one.
func named(name string) []byte {
	return protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), name)
}

// leaseGrants: leases without end.
func leaseGrants(a *attacker) {
	grant := encoded(&pb.LeaseGrantRequest{TTL: 10})
	a.bursts(4, 10_000, leaseGrant, func(int) []byte { return grant })
}

// keepAlivesUnread: keep-alives without end on a stream whose answers are not taken.
func keepAlivesUnread(a *attacker) {
	request := envelope(encoded(&pb.LeaseKeepAliveRequest{ID: 1}), false)
	many := bytes.Repeat(request, 1000)
	a.connections(4, nothing, func(r *raw) error { return a.stream(r, leaseAlive, many, 1000) })
}

// stream sends the same messages again and again.
func (a *attacker) stream(r *raw, method string, messages []byte, count int64) error {
	stream, err := r.call(method)
	if err != nil {
		return err
	}
	for {
		if err := r.send(stream, messages, false); err != nil {
			return err
		}
		a.done.Add(count)
	}
}

// malformedRequests: what is no protobuf, in requests without end.
func malformedRequests(a *attacker) {
	bad := bytes.Repeat([]byte{0xff}, 15)
	methods := []string{kvRange, kvPut, kvTxn, leaseGrant, lock}
	a.connections(4, everything, func(r *raw) error {
		for i := 0; a.ctx.Err() == nil; i++ {
			if err := r.request(methods[i%len(methods)], bad); err != nil {
				return err
			}
			a.done.Add(1)
			if i%100 == 99 {
				if err := r.settled(settle); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// gzipBombs: 1 GiB of zeros in 1 MB, again and again.
func gzipBombs(a *attacker) {
	var bomb bytes.Buffer
	packer, _ := gzip.NewWriterLevel(&bomb, gzip.BestSpeed)
	zeros := make([]byte, 1<<20)
	for range 1024 {
		_, _ = packer.Write(zeros)
	}
	_ = packer.Close()
	a.connections(4, everything, func(r *raw) error {
		for a.ctx.Err() == nil {
			if err := r.request(kvPut, bomb.Bytes(), "grpc-encoding", "gzip"); err != nil {
				return err
			}
			a.done.Add(1)
			if err := r.settled(settle); err != nil {
				return err
			}
		}
		return nil
	})
}
