package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	soakClients  = 8    // of each peer
	soakKeys     = 2000 // of each client
	soakWatchers = 20
	soakSamples  = 90
	// compactEvery is kube-apiserver's default.
	compactEvery = 5 * time.Minute
)

// sample is what a part of the soak came to: times in milliseconds, sizes in MiB.
type sample struct {
	Seconds                  float64 // since the start, at the end of the part
	Rate, P50, P95, P99, Max float64
	Resident, DB, WAL        float64
}

// soaked is what became of a peer.
type soaked struct {
	Peer, Title string
	Samples     []sample
	Changes     int64
	Events      int64 // that the watches together should have seen: Changes times their number
	Errors      map[string]int
}

// soaker is a peer under load, with what its clients have seen since the last sample.
type soaker struct {
	*session
	running   *instance
	mutex     sync.Mutex
	latencies []time.Duration
	errors    map[string]int
	changes   atomic.Int64
	events    atomic.Int64
	revision  atomic.Int64 // of the last change
}

// soak has all peers work at the same time for long: whether one slows down or grows is what counts,
// not which is faster.
func (b *bench) soak(ctx context.Context) error {
	length := b.options.soak
	var soakers []*soaker
	defer func() {
		for _, s := range soakers {
			s.close()
			s.running.close()
		}
	}()
	for _, p := range b.peers {
		running, err := b.start(ctx, p)
		if err != nil {
			return fmt.Errorf("%s: %w", p.title, err)
		}
		session, err := newSession(running.address, soakClients, soakWatchers, "/registry/soak/", b.options)
		if err != nil {
			running.close()
			return err
		}
		soakers = append(soakers, &soaker{session: session, running: running, errors: map[string]int{}})
	}
	var group sync.WaitGroup
	defer group.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	working, rest := context.WithTimeout(ctx, length)
	defer rest()
	var workers sync.WaitGroup
	for _, s := range soakers {
		if err := s.watch(ctx, &group); err != nil {
			return err
		}
		for client := range soakClients {
			workers.Go(func() { s.work(working, client) })
		}
		workers.Go(func() { s.compact(working, min(compactEvery, length/6)) })
	}
	all := make([]soaked, len(soakers))
	began := time.Now()
	part := length / soakSamples
	for number := 1; number <= soakSamples; number++ {
		select {
		case <-ctx.Done():
			return errors.New("interrupted; nothing is reported")
		case <-time.After(time.Until(began.Add(time.Duration(number) * part))):
		}
		for i, s := range soakers {
			if s.running.exited() {
				return s.running.exitError()
			}
			all[i].Samples = append(all[i].Samples, s.sample(ctx, time.Since(began), part))
		}
		if number%(soakSamples/15) == 0 {
			fmt.Printf("soak: %s of %s\n", time.Since(began).Round(time.Second), length)
		}
	}
	workers.Wait()
	for i, s := range soakers {
		s.awaitEvents(ctx)
		all[i].Peer, all[i].Title = b.peers[i].name, b.peers[i].title
		all[i].Changes, all[i].Events, all[i].Errors = s.changes.Load(), s.events.Load(), s.errors
	}
	return b.reportSoak(all)
}

// work does what the clients of an API server do, on keys that are this client's alone.
func (s *soaker) work(ctx context.Context, number int) {
	client := s.of(number)
	key := func(i int) string { return fmt.Sprintf("%s%02d/%06d", s.prefix, number, i) }
	revisions := make([]int64, soakKeys) // 0: there is no such key
	for ctx.Err() == nil {
		i := rand.IntN(soakKeys)
		// What has been asked for is waited for: it may take place, and has events then.
		attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), operationWithin)
		begin := time.Now()
		var err error
		switch dice := rand.IntN(100); {
		case dice < 60 && revisions[i] == 0:
			revisions[i], err = s.changed(create(attempt, client, key(i), s.value()))
		case dice < 60:
			revisions[i], err = s.changed(update(attempt, client, key(i), s.value(), revisions[i]))
		case dice < 70 && revisions[i] != 0:
			if _, err = s.changed(remove(attempt, client, key(i), revisions[i])); err == nil {
				revisions[i] = 0
			}
		case dice < 95:
			_, err = client.Get(attempt, key(i))
		default:
			_, err = client.Get(attempt, s.prefix, clientv3.WithPrefix(), clientv3.WithLimit(rangeLimit))
		}
		cancel()
		s.mutex.Lock()
		s.latencies = append(s.latencies, time.Since(begin))
		if err != nil {
			s.errors[message(err)]++
		}
		s.mutex.Unlock()
	}
}

func (s *soaker) changed(revision int64, err error) (int64, error) {
	if err == nil {
		s.changes.Add(1)
		s.revision.Store(revision)
	}
	return revision, err
}

// remove is how kube-apiserver deletes an object.
func remove(ctx context.Context, client *clientv3.Client, key string, expected int64) (int64, error) {
	response, err := client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", expected)).
		Then(clientv3.OpDelete(key)).
		Else(clientv3.OpGet(key)).
		Commit()
	switch {
	case err != nil:
		return 0, err
	case !response.Succeeded:
		return 0, errConflict
	}
	return response.Header.Revision, nil
}

// compact compacts as kube-apiserver does: what is older than the last interval.
func (s *soaker) compact(ctx context.Context, every time.Duration) {
	ticks := time.NewTicker(every)
	defer ticks.Stop()
	var last int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		if last > 0 {
			if _, err := s.of(0).Compact(ctx, last); err != nil && ctx.Err() == nil {
				s.mutex.Lock()
				s.errors["compact: "+message(err)]++
				s.mutex.Unlock()
			}
		}
		last = s.revision.Load()
	}
}

// watch opens watches that count events until ctx ends.
func (s *soaker) watch(ctx context.Context, group *sync.WaitGroup) error {
	for number := range soakWatchers {
		events := s.of(number).Watch(ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
		if first, ok := <-events; !ok || !first.Created {
			return errors.New("a watch ended before it began")
		}
		group.Go(func() {
			for response := range events {
				s.events.Add(int64(len(response.Events)))
				if err := response.Err(); err != nil && ctx.Err() == nil {
					s.mutex.Lock()
					s.errors["watch: "+message(err)]++
					s.mutex.Unlock()
				}
			}
		})
	}
	return nil
}

func (s *soaker) awaitEvents(ctx context.Context) {
	deadline := time.Now().Add(eventsWithin)
	for s.events.Load() < soakWatchers*s.changes.Load() && time.Now().Before(deadline) && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
}

func (s *soaker) sample(ctx context.Context, at, length time.Duration) sample {
	s.mutex.Lock()
	latencies := s.latencies
	s.latencies = nil
	s.mutex.Unlock()
	p50, p95, p99 := percentiles(latencies)
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	taken := sample{Seconds: at.Seconds(), Rate: float64(len(latencies)) / length.Seconds(),
		P50: milliseconds(p50), P95: milliseconds(p95), P99: milliseconds(p99)}
	if len(latencies) > 0 {
		taken.Max = milliseconds(slices.Max(latencies))
	}
	if kib, err := strconv.Atoi(field(fmt.Sprintf("/proc/%d/status", s.running.cmd.Process.Pid), "VmRSS")); err == nil {
		taken.Resident = float64(kib) / 1024
	}
	if status, err := s.of(0).Status(ctx, s.running.address); err == nil {
		taken.DB = float64(status.DbSize) / (1 << 20)
	}
	_ = filepath.WalkDir(s.running.folder, func(path string, entry os.DirEntry, err error) error {
		if err == nil && (strings.HasSuffix(path, "-wal") || strings.HasSuffix(path, ".wal")) {
			if info, err := entry.Info(); err == nil {
				taken.WAL += float64(info.Size()) / (1 << 20)
			}
		}
		return nil
	})
	return taken
}

// drift is the median of the last third of the samples by that of the middle third: the first third has
// the start, and the store that fills.
func drift(samples []sample, value func(sample) float64) float64 {
	third := len(samples) / 3
	var middle, last []float64
	for _, s := range samples[third : 2*third] {
		middle = append(middle, value(s))
	}
	for _, s := range samples[2*third:] {
		last = append(last, value(s))
	}
	if m := median(middle); m != 0 {
		return median(last) / m
	}
	return 0
}

func (b *bench) reportSoak(all []soaked) error {
	data, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(b.options.out, "soak.json"), data, 0o644); err != nil {
		return err
	}
	text := "| | throughput | p50 | p99 | memory | database | longest stall ms | events |\n|---|---|---|---|---|---|---|---|\n"
	failed := false
	for _, s := range all {
		longest := 0.0
		for _, sample := range s.Samples[len(s.Samples)/10:] {
			longest = max(longest, sample.Max)
		}
		events := "all"
		if s.Events != soakWatchers*s.Changes {
			events = fmt.Sprintf("%d of %d", s.Events, soakWatchers*s.Changes)
			failed = true
		}
		text += fmt.Sprintf("| %s | %.2f | %.2f | %.2f | %.2f | %.2f | %.0f | %s |\n", s.Title,
			drift(s.Samples, func(s sample) float64 { return s.Rate }), drift(s.Samples, func(s sample) float64 { return s.P50 }),
			drift(s.Samples, func(s sample) float64 { return s.P99 }), drift(s.Samples, func(s sample) float64 { return s.Resident }),
			drift(s.Samples, func(s sample) float64 { return s.DB }), longest, events)
		for text, count := range s.Errors {
			fmt.Printf("%s: %d times: %s\n", s.Title, count, text)
			failed = true
		}
	}
	fmt.Print(text, "\nThe last third by the middle third.\n")
	if failed {
		return errors.New("operations failed, or events are missing")
	}
	return nil
}
