package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	createdWithin = 30 * time.Second
	// eventsWithin is how long after the last write its event may take before it counts as lost.
	eventsWithin = 10 * time.Second
)

// delivery is the way of one write. The fields are times since the start of the load by the client's
// clock, the only one that takes part. sent and answered are the writer's, until it has ended.
type delivery struct {
	sent, answered time.Duration
	arrived        atomic.Int64 // 0: not yet
}

// watchLoad lets clients create keys under many prefixes, each of which is watched, and follows each
// write to its event. A value begins with the number of its writer and of its write.
type watchLoad struct {
	*session
	watchers  int
	begin     time.Time
	mutex     sync.RWMutex
	written   [][]*delivery // by writer
	twice     atomic.Int64
	unknown   atomic.Int64
	cancelled sync.Map // why watches ended, by message
}

func measureWatch(ctx context.Context, s *session, o *options) *result {
	l := &watchLoad{session: s, watchers: o.watchers, begin: time.Now(), written: make([][]*delivery, s.clients)}
	watching, stop := context.WithCancel(ctx)
	var watches sync.WaitGroup
	defer watches.Wait()
	defer stop()
	if err := l.watchAll(watching, &watches); err != nil {
		return &result{err: err}
	}
	first := time.Since(l.begin) + o.warmup
	r := drive(ctx, l.writers(o), o.warmup, o.window)
	if r.err != nil {
		return r
	}
	l.awaitEvents(ctx)
	stop()
	watches.Wait()
	l.evaluate(r, first)
	return r
}

// watchAll returns when the peer has confirmed each watch.
func (l *watchLoad) watchAll(ctx context.Context, watches *sync.WaitGroup) error {
	created := make(chan error, l.watchers)
	for number := range l.watchers {
		events := l.of(number).Watch(ctx, l.prefixOf(number), clientv3.WithPrefix(), clientv3.WithCreatedNotify())
		watches.Go(func() { l.receive(ctx, events, created) })
	}
	timeout := time.After(createdWithin)
	for range l.watchers {
		select {
		case err := <-created:
			if err != nil {
				return err
			}
		case <-timeout:
			return fmt.Errorf("not all watches were created within %s", createdWithin)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func (l *watchLoad) prefixOf(watcher int) string {
	return fmt.Sprintf("%s%03d/", l.prefix, watcher)
}

func (l *watchLoad) receive(ctx context.Context, events clientv3.WatchChan, created chan<- error) {
	confirmed := false
	for response := range events {
		now := time.Since(l.begin)
		if response.Created && !confirmed {
			confirmed = true
			created <- nil
		}
		for _, event := range response.Events {
			l.arrive(string(event.Kv.Value), now)
		}
		if err := response.Err(); err != nil && ctx.Err() == nil {
			l.cancelled.Store(message(err), true)
			if !confirmed {
				created <- err
			}
			return
		}
	}
	if !confirmed {
		created <- errors.New("a watch ended before it began")
	}
}

func (l *watchLoad) arrive(value string, now time.Duration) {
	var writer, number int
	fields := strings.SplitN(value, " ", 3)
	if len(fields) == 3 {
		writer, _ = strconv.Atoi(fields[0])
		number, _ = strconv.Atoi(fields[1])
	}
	l.mutex.RLock()
	defer l.mutex.RUnlock()
	if len(fields) < 3 || writer >= len(l.written) || number >= len(l.written[writer]) {
		l.unknown.Add(1)
		return
	}
	if !l.written[writer][number].arrived.CompareAndSwap(0, int64(now)) {
		l.twice.Add(1)
	}
}

func (l *watchLoad) writers(o *options) []operation {
	var interval time.Duration
	if o.watchRate > 0 {
		interval = time.Duration(l.clients) * time.Second / time.Duration(o.watchRate)
	}
	return l.eachClient(func(writer int, client *clientv3.Client) operation {
		next := time.Now()
		return func(ctx context.Context) error {
			if interval > 0 {
				time.Sleep(time.Until(next))
				next = next.Add(interval)
			}
			d := &delivery{}
			l.mutex.Lock()
			number := len(l.written[writer])
			l.written[writer] = append(l.written[writer], d)
			l.mutex.Unlock()
			header := fmt.Sprintf("%d %d ", writer, number)
			value := l.value()
			key := fmt.Sprintf("%s%04d-%08d", l.prefixOf((writer+number*l.clients)%l.watchers), writer, number)
			d.sent = time.Since(l.begin)
			_, err := create(ctx, client, key, header+value[len(header):])
			if err == nil {
				d.answered = time.Since(l.begin)
			}
			return err
		}
	})
}

// awaitEvents returns when all acknowledged writes have arrived, or it has taken too long. The writers
// have ended.
func (l *watchLoad) awaitEvents(ctx context.Context) {
	deadline := time.Now().Add(eventsWithin)
	for _, deliveries := range l.written {
		for _, d := range deliveries {
			for d.answered != 0 && d.arrived.Load() == 0 && time.Now().Before(deadline) && ctx.Err() == nil {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
}

// evaluate makes the lag from the sending of a write to the arrival of its event the latency; the lag
// from the acknowledgement may be negative, of which no ratio can be made, and is a note. Writes that
// were sent before first belong to the warm-up; their events must arrive, too.
func (l *watchLoad) evaluate(r *result, first time.Duration) {
	var sinceSent, sinceAnswered []time.Duration
	lost := 0
	for _, deliveries := range l.written {
		for _, d := range deliveries {
			arrived := time.Duration(d.arrived.Load())
			switch {
			case d.answered == 0:
			case arrived == 0:
				lost++
			case d.sent >= first:
				sinceSent = append(sinceSent, arrived-d.sent)
				sinceAnswered = append(sinceAnswered, arrived-d.answered)
			}
		}
	}
	writeP50, writeP99 := r.p50, r.p99
	r.p50, r.p99 = percentiles(sinceSent)
	p50, p99 := percentiles(sinceAnswered)
	r.notes = append(r.notes, fmt.Sprintf("event after acknowledgement: p50 %s, p99 %s; write: p50 %s, p99 %s",
		short(p50), short(p99), short(writeP50), short(writeP99)))
	r.count("LOST: a write was acknowledged and its event has not come", lost)
	r.count("an event came twice", int(l.twice.Load()))
	r.count("an event of nobody's write", int(l.unknown.Load()))
	l.cancelled.Range(func(text, _ any) bool {
		r.count("a watch ended: "+text.(string), 1)
		return true
	})
	if len(sinceSent) == 0 {
		r.err = errors.New("no event arrived: " + r.commonFailure())
	}
}
