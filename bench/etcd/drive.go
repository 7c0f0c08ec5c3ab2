package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"google.golang.org/grpc/status"
)

const (
	// operationWithin is longer than the request timeout of anything that a user would call alive.
	operationWithin = 10 * time.Second
	// afterError keeps a peer that refuses everything from taking the cores with its refusals.
	afterError = 10 * time.Millisecond
	maxMessage = 160
)

// operation is one request of one client, which waits for its answer. It is called by one goroutine.
type operation func(ctx context.Context) error

// result is what one measurement found.
type result struct {
	rate          float64 // operations per second that succeeded
	p50, p95, p99 time.Duration
	attempts      int            // with those of the warm-up
	failures      map[string]int // by message, with those of the warm-up
	notes         []string       // absolute values that only this load has
	err           error          // why the measurement failed as a whole
}

func (r *result) errors() (sum int) {
	for _, count := range r.failures {
		sum += count
	}
	return sum
}

// count adds failures that no answer told of.
func (r *result) count(text string, times int) {
	if times > 0 {
		r.failures[text] += times
	}
}

// tally is what one client saw.
type tally struct {
	attempts  int
	done      float64         // operations that succeeded, each by the share of its time that lies in the window
	latencies []time.Duration // of those that succeeded
	failures  map[string]int
}

// drive has each operation called again and again, each by a client of its own, for the warm-up and
// then the window.
//
// An operation counts with the share of its time that lies in the window, so that the rate is that of the
// peer however long its operations take: of a list that takes as long as four windows, a quarter is done
// in this one.
func drive(ctx context.Context, operations []operation, warmup, window time.Duration) *result {
	from := time.Now().Add(warmup)
	to := from.Add(window)
	tallies := make([]tally, len(operations))
	var clients sync.WaitGroup
	for i, call := range operations {
		clients.Go(func() { tallies[i].repeat(ctx, call, from, to) })
	}
	clients.Wait()
	r := &result{failures: map[string]int{}}
	var latencies []time.Duration
	for i := range tallies {
		t := &tallies[i]
		r.attempts += t.attempts
		r.rate += t.done / window.Seconds()
		latencies = append(latencies, t.latencies...)
		for message, count := range t.failures {
			r.failures[message] += count
		}
	}
	r.p50, r.p95, r.p99 = percentiles(latencies)
	switch {
	case ctx.Err() != nil:
		r.err = context.Cause(ctx)
	case len(latencies) == 0:
		r.err = errors.New("no operation succeeded: " + r.commonFailure())
	case 2*r.errors() > r.attempts:
		r.err = errors.New("most operations failed: " + r.commonFailure())
	}
	return r
}

func (t *tally) repeat(ctx context.Context, call operation, from, to time.Time) {
	t.failures = map[string]int{}
	for begin := time.Now(); begin.Before(to) && ctx.Err() == nil; begin = time.Now() {
		attempt, cancel := context.WithTimeout(ctx, operationWithin)
		err := call(attempt)
		cancel()
		end := time.Now()
		if err != nil && ctx.Err() != nil {
			return // the measurement is over, which is not the operation's fault
		}
		t.attempts++
		if err != nil {
			t.failures[message(err)]++
			time.Sleep(afterError)
			continue
		}
		if end.Before(from) {
			continue
		}
		inside, since := end, begin
		if end.After(to) {
			inside = to
		}
		if begin.Before(from) {
			since = from
		}
		t.done += inside.Sub(since).Seconds() / end.Sub(begin).Seconds()
		// Else the longer ones would be seen too often: they are more likely under way when the window begins.
		if !begin.Before(from) || end.After(to) {
			t.latencies = append(t.latencies, end.Sub(begin))
		}
	}
}

// message makes errors of one kind equal: without the numbers of ports, keys and revisions.
func message(err error) string {
	text := err.Error()
	if s, ok := status.FromError(err); ok {
		text = s.Code().String() + ": " + s.Message()
	}
	text = strings.Join(strings.FieldsFunc(text, unicode.IsSpace), " ")
	var b strings.Builder
	digit := false
	for _, r := range text {
		if !unicode.IsDigit(r) {
			b.WriteRune(r)
		} else if !digit {
			b.WriteRune('#')
		}
		digit = unicode.IsDigit(r)
	}
	text = b.String()
	return text[:min(len(text), maxMessage)]
}

func (r *result) commonFailure() string {
	most := ""
	for text, count := range r.failures {
		if best := r.failures[most]; count > best || count == best && text < most {
			most = text
		}
	}
	if most == "" {
		return "none was answered"
	}
	return fmt.Sprintf("%s (%d times)", most, r.failures[most])
}

// percentiles returns the median, the 95th and the 99th percentile; it sorts the values.
func percentiles(values []time.Duration) (p50, p95, p99 time.Duration) {
	if len(values) == 0 {
		return 0, 0, 0
	}
	slices.Sort(values)
	at := func(percent int) time.Duration { return values[(len(values)*percent+99)/100-1] }
	return at(50), at(95), at(99)
}
