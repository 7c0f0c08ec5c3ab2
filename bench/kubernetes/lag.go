package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	lagWarmUp   = 3 * time.Second
	lagFor      = 6 * time.Second
	lagRounds   = 3
	lagRate     = 500 // writes per second
	eventsLate  = 10 * time.Second
	timeDigits  = 19
	timeTakesUp = "lorem ipsum lorem i"
)

// lag is how long after the sending of a write its event arrives, in milliseconds.
type lag struct {
	System        string
	Rate          int // of writes; 0: as fast as they are answered
	Events        float64
	P50, P99, Max float64
}

// watchLag prints the lag of 10,000 watches, each of which wants one object: on HariKube all watch the
// whole resource with a selector each, etcd has to be told the key.
func watchLag(ctx context.Context, o options) error {
	_, err := each(ctx, o, "watches.json", watchLagOf)
	return err
}

func watchLagOf(ctx context.Context, o options, name string) ([]lag, error) {
	c, err := startCluster(ctx, o, name)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	if err := c.define(ctx, definition("bench.test", "Widget"), widgets); err != nil {
		return nil, err
	}
	store, err := c.storeClient()
	if err != nil {
		return nil, err
	}
	defer store.Close()
	if err := c.load(ctx, store, watchers, c.storedWidget); err != nil {
		return nil, err
	}
	var all []lag
	for _, rate := range []int{0, lagRate} { // as many as possible first, which warms a JVM up
		var rounds []lag
		for range lagRounds {
			l, err := c.measureLag(ctx, store, rate)
			if err != nil {
				return nil, err
			}
			fmt.Printf("    %d writes per second (0: as many as possible): %.0f events per second, lag %.2f ms, p99 %.2f ms\n", rate, l.Events, l.P50, l.P99)
			rounds = append(rounds, l)
		}
		slices.SortFunc(rounds, func(a, b lag) int { return int(1000 * (a.P99 - b.P99)) })
		all = append(all, rounds[len(rounds)/2])
	}
	return all, nil
}

// own returns the request for a watch of one object.
func (c *cluster) own(i int) *pb.WatchCreateRequest {
	if c.ours() {
		return &pb.WatchCreateRequest{Key: []byte(prefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(prefix)), PrevKv: true,
			XXX_unrecognized: field(9, fmt.Sprintf("name=w%d", i))}
	}
	return &pb.WatchCreateRequest{Key: fmt.Appendf(nil, "%sw%d", prefix, i), PrevKv: true}
}

func (c *cluster) measureLag(ctx context.Context, store *clientv3.Client, rate int) (lag, error) {
	begin := time.Now()
	watching, stop := context.WithCancel(ctx)
	defer stop()
	lags := make([][]time.Duration, watchers/perStream)
	var arrived, inWindow atomic.Int64
	var streams sync.WaitGroup
	for number := range lags {
		stream, err := openStream(watching, store, number*perStream, c.own)
		if err != nil {
			return lag{}, err
		}
		streams.Go(func() {
			for {
				response, err := stream.Recv()
				if err != nil {
					return
				}
				now := time.Since(begin)
				for _, event := range response.Events {
					arrived.Add(1)
					if sent := sentAt(event.Kv.Value); sent > lagWarmUp {
						inWindow.Add(1)
						lags[number] = append(lags[number], now-sent)
					}
				}
			}
		})
	}
	begin = time.Now()
	written, err := c.writeFor(ctx, store, begin, rate)
	if err != nil {
		return lag{}, err
	}
	for deadline := time.Now().Add(eventsLate); arrived.Load() < written; {
		if time.Now().After(deadline) {
			return lag{}, fmt.Errorf("%d writes, %d events", written, arrived.Load())
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	streams.Wait()
	all := slices.Concat(lags...)
	if len(all) == 0 {
		return lag{}, errors.New("no event came after the warm-up")
	}
	slices.Sort(all)
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return lag{System: c.name, Rate: rate, Events: float64(inWindow.Load()) / lagFor.Seconds(),
		P50: milliseconds(all[len(all)/2]), P99: milliseconds(all[len(all)*99/100]), Max: milliseconds(all[len(all)-1])}, nil
}

// writeFor writes objects, each with the time at which it is sent, and returns how many.
func (c *cluster) writeFor(ctx context.Context, store *clientv3.Client, begin time.Time, rate int) (written int64, err error) {
	var next, done atomic.Int64
	var workers sync.WaitGroup
	errs := make([]error, putters)
	for worker := range putters {
		workers.Go(func() {
			for {
				number := next.Add(1)
				if rate > 0 {
					time.Sleep(time.Until(begin.Add(time.Duration(number) * time.Second / time.Duration(rate))))
				}
				now := time.Since(begin)
				if now > lagWarmUp+lagFor || ctx.Err() != nil {
					return
				}
				key, object := c.storedWidget(int(number*7919) % watchers)
				if _, err := store.Put(ctx, key, timed(stored(object), now)); err != nil {
					errs[worker] = err
					return
				}
				done.Add(1)
			}
		})
	}
	workers.Wait()
	return done.Load(), errors.Join(errs...)
}

// timed writes a time into the text of an object.
func timed(object string, now time.Duration) string {
	return strings.Replace(object, timeTakesUp, fmt.Sprintf("%0*d", timeDigits, now.Nanoseconds()), 1)
}

func sentAt(value []byte) time.Duration {
	_, text, found := strings.Cut(string(value), `"text":"`)
	if !found || len(text) < timeDigits {
		return 0
	}
	nanoseconds, err := strconv.ParseInt(text[:timeDigits], 10, 64)
	if err != nil {
		return 0
	}
	return time.Duration(nanoseconds)
}
