package hostile

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	every = 20 * time.Millisecond
	// bulkEvery is how often the good client puts 1 MB, if it does.
	bulkEvery = time.Second
	// callWithin is when a call has failed.
	callWithin = 5 * time.Second
	goodPrefix = "/good/"
)

// good is a client that behaves: it puts, gets and watches every 20 ms, whether or not the calls before are
// answered, and asks for the health now and then. It keeps one connection all the time.
type good struct {
	client *clientv3.Client
	http   *http.Client
	health string // a URL

	mu     sync.Mutex
	serial int
	began  map[int]begun // the puts whose events have not come
}

// begun is when a put began, and in which phase.
type begun struct {
	at    time.Time
	phase *phase
}

// phase is what becomes of the calls that begin in some time.
type phase struct {
	good  *good
	calls sync.WaitGroup
	stop  context.CancelFunc

	mu       sync.Mutex
	took     map[string][]time.Duration // by kind of call
	failures map[string]int
}

// newGood returns one whose watch has begun.
func newGood(ctx context.Context, client *clientv3.Client, http *http.Client, health string) (*good, error) {
	g := &good{client: client, http: http, health: health, began: map[int]begun{}}
	events := client.Watch(ctx, goodPrefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	select {
	case first := <-events:
		if err := first.Err(); err != nil {
			return nil, err
		}
	case <-time.After(callWithin):
		return nil, fmt.Errorf("the watch was not created in %s", callWithin)
	}
	go g.follow(ctx, events)
	return g, nil
}

// follow measures how long each put takes to come back as an event.
func (g *good) follow(ctx context.Context, events clientv3.WatchChan) {
	for response := range events {
		if err := response.Err(); err != nil && ctx.Err() == nil {
			g.lost(err)
			return
		}
		now := time.Now()
		for _, event := range response.Events {
			serial, _ := strconv.Atoi(string(event.Kv.Value))
			g.mu.Lock()
			put, known := g.began[serial]
			delete(g.began, serial)
			g.mu.Unlock()
			if known {
				put.phase.ended("watch", now.Sub(put.at), nil)
				put.phase.calls.Done()
			}
		}
	}
}

// lost has all events fail that have not come.
func (g *good) lost(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, put := range g.began {
		put.phase.ended("watch", 0, err)
		put.phase.calls.Done()
	}
	clear(g.began)
}

// phase begins one.
func (g *good) phase(ctx context.Context, puts, bulk bool) *phase {
	p := &phase{good: g, took: map[string][]time.Duration{}, failures: map[string]int{}}
	calling, stop := context.WithCancel(ctx)
	p.stop = stop
	p.calls.Add(1)
	go func() {
		defer p.calls.Done()
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for n := 0; calling.Err() == nil; n++ {
			p.call(ctx, "get", p.get)
			if puts {
				p.call(ctx, "put", p.put)
			}
			if n%25 == 0 {
				p.call(ctx, "health", p.livez)
			}
			if bulk && n%int(bulkEvery/every) == 0 {
				p.call(ctx, "bulk", p.bulk)
			}
			select {
			case <-calling.Done():
			case <-ticker.C:
			}
		}
	}()
	return p
}

// end waits for the calls of the phase.
func (p *phase) end() {
	p.stop()
	p.calls.Wait()
}

// call makes a call in the background.
func (p *phase) call(ctx context.Context, kind string, call func(ctx context.Context) error) {
	p.calls.Add(1)
	go func() {
		defer p.calls.Done()
		ctx, cancel := context.WithTimeout(ctx, callWithin)
		defer cancel()
		began := time.Now()
		err := call(ctx)
		p.ended(kind, time.Since(began), err)
	}()
}

func (p *phase) ended(kind string, took time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.failures[kind+": "+err.Error()]++
		return
	}
	p.took[kind] = append(p.took[kind], took)
}

func (p *phase) get(ctx context.Context) error {
	_, err := p.good.client.Get(ctx, goodPrefix+"7")
	return err
}

// put puts a number, whose event has to come as well.
func (p *phase) put(ctx context.Context) error {
	g := p.good
	g.mu.Lock()
	g.serial++
	serial := g.serial
	g.began[serial] = begun{time.Now(), p}
	p.calls.Add(1)
	g.mu.Unlock()
	_, err := g.client.Put(ctx, goodPrefix+strconv.Itoa(serial%50), strconv.Itoa(serial))
	time.AfterFunc(callWithin, func() {
		g.mu.Lock()
		_, missing := g.began[serial]
		delete(g.began, serial)
		g.mu.Unlock()
		if missing {
			if err == nil {
				p.ended("watch", 0, fmt.Errorf("no event within %s", callWithin))
			}
			p.calls.Done()
		}
	})
	return err
}

func (p *phase) bulk(ctx context.Context) error {
	_, err := p.good.client.Put(ctx, "/bulk", strings.Repeat("b", bigValue))
	return err
}

func (p *phase) livez(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.good.health, nil)
	if err != nil {
		return err
	}
	response, err := p.good.http.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("/livez says %s", response.Status)
	}
	return nil
}

// percentile of the calls of a kind, and how many there were.
func (p *phase) percentile(kind string, share float64) (time.Duration, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := slices.Sorted(slices.Values(p.took[kind]))
	if len(took) == 0 {
		return 0, 0
	}
	return took[min(len(took)-1, int(share*float64(len(took))))], len(took)
}

// measured are the kinds of calls whose time counts.
var measured = []string{"get", "put", "watch"}

// check has the test fail if the client noticed something.
func (p *phase) check(t *testing.T) {
	t.Helper()
	for _, kind := range measured {
		slow := 0
		for _, took := range p.took[kind] {
			if took > goodWithin {
				slow++
			}
		}
		if all := len(p.took[kind]); slow > max(fewSlow, all/100) {
			t.Errorf("%d of %d calls take longer than %v: %s", slow, all, goodWithin, kind)
		}
	}
	for what, count := range p.failures {
		t.Errorf("%d times %s", count, what)
	}
}

// calm says what is not as at peace.
func (p *phase) calm() error {
	var wrong []error
	for _, kind := range measured {
		if took, count := p.percentile(kind, 0.9); took > calmWithin || count == 0 {
			wrong = append(wrong, fmt.Errorf("1 of 10 calls takes longer than %v: %s", took, kind))
		}
	}
	for what, count := range p.failures {
		wrong = append(wrong, fmt.Errorf("%d times %s", count, what))
	}
	return errors.Join(wrong...)
}

func (p *phase) String() string {
	var all []string
	for _, kind := range []string{"get", "put", "watch", "bulk", "health"} {
		if p99, count := p.percentile(kind, 0.99); count > 0 {
			p50, _ := p.percentile(kind, 0.5)
			all = append(all, fmt.Sprintf("%d %s (%.1f, %.1f ms)", count, kind,
				float64(p50)/1e6, float64(p99)/1e6))
		}
	}
	return strings.Join(all, ", ")
}
