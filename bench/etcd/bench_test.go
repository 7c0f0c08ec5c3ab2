package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestPercentiles(t *testing.T) {
	var values []time.Duration
	for i := 200; i >= 1; i-- {
		values = append(values, time.Duration(i))
	}
	if p50, p95, p99 := percentiles(values); p50 != 100 || p95 != 190 || p99 != 198 {
		t.Errorf("of 1 to 200: p50 %d, p95 %d, p99 %d", p50, p95, p99)
	}
	if p50, _, p99 := percentiles([]time.Duration{7}); p50 != 7 || p99 != 7 {
		t.Errorf("of one value: p50 %d, p99 %d", p50, p99)
	}
}

func TestTheP99OfATypicalSecondIsNotThatOfOneStall(t *testing.T) {
	quiet := slices.Repeat([]time.Duration{time.Millisecond}, 100)
	stall := slices.Repeat([]time.Duration{time.Second}, 100)
	if p99 := typicalP99([][]time.Duration{quiet, stall, nil, quiet}); p99 != time.Millisecond {
		t.Errorf("one stall in three seconds: %s", p99)
	}
	if p99 := typicalP99([][]time.Duration{quiet, stall, stall}); p99 != time.Second {
		t.Errorf("stalls in two of three seconds: %s", p99)
	}
}

func TestMedianLeavesFailedRoundsOut(t *testing.T) {
	s := summarize([]*result{
		{rate: 10, p50: 4, p99: 9},
		{rate: 30, p50: 2, p99: 5, attempts: 7, failures: map[string]int{"a": 1, "b": 2}},
		{rate: 1, err: errors.New("gone")},
	})
	if s.rate != 20 || s.p50 != 3 || s.p99 != 7 || s.failed != 1 || s.errors != 3 {
		t.Errorf("%+v", s)
	}
	if got := s.troubles(); got != "failed in 1 of 3 rounds, 3 of 7 operations failed" {
		t.Error(got)
	}
}

func TestRatiosNameWhoFailed(t *testing.T) {
	good, failed := summarize([]*result{{rate: 3, p50: 1, p99: 1}}), summarize([]*result{{err: errors.New("gone")}})
	for want, got := range map[string][3]string{
		"1.00":        ratios(good, good),
		"failed":      ratios(good, failed),
		"OURS failed": ratios(failed, good),
		"both failed": ratios(failed, failed),
		"–":           ratios(good, summary{}),
	} {
		if got[0] != want {
			t.Errorf("%q instead of %q", got[0], want)
		}
	}
}

func TestRatiosAreMediansOfThoseOfTheRounds(t *testing.T) {
	failed := &result{err: errors.New("gone")}
	ours := summarize([]*result{{rate: 10}, {rate: 50}, {rate: 60}, failed})
	theirs := summarize([]*result{{rate: 5}, {rate: 100}, {rate: 20}, {rate: 1}})
	if got := ratios(ours, theirs)[0]; got != "2.00" {
		t.Error(got)
	}
	if got := ratios(summarize([]*result{failed, {rate: 1}}), summarize([]*result{{rate: 1}, failed}))[0]; got != "–" {
		t.Error(got)
	}
}

func TestWhatIsSavedHasTheRatios(t *testing.T) {
	etcd, ours := peer{name: "etcd", program: "etcd"}, peer{name: "harikube-sqlite", program: "harikube"}
	puts := step{load{name: "puts"}, 1}
	b := &bench{peers: []peer{etcd, ours}, steps: []step{puts}, results: map[string]map[string][]*result{
		"etcd":            {puts.id(): {{rate: 2, p50: 1, p99: 4}}},
		"harikube-sqlite": {puts.id(): {{rate: 3, p50: 1, p99: 2}}},
	}}
	file := filepath.Join(t.TempDir(), "results.json")
	if err := b.save(file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var saved struct{ Rows []row }
	if err := json.Unmarshal(data, &saved); err != nil {
		t.Fatal(err)
	}
	if got := saved.Rows[1].Against["etcd"]; got != [3]string{"1.50", "1.00", "0.50"} {
		t.Error(got)
	}
}

func TestErrorsOfOneKindAreOne(t *testing.T) {
	a, b := message(errors.New("dial 127.0.0.1:4711:\n refused")), message(errors.New("dial 127.0.0.1:815: refused"))
	if a != b || a != "dial #.#.#.#:#: refused" {
		t.Errorf("%q and %q", a, b)
	}
}

func TestDriveCountsErrorsAndFailsWhenMostAre(t *testing.T) {
	calls := 0
	sometimes := func(context.Context) error {
		time.Sleep(time.Millisecond)
		if calls++; calls%10 == 0 {
			return errors.New("no")
		}
		return nil
	}
	always := func(context.Context) error { return errors.New("never") }
	r := drive(context.Background(), []operation{sometimes}, 20*time.Millisecond, 200*time.Millisecond)
	if r.err != nil || r.errors() == 0 || r.attempts <= r.errors() || r.rate == 0 || r.p50 < time.Millisecond {
		t.Errorf("%+v", r)
	}
	if r := drive(context.Background(), []operation{always}, 0, 50*time.Millisecond); r.err == nil {
		t.Errorf("%+v", r)
	}
}

func TestDriveMeasuresWhatIsLongerThanTheWindow(t *testing.T) {
	slow := func(context.Context) error {
		time.Sleep(50 * time.Millisecond)
		return nil
	}
	r := drive(context.Background(), []operation{slow, slow}, time.Millisecond, 10*time.Millisecond)
	if r.err != nil || r.rate <= 0 || r.rate > 40 || r.p50 < 50*time.Millisecond {
		t.Errorf("%+v", r)
	}
}

// Sixteen clients who share one server have its rate together, also if each of them waits most of the time.
func TestDriveMeasuresTheRateOfAnUnfairPeer(t *testing.T) {
	const warmup, window = 200 * time.Millisecond, 400 * time.Millisecond
	begin := time.Now()
	var calls, done atomic.Int64
	var server sync.Mutex
	unfair := func(context.Context) error {
		if calls.Add(1)%16 == 0 {
			time.Sleep(200 * time.Millisecond)
		} else {
			server.Lock()
			defer server.Unlock()
			time.Sleep(time.Millisecond)
		}
		if end := time.Since(begin); end > warmup && end < warmup+window {
			done.Add(1)
		}
		return nil
	}
	r := drive(context.Background(), slices.Repeat([]operation{unfair}, 16), warmup, window)
	if ratio := r.rate * window.Seconds() / float64(done.Load()); r.err != nil || ratio < 0.95 || ratio > 1.05 {
		t.Errorf("%.2f times the %d operations that were done in the window; %v", ratio, done.Load(), r.err)
	}
}

func TestABusyMachineIsTold(t *testing.T) {
	var end atomic.Bool
	defer end.Store(true)
	for range runtime.NumCPU() {
		go func() {
			for !end.Load() {
			}
		}()
	}
	if note := busyNote(); !strings.HasPrefix(note, "THE MACHINE WAS BUSY") {
		t.Errorf("%q", note)
	}
}

func TestWatchTellsOfLostAndRepeatedEvents(t *testing.T) {
	sent := func(at, answered time.Duration) *delivery {
		return &delivery{sent: at, answered: answered, expected: 2}
	}
	l := &watchLoad{session: &session{}, arrivals: make([][]arrival, 2), written: [][]*delivery{
		{sent(1, 2), sent(10, 14)},  // the first in the warm-up
		{sent(20, 21), sent(30, 0)}, // lost at one watch; and never acknowledged
	}}
	l.arrive(0, "0 0 value", 5)
	l.arrive(1, "0 0 value", 6)
	l.arrive(0, "0 1 value", 13)
	l.arrive(1, "0 1 value", 15)
	l.arrive(1, "0 1 value", 50)
	l.arrive(0, "1 0 value", 22)
	l.arrive(0, "7 0 value", 50)
	r := &result{failures: map[string]int{}}
	l.evaluate(r, 5, 5+time.Second)
	// Lags of 3, 5, 40 and 2.
	if r.err != nil || r.p50 != 3 || r.p99 != 40 || r.errors() != 3 || len(r.failures) != 3 || r.rate != 7-1 {
		t.Errorf("%+v", r)
	}
}

func TestEachPrefixHasItsShareOfTheWatchers(t *testing.T) {
	l := &watchLoad{watchers: 7, prefixes: 3}
	if a, b, c := l.watchersOf(0), l.watchersOf(1), l.watchersOf(2); a != 3 || b != 2 || c != 2 {
		t.Error(a, b, c)
	}
}

func TestUnknownNamesAreRefused(t *testing.T) {
	for _, args := range [][]string{{"--peers=etdc"}, {"--loads=put"}, {"--clients=0"}, {"--kine-clients=1,x"}, {"--kine-synchronous=OFF"}, {"puts"}} {
		if _, err := parseOptions(args); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
	o, err := parseOptions([]string{"--quick", "--rounds=2"})
	if err != nil || o.rounds != 2 || o.window != 2*time.Second {
		t.Errorf("%+v, %v", o, err)
	}
}
