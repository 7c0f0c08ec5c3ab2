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
	// watchWindow is the least for a given rate: of 500 writes a second, fewer make a p99 of one stall.
	watchWindow = 8 * time.Second
)

// delivery is the way of one write to the watches of its prefix. The times are since the start of the
// load by the client's clock, the only one that takes part. sent is set before the write is, answered
// is the writer's until it has ended.
type delivery struct {
	sent, answered time.Duration
	expected       int32
	arrived        atomic.Int32 // how often
}

// arrival is that of one event at one watch, which alone writes it.
type arrival struct {
	*delivery
	at time.Duration
}

// watchLoad lets clients create keys under many prefixes, each of which is watched by several, and
// follows each write to its events. A value begins with the number of its writer and of its write.
type watchLoad struct {
	*session
	watchers  int
	prefixes  int
	begin     time.Time
	mutex     sync.RWMutex
	written   [][]*delivery // by writer
	arrivals  [][]arrival   // by watch
	unknown   atomic.Int64
	cancelled sync.Map // why watches ended, by message
}

// measureWatch has the writers send so many a second.
func measureWatch(ctx context.Context, s *session, o *options) *result {
	longer := *o
	longer.window = max(o.window, watchWindow)
	return watchAt(ctx, s, &longer, o.watchRate)
}

// measureWatchFlood has them send as fast as the peer answers.
func measureWatchFlood(ctx context.Context, s *session, o *options) *result {
	return watchAt(ctx, s, o, 0)
}

func watchAt(ctx context.Context, s *session, o *options, rate int) *result {
	l := &watchLoad{session: s, watchers: o.watchers, prefixes: min(o.watchPrefixes, o.watchers), begin: time.Now(),
		written: make([][]*delivery, s.clients), arrivals: make([][]arrival, o.watchers)}
	watching, stop := context.WithCancel(ctx)
	var watches sync.WaitGroup
	defer watches.Wait()
	defer stop()
	if err := l.watchAll(watching, &watches); err != nil {
		return &result{err: err}
	}
	first := time.Since(l.begin) + o.warmup
	r := drive(ctx, l.writers(rate), o.warmup, o.window)
	if r.err != nil {
		return r
	}
	l.awaitEvents(ctx)
	stop()
	watches.Wait()
	l.evaluate(r, first, first+o.window)
	return r
}

// watchAll returns when the peer has confirmed each watch.
func (l *watchLoad) watchAll(ctx context.Context, watches *sync.WaitGroup) error {
	created := make(chan error, l.watchers)
	for number := range l.watchers {
		events := l.of(number).Watch(ctx, l.prefixOf(number), clientv3.WithPrefix(), clientv3.WithCreatedNotify())
		watches.Go(func() { l.receive(ctx, number, events, created) })
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
	return fmt.Sprintf("%s%03d/", l.prefix, watcher%l.prefixes)
}

func (l *watchLoad) receive(ctx context.Context, watcher int, events clientv3.WatchChan, created chan<- error) {
	confirmed := false
	for response := range events {
		now := time.Since(l.begin)
		if response.Created && !confirmed {
			confirmed = true
			created <- nil
		}
		for _, event := range response.Events {
			l.arrive(watcher, string(event.Kv.Value), now)
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

func (l *watchLoad) arrive(watcher int, value string, now time.Duration) {
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
	d := l.written[writer][number]
	d.arrived.Add(1)
	l.arrivals[watcher] = append(l.arrivals[watcher], arrival{d, now})
}

func (l *watchLoad) writers(rate int) []operation {
	var interval time.Duration
	if rate > 0 {
		interval = time.Duration(l.clients) * time.Second / time.Duration(rate)
	}
	return l.eachClient(func(writer int, client *clientv3.Client) operation {
		// Evenly spread: writers that began together would make bursts, and the lag one of queues.
		next := time.Now().Add(time.Duration(writer) * interval / time.Duration(l.clients))
		return func(ctx context.Context) error {
			if interval > 0 {
				time.Sleep(time.Until(next))
				next = next.Add(interval)
			}
			value := l.value()
			number := len(l.written[writer]) // nobody else appends
			prefix := (writer + number*l.clients) % l.prefixes
			header := fmt.Sprintf("%d %d ", writer, number)
			key := fmt.Sprintf("%s%04d-%08d", l.prefixOf(prefix), writer, number)
			d := &delivery{sent: time.Since(l.begin), expected: l.watchersOf(prefix)}
			l.mutex.Lock()
			l.written[writer] = append(l.written[writer], d)
			l.mutex.Unlock()
			_, err := create(ctx, client, key, header+value[len(header):])
			if err == nil {
				d.answered = time.Since(l.begin)
			}
			return err
		}
	})
}

// watchersOf returns how many watch a prefix.
func (l *watchLoad) watchersOf(prefix int) int32 {
	return int32((l.watchers - prefix + l.prefixes - 1) / l.prefixes)
}

// awaitEvents returns when all events of acknowledged writes have arrived, or it has taken too long.
// The writers have ended.
func (l *watchLoad) awaitEvents(ctx context.Context) {
	deadline := time.Now().Add(eventsWithin)
	for _, deliveries := range l.written {
		for _, d := range deliveries {
			for d.answered != 0 && d.arrived.Load() < d.expected && time.Now().Before(deadline) && ctx.Err() == nil {
				time.Sleep(10 * time.Millisecond)
			}
		}
	}
}

// typicalP99 is the median of the p99 of each second. A disk that stalls for a tenth of a second now and
// then, whoever writes to it, decides the p99 of some seconds of all: who meets it would lose.
func typicalP99(seconds [][]time.Duration) time.Duration {
	var each []time.Duration
	for _, lags := range seconds {
		if len(lags) > 0 {
			_, _, p99 := percentiles(lags)
			each = append(each, p99)
		}
	}
	return median(each)
}

// evaluate makes the lag from the sending of a write to the arrival of each of its events the latency,
// and the events per second the rate; the lag from the acknowledgement may be negative, of which no
// ratio can be made, and is a note. What was sent before first belongs to the warm-up; it must arrive,
// too. The watches have ended.
func (l *watchLoad) evaluate(r *result, first, last time.Duration) {
	var sinceSent, sinceAnswered []time.Duration
	seconds := make([][]time.Duration, int((last-first)/time.Second)+1) // since sent, by the time of the sending
	inWindow := 0
	for _, arrivals := range l.arrivals {
		for _, a := range arrivals {
			if a.at >= first && a.at <= last {
				inWindow++
			}
			if a.sent >= first && a.answered != 0 {
				sinceSent = append(sinceSent, a.at-a.sent)
				second := min(int((a.sent-first)/time.Second), len(seconds)-1)
				seconds[second] = append(seconds[second], a.at-a.sent)
				sinceAnswered = append(sinceAnswered, a.at-a.answered)
			}
		}
	}
	lost, twice := 0, 0
	for _, deliveries := range l.written {
		for _, d := range deliveries {
			switch arrived := d.arrived.Load(); {
			case d.answered != 0 && arrived < d.expected:
				lost += int(d.expected - arrived)
			case arrived > d.expected:
				twice += int(arrived - d.expected)
			}
		}
	}
	writes, writeP50, writeP99 := r.rate, r.p50, r.p99
	r.rate = float64(inWindow) / (last - first).Seconds()
	var allP99 time.Duration
	r.p50, r.p95, allP99 = percentiles(sinceSent)
	r.p99 = typicalP99(seconds)
	p50, _, p99 := percentiles(sinceAnswered)
	r.notes = append(r.notes, fmt.Sprintf("p99 of the whole time %s; event after acknowledgement: p50 %s, p99 %s; writes: %.0f a second, p50 %s, p99 %s",
		short(allP99), short(p50), short(p99), writes, short(writeP50), short(writeP99)))
	r.count("LOST: a write was acknowledged and one of its events has not come", lost)
	r.count("an event came more often than it was watched for", twice)
	r.count("an event of nobody's write", int(l.unknown.Load()))
	l.cancelled.Range(func(text, _ any) bool {
		r.count("a watch ended: "+text.(string), 1)
		return true
	})
	if len(sinceSent) == 0 {
		r.err = errors.New("no event arrived: " + r.commonFailure())
	}
}
