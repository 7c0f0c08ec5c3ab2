package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	writersBeside = 32
	// quietFor is how long the clients write before anything is collected.
	quietFor = 10 * time.Second
	// lookEvery is how often it is counted what is left.
	lookEvery = 250 * time.Millisecond
)

// fan is how the dependents of one owner went, beside clients that write.
type fan struct {
	System string
	// By is the store, or the controller manager.
	By         string
	Dependents int
	Seconds    float64
	// Quiet and Beside are the puts of the other clients, before and meanwhile.
	Quiet, Beside puts
	Points        []fanPoint
}

// fanPoint is what is left after so many seconds, and the latency of the other clients' puts since the last point.
type fanPoint struct {
	Seconds float64
	Left    int64
	P99     float64
}

// puts are those of some clients, in milliseconds, and how many there were in a second.
type puts struct {
	P50, P99, Rate float64
}

func (f fan) String() string {
	return fmt.Sprintf("%d dependents, collected by %s: gone after %.1f s, %.0f a second; puts of %d clients: before p50 %.1f ms, p99 %.1f ms, "+
		"%.0f a second; during p50 %.1f ms, p99 %.1f ms, %.0f a second", f.Dependents, f.By, f.Seconds, float64(f.Dependents)/f.Seconds, writersBeside,
		f.Quiet.P50, f.Quiet.P99, f.Quiet.Rate, f.Beside.P50, f.Beside.P99, f.Beside.Rate)
}

// garbage measures how the dependents of one owner go, beside clients that write: those that the store collects, which
// have the label, and some that the controller manager does, which do not.
func garbage(ctx context.Context, o options) error {
	_, err := each(ctx, o, "garbage.json", func(ctx context.Context, o options, name string) ([]fan, error) {
		var fans []fan
		_, err := million(ctx, o, name, func(c *cluster, store *clientv3.Client) (lines []string, err error) {
			for _, count := range append([]int{few}, o.counts...) { // the first of them warms up
				f, err := c.fan(ctx, store, name, count, true)
				if err != nil {
					return lines, err
				}
				if count > few {
					fans = append(fans, f)
				}
				lines = append(lines, f.String())
			}
			f, err := c.fan(ctx, store, name, few, false)
			if err == nil {
				fans = append(fans, f)
				lines = append(lines, f.String())
			}
			return lines, err
		})
		return fans, err
	})
	return err
}

// fan has an owner with so many dependents go.
func (c *cluster) fan(ctx context.Context, store *clientv3.Client, system string, count int, labelled bool) (fan, error) {
	const ownerUID = "00000000-0000-4000-8000-ffffffffffff"
	f := fan{System: system, By: "the controller manager", Dependents: count}
	labels := ""
	if labelled {
		f.By, labels = "the store", `"labels":{"skip-controller-manager-metadata-caching":""},`
	}
	object := func(name, uid, rest string) (string, []byte) {
		return "/registry/bench.test/widgets/default/" + name, fmt.Appendf(nil, `{"apiVersion":"bench.test/v1","kind":"Widget","metadata":{"name":"%s",`+
			`"namespace":"default",%s%s"uid":"%s","generation":1,"creationTimestamp":"2026-01-01T00:00:00Z"},"spec":{"color":"red"}}`, name, labels, rest, uid)
	}
	key, owner := object("owner", ownerUID, "")
	if _, err := store.Put(ctx, key, string(owner)); err != nil {
		return f, err
	}
	if err := c.fill(ctx, store, count, func(i int) (string, []byte) {
		return object(fmt.Sprintf("d%d", i), fmt.Sprintf("00000000-0000-4000-8000-%012x", i),
			`"ownerReferences":[{"apiVersion":"bench.test/v1","kind":"Widget","name":"owner","uid":"`+ownerUID+`"}],`)
	}); err != nil {
		return f, err
	}
	if !labelled {
		pause(ctx, 45*time.Second) // the controller manager looks for new kinds every 30 s
	}
	// Each new dependent is looked at: fewer are left with each minute.
	for last := math.Inf(1); last > 0; {
		if err := until(ctx, func() error {
			left, err := c.StoreMetric(ctx, "harikube_gc_ready")
			if err == nil && left >= last {
				err = fmt.Errorf("%.0f objects are to be looked at, and none was for a minute", left)
			}
			if err == nil {
				last = left
			}
			return err
		}); err != nil {
			return f, err
		}
	}
	quiet := writeBeside(ctx, store)
	pause(ctx, quietFor)
	var err error
	if f.Quiet, err = quiet.end(); err != nil {
		return f, err
	}
	beside := writeBeside(ctx, store)
	began := time.Now()
	if _, err := c.do(ctx, http.MethodDelete, widgets+"/owner", nil); err != nil {
		return f, err
	}
	for left := int64(1); left > 0; {
		pause(ctx, lookEvery)
		answer, err := store.Get(ctx, "/registry/bench.test/widgets/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			return f, err
		}
		left = answer.Count
		f.Seconds = time.Since(began).Seconds()
		f.Points = append(f.Points, fanPoint{f.Seconds, left, beside.lately()})
	}
	f.Beside, err = beside.end()
	return f, err
}

// writing is clients that put keys of their own until they are told to stop.
type writing struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	began  time.Time

	lock   sync.Mutex
	took   []time.Duration
	seen   int // by lately
	failed error
}

func writeBeside(ctx context.Context, store *clientv3.Client) *writing {
	ctx, cancel := context.WithCancel(ctx)
	w := &writing{cancel: cancel, began: time.Now()}
	value := strings.Repeat("x", 1000)
	for client := range writersBeside {
		w.done.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				began := time.Now()
				_, err := store.Put(ctx, fmt.Sprintf("/beside/%d/%d", client, i%100), value)
				w.lock.Lock()
				if err == nil {
					w.took = append(w.took, time.Since(began))
				} else if ctx.Err() == nil {
					w.failed = err
				}
				w.lock.Unlock()
			}
		})
	}
	return w
}

// lately is the p99 since the last call, in milliseconds.
func (w *writing) lately() float64 {
	w.lock.Lock()
	took := slices.Clone(w.took[w.seen:])
	w.seen = len(w.took)
	w.lock.Unlock()
	if len(took) == 0 {
		return 0
	}
	return ms(quantile(took, 0.99))
}

func (w *writing) end() (puts, error) {
	w.cancel()
	w.done.Wait()
	if len(w.took) == 0 {
		return puts{}, fmt.Errorf("nothing was written: %w", w.failed)
	}
	return puts{ms(quantile(w.took, 0.5)), ms(quantile(w.took, 0.99)), float64(len(w.took)) / time.Since(w.began).Seconds()}, w.failed
}
