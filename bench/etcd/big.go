package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	bigStarts = 3
	bigAsks   = 1500 // of each kind
	bigWarmUp = 1000
)

// bigResult is how a peer is with many keys: medians in milliseconds.
type bigResult struct {
	Peer, Title string
	Keys        int
	// Empty is the start without keys.
	Empty, Start, Get, Count float64
}

// big fills each peer, and then starts it again and again, without a load: each time it is asked for a
// key and for the number of keys.
func (b *bench) big(ctx context.Context) error {
	var all []bigResult
	for _, p := range b.peers {
		if p.program == listsWithout {
			continue
		}
		r, err := b.bigOf(ctx, p)
		if err != nil {
			return fmt.Errorf("%s: %w", p.title, err)
		}
		fmt.Printf("%s with %d keys: first answer after %.0f ms (%.0f without keys), get %.2f ms, count %.2f ms\n",
			r.Title, r.Keys, r.Start, r.Empty, r.Get, r.Count)
		all = append(all, r)
	}
	data, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.options.out, "big.json"), data, 0o644)
}

func (b *bench) bigOf(ctx context.Context, p peer) (bigResult, error) {
	r := bigResult{Peer: p.name, Title: p.title, Keys: b.options.big}
	running, err := b.start(ctx, p)
	if err != nil {
		return r, err
	}
	defer func() { running.close() }()
	if r.Empty, err = running.restarts(ctx); err != nil {
		return r, err
	}
	session, err := newSession(running.address, seeders, 0, listPrefix, b.options)
	if err != nil {
		return r, err
	}
	defer session.close()
	if err := session.putAll(ctx, b.options.big, 1); err != nil {
		return r, err
	}
	if r.Start, err = running.restarts(ctx); err != nil {
		return r, err
	}
	client, err := connect(running.address)
	if err != nil {
		return r, err
	}
	defer client.Close()
	// In turn: a program that has just been started gets faster all the time.
	get, count := []float64{}, []float64{}
	for i := range bigAsks {
		began := time.Now()
		found, err := client.Get(ctx, fmt.Sprintf("%s%08d", listPrefix, b.options.big/2))
		if err == nil && len(found.Kvs) != 1 {
			err = fmt.Errorf("a get found %d keys", len(found.Kvs))
		}
		if err != nil {
			return r, err
		}
		between := time.Now()
		found, err = client.Get(ctx, listPrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err == nil && found.Count != int64(b.options.big) {
			err = fmt.Errorf("%d keys are counted", found.Count)
		}
		if err != nil {
			return r, err
		}
		if i >= bigWarmUp {
			get = append(get, between.Sub(began).Seconds()*1000)
			count = append(count, time.Since(between).Seconds()*1000)
		}
	}
	slices.Sort(get)
	slices.Sort(count)
	r.Get, r.Count = get[len(get)/2], count[len(count)/2]
	return r, nil
}

// restarts returns the median time from the start of the process to its first answer.
func (i *instance) restarts(ctx context.Context) (milliseconds float64, err error) {
	var times []float64
	for range bigStarts {
		i.stop()
		began := time.Now()
		if err := i.run(); err != nil {
			return 0, err
		}
		if err := i.firstAnswer(ctx); err != nil {
			return 0, err
		}
		times = append(times, time.Since(began).Seconds()*1000)
	}
	slices.Sort(times)
	return times[len(times)/2], nil
}

// firstAnswer waits for a connection before it asks: a client that was refused one takes its time.
func (i *instance) firstAnswer(ctx context.Context) error {
	for deadline := time.Now().Add(readyWithin); ; time.Sleep(5 * time.Millisecond) {
		connection, err := net.Dial("tcp", i.address)
		if err == nil {
			connection.Close()
			return i.await(ctx)
		}
		if i.exited() {
			return i.exitError()
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return err
		}
	}
}
