package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// attempt is a write: for each key the value that it gets, or "" for a deletion. Values are unique.
type attempt map[string]string

// ack is a write that the server has acknowledged. Deletions of what was not there are not in it.
type ack struct {
	revision int64
	writes   attempt
}

// writer does what API servers do, and some more.
type writer struct {
	id     int
	load   *load
	client *clientv3.Client
}

const (
	ownKeys    = 12
	sharedKeys = 6
)

// one makes one write; its outcome is recorded, and an error is one of unknown outcome.
func (w *writer) one(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptWithin)
	defer cancel()
	key := fmt.Sprintf("%sown/%d/%d", prefix, w.id, rand.IntN(ownKeys))
	if rand.IntN(3) == 0 {
		key = fmt.Sprintf("%sshared/%d", prefix, rand.IntN(sharedKeys))
	}
	other := fmt.Sprintf("%sown/%d/%d", prefix, (w.id+1)%writers, rand.IntN(ownKeys))
	value := w.value()
	switch kind := rand.IntN(10); kind {
	case 0, 1:
		return w.commit(ctx, nil, clientv3.OpPut(key, value))
	case 2: // without a transaction
		response, err := w.client.Put(ctx, key, value)
		if err != nil {
			return w.unknown(attempt{key: value}, err)
		}
		w.load.ack(response.Header.Revision, attempt{key: value})
		return nil
	case 3:
		response, err := w.client.Delete(ctx, key)
		if err != nil {
			return w.unknown(attempt{key: ""}, err)
		}
		if response.Deleted > 0 {
			w.load.ack(response.Header.Revision, attempt{key: ""})
		}
		return nil
	case 4: // several keys at once
		return w.commit(ctx, nil, clientv3.OpPut(key, value), clientv3.OpDelete(other),
			clientv3.OpPut(other+"/more", w.value()))
	default: // as the API server: create, or update or delete what has not changed since it was read
		now, err := w.client.Get(ctx, key)
		if err != nil {
			return err // nothing was written
		}
		revision := int64(0)
		if len(now.Kvs) > 0 {
			revision = now.Kvs[0].ModRevision
		}
		then := clientv3.OpPut(key, value)
		if revision != 0 && kind == 5 {
			then = clientv3.OpDelete(key)
		}
		unchanged := clientv3.Compare(clientv3.ModRevision(key), "=", revision)
		return w.commit(ctx, []clientv3.Cmp{unchanged}, then)
	}
}

func (w *writer) commit(ctx context.Context, compares []clientv3.Cmp, ops ...clientv3.Op) error {
	writes := attempt{}
	for _, op := range ops {
		writes[string(op.KeyBytes())] = string(op.ValueBytes())
	}
	response, err := w.client.Txn(ctx).If(compares...).Then(ops...).Else(clientv3.OpGet(string(ops[0].KeyBytes()))).Commit()
	switch {
	case err != nil:
		return w.unknown(writes, err)
	case !response.Succeeded:
		w.load.refused(writes)
		return nil
	}
	for i, op := range ops {
		if op.IsDelete() && response.Responses[i].GetResponseDeleteRange().Deleted == 0 {
			delete(writes, string(op.KeyBytes()))
		}
	}
	w.load.ack(response.Header.Revision, writes)
	return nil
}

// value returns one that was never written; it is long enough to fill pages of the database.
func (w *writer) value() string {
	w.load.mu.Lock()
	defer w.load.mu.Unlock()
	w.load.serial++
	return fmt.Sprintf("%d by %d %s", w.load.serial, w.id, strings.Repeat("x", rand.IntN(2000)))
}

func (w *writer) unknown(writes attempt, err error) error {
	w.load.mu.Lock()
	defer w.load.mu.Unlock()
	w.load.maybe = append(w.load.maybe, writes)
	return err
}

func (l *load) ack(revision int64, writes attempt) {
	if len(writes) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acks = append(l.acks, ack{revision, writes})
	l.change.Broadcast()
}

func (l *load) refused(writes attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.never = append(l.never, writes)
}
