package model

import (
	"context"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// keptSeconds is longer than any fault, so that a lease that is kept alive otherwise does not end.
	keptSeconds  = 90
	shortSeconds = 3
	// EndWithin is how long after its time a lease may end, if the server is well.
	endWithin = 10 * time.Second
)

// keeper has a key on a lease that it keeps alive.
type keeper struct {
	id    int
	load  *Load
	lease clientv3.LeaseID
}

func (k *keeper) one(ctx context.Context, client *clientv3.Client) (string, error) {
	l, what := k.load, fmt.Sprintf("keeper %d", k.id)
	if k.lease == 0 {
		return what, k.grant(ctx, client)
	}
	answer, err := client.KeepAliveOnce(ctx, k.lease)
	switch {
	case err != nil && !unknown(err):
		l.violation("a lease that is kept alive: %v", err)
		return what, err
	case err != nil:
		return what, err
	case answer.TTL != keptSeconds:
		l.violation("a lease of %d s that is kept alive has %d s", keptSeconds, answer.TTL)
	}
	time.Sleep(200 * time.Millisecond)
	return what, nil
}

func (k *keeper) grant(ctx context.Context, client *clientv3.Client) error {
	l := k.load
	granted, err := client.Grant(ctx, keptSeconds)
	if err != nil {
		return err
	}
	key, value := fmt.Sprintf("%slease/kept/%d", l.prefix, k.id), l.value(10)
	response, err := client.Put(ctx, key, value, clientv3.WithLease(granted.ID))
	if err != nil {
		l.failed(attempt{key: value}, err)
		return err
	}
	l.ack(response.Header.Revision, attempt{key: value})
	k.lease = granted.ID
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept[key] = granted.ID
	return nil
}

// granter has keys on leases that nobody keeps alive.
type granter struct {
	load   *Load
	serial int
}

func (g *granter) one(ctx context.Context, client *clientv3.Client) (string, error) {
	l := g.load
	asked := time.Now()
	granted, err := client.Grant(ctx, shortSeconds)
	if err != nil {
		return "granter", err
	}
	g.serial++
	key, value := fmt.Sprintf("%s%d", l.shortLeases(), g.serial), l.value(10)
	l.mu.Lock()
	l.short[key] = asked.Add(shortSeconds * time.Second)
	l.mu.Unlock()
	response, err := client.Put(ctx, key, value, clientv3.WithLease(granted.ID))
	if err != nil {
		l.failed(attempt{key: value}, err)
		return "granter", err
	}
	l.ack(response.Header.Revision, attempt{key: value})
	time.Sleep(100 * time.Millisecond)
	return "granter", nil
}

func (l *Load) shortLeases() string { return l.prefix + "lease/short/" }

// awaitShortLeases waits until the keys of all leases that nobody keeps alive are gone.
func (l *Load) awaitShortLeases(ctx context.Context) {
	l.t.Helper()
	deadline := time.Now().Add(shortSeconds*time.Second + endWithin)
	for {
		left, err := l.list(ctx, l.shortLeases(), clientv3.WithPrefix())
		if err != nil {
			l.t.Fatal(err)
		}
		if len(left.live) == 0 {
			return
		}
		if time.Now().After(deadline) {
			l.t.Errorf("the keys of %d leases of %d s are still there, %s after the last one was granted",
				len(left.live), shortSeconds, shortSeconds*time.Second+endWithin)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}
