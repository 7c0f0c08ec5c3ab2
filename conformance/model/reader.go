package model

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// reader gets and lists.
type reader struct {
	id   int
	load *Load
}

// read is an answer: the state of a key, or of the keys with a prefix, as of a revision.
type read struct {
	what, key string
	prefix    bool
	revision  int64
	found     map[string]int64 // modification revisions
}

func (r *reader) one(ctx context.Context, client *clientv3.Client) (string, error) {
	l := r.load
	lowest := l.lowest()
	what, key, options := "a get", fmt.Sprintf("%sown/%d/%d", l.prefix, rand.IntN(writers), rand.IntN(ownKeys)), []clientv3.OpOption(nil)
	prefix := true
	switch rand.IntN(6) {
	case 0, 1:
		prefix = false
	case 2:
		what, key = "a list", l.prefix+"own/"
	case 3:
		what, key = "a list", l.prefix+"shared/"
	default:
		what, key = "a list of a group", l.group(rand.IntN(groups))
	}
	if prefix {
		options = append(options, clientv3.WithPrefix())
	}
	response, err := client.Get(ctx, key, options...)
	if err == nil {
		l.remember(what, lowest, key, prefix, response.Header.Revision, response.Kvs, response.Count)
		// All readers together, so that the check takes seconds and not minutes.
		time.Sleep(2 * pause)
	}
	return fmt.Sprintf("reader %d", r.id), err
}

// remember keeps an answer, to be compared with the history, and looks at it by itself.
func (l *Load) remember(what string, lowest int64, key string, prefix bool, revision int64, kvs []*mvccpb.KeyValue, count int64) {
	l.answered(revision, lowest, what+" of "+key)
	found := map[string]int64{}
	for _, kv := range kvs {
		if _, twice := found[string(kv.Key)]; twice {
			l.violation("%s of %s as of revision %d has %s twice", what, key, revision, kv.Key)
		}
		found[string(kv.Key)] = kv.ModRevision
		if kv.ModRevision > revision {
			l.violation("%s as of revision %d has %s of revision %d", what, revision, kv.Key, kv.ModRevision)
		}
	}
	if count != int64(len(kvs)) {
		l.violation("%s of %s has %d keys and says %d", what, key, len(kvs), count)
	}
	if prefix && within(key, l.prefix+"together/") {
		for _, kv := range kvs {
			if string(kv.Value) != string(kvs[0].Value) || len(kvs) != groupKeys {
				l.violation("%s as of revision %d mixes revisions: %v", what, revision, found)
				break
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads = append(l.reads, read{what, key, prefix, revision, found})
}
