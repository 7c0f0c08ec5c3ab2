package model

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	clientv3 "go.etcd.io/etcd/client/v3"
)

var errCompare = errors.New("the transaction's comparison did not hold")

// writer does what API servers do, and some more.
type writer struct {
	id   int
	load *Load
}

func (w *writer) one(ctx context.Context, client *clientv3.Client) (string, error) {
	return fmt.Sprintf("writer %d", w.id), w.write(ctx, client)
}

// write makes one write; its outcome is recorded.
func (w *writer) write(ctx context.Context, client *clientv3.Client) error {
	l := w.load
	key := fmt.Sprintf("%sown/%d/%d", l.prefix, w.id, rand.IntN(ownKeys))
	if rand.IntN(3) == 0 {
		key = fmt.Sprintf("%sshared/%d", l.prefix, rand.IntN(sharedKeys))
	}
	other := fmt.Sprintf("%sown/%d/%d", l.prefix, (w.id+1)%writers, rand.IntN(ownKeys))
	value := l.value(rand.IntN(2000))
	switch kind := rand.IntN(12); kind {
	case 0:
		return w.commit(ctx, client, nil, clientv3.OpPut(key, value))
	case 1, 2: // without a transaction
		response, err := client.Put(ctx, key, value)
		if err != nil {
			l.failed(attempt{key: value}, err)
			return err
		}
		l.ack(response.Header.Revision, attempt{key: value})
		return nil
	case 3:
		response, err := client.Delete(ctx, key)
		if err != nil {
			l.failed(attempt{key: ""}, err)
			return err
		}
		if response.Deleted > 0 {
			l.ack(response.Header.Revision, attempt{key: ""})
		}
		return nil
	case 4: // several keys at once
		return w.commit(ctx, client, nil, clientv3.OpPut(key, value), clientv3.OpDelete(other),
			clientv3.OpPut(other+"/more", l.value(rand.IntN(2000))))
	case 5, 6:
		return w.together(ctx, client)
	default: // as the API server: create, or update or delete what has not changed since it was read
		lowest := l.lowest()
		now, err := client.Get(ctx, key)
		if err != nil {
			return err // nothing was written
		}
		l.remember("a get", lowest, key, false, now.Header.Revision, now.Kvs, now.Count)
		revision := int64(0)
		if len(now.Kvs) > 0 {
			revision = now.Kvs[0].ModRevision
		}
		then := clientv3.OpPut(key, value)
		if revision != 0 && kind == 7 {
			then = clientv3.OpDelete(key)
		}
		unchanged := clientv3.Compare(clientv3.ModRevision(key), "=", revision)
		return w.commit(ctx, client, []clientv3.Cmp{unchanged}, then)
	}
}

// together puts all keys of a group, with one value.
func (w *writer) together(ctx context.Context, client *clientv3.Client) error {
	group, value := rand.IntN(groups), w.load.value(100)
	var ops []clientv3.Op
	for i := range groupKeys {
		ops = append(ops, clientv3.OpPut(fmt.Sprintf("%s%d", w.load.group(group), i), value))
	}
	return w.commit(ctx, client, nil, ops...)
}

func (l *Load) group(i int) string { return fmt.Sprintf("%stogether/%d/", l.prefix, i) }

func (w *writer) commit(ctx context.Context, client *clientv3.Client, compares []clientv3.Cmp, ops ...clientv3.Op) error {
	l := w.load
	writes := attempt{}
	for _, op := range ops {
		writes[string(op.KeyBytes())] = string(op.ValueBytes())
	}
	key := string(ops[0].KeyBytes())
	lowest := l.lowest()
	response, err := client.Txn(ctx).If(compares...).Then(ops...).Else(clientv3.OpGet(key)).Commit()
	switch {
	case err != nil:
		l.failed(writes, err)
		return err
	case !response.Succeeded:
		got := response.Responses[0].GetResponseRange()
		l.remember("a transaction that read", lowest, key, false, response.Header.Revision, got.Kvs, got.Count)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.refuse(writes, errCompare)
		return nil
	}
	for i, op := range ops {
		if op.IsDelete() && response.Responses[i].GetResponseDeleteRange().Deleted == 0 {
			delete(writes, string(op.KeyBytes()))
		}
	}
	l.ack(response.Header.Revision, writes)
	return nil
}
