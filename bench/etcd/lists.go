package main

import (
	"context"
	"fmt"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	listPrefix   = "/registry/lists/"
	listPerTxn   = 50
	listSeeders  = 8
	listChanged  = 10 // one in so many keys is changed after the revision of the old list
	listBefore   = "/listed-at"
	listsWithout = "kine" // which would have to be filled key by key
)

// seedLists fills a folder once for all loads of lists, and returns a revision at which it was as full
// and a tenth of its values were others.
func seedLists(ctx context.Context, s *session, count int) (before int64, err error) {
	mark, err := s.of(0).Get(ctx, listBefore)
	if err != nil {
		return 0, err
	}
	if len(mark.Kvs) == 1 {
		return mark.Kvs[0].ModRevision - 1, nil
	}
	if err := s.putAll(ctx, count, 1); err != nil {
		return 0, err
	}
	marked, err := s.of(0).Put(ctx, listBefore, "")
	if err != nil {
		return 0, err
	}
	return marked.Header.Revision - 1, s.putAll(ctx, count, listChanged)
}

// putAll puts one in every so many of the keys of the lists.
func (s *session) putAll(ctx context.Context, count, every int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	chunks := make(chan []clientv3.Op)
	var seeders sync.WaitGroup
	for seeder := range listSeeders {
		seeders.Go(func() {
			for ops := range chunks {
				if ctx.Err() != nil {
					continue
				}
				if _, err := s.of(seeder).Txn(ctx).Then(ops...).Commit(); err != nil {
					cancel(fmt.Errorf("writing the keys to list: %s", message(err)))
				}
			}
		})
	}
	var ops []clientv3.Op
	for i := 0; i < count; i += every {
		ops = append(ops, clientv3.OpPut(fmt.Sprintf("%s%08d", listPrefix, i), s.value()))
		if len(ops) == listPerTxn || i+every >= count {
			chunks <- ops
			ops = nil
		}
	}
	close(chunks)
	seeders.Wait()
	return context.Cause(ctx)
}

// listed makes a load of one kind of list. A list is answered by how many keys it found.
func listed(list func(ctx context.Context, client *clientv3.Client, before int64) (int64, error)) func(context.Context, *session, *options) ([]operation, error) {
	return func(ctx context.Context, s *session, o *options) ([]operation, error) {
		before, err := seedLists(ctx, s, o.listKeys)
		if err != nil {
			return nil, err
		}
		return s.eachClient(func(_ int, client *clientv3.Client) operation {
			return func(ctx context.Context) error {
				found, err := list(ctx, client, before)
				if err == nil && found != int64(o.listKeys) {
					err = fmt.Errorf("a list found %d keys instead of %d", found, o.listKeys)
				}
				return err
			}
		}), nil
	}
}

func listWhole(ctx context.Context, client *clientv3.Client, _ int64) (int64, error) {
	response, err := client.Get(ctx, listPrefix, clientv3.WithPrefix())
	if err != nil {
		return 0, err
	}
	return int64(len(response.Kvs)), nil
}

func listCount(ctx context.Context, client *clientv3.Client, _ int64) (int64, error) {
	response, err := client.Get(ctx, listPrefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, err
	}
	return response.Count, nil
}

func listPages(ctx context.Context, client *clientv3.Client, _ int64) (int64, error) {
	return walk(ctx, client, 0)
}

func listOld(ctx context.Context, client *clientv3.Client, before int64) (int64, error) {
	return walk(ctx, client, before)
}

// walk lists in pages as kube-apiserver does: all at the revision of the first.
func walk(ctx context.Context, client *clientv3.Client, revision int64) (found int64, err error) {
	from, end := listPrefix, clientv3.GetPrefixRangeEnd(listPrefix)
	for {
		page, err := client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(rangeLimit), clientv3.WithRev(revision))
		if err != nil {
			return 0, err
		}
		found += int64(len(page.Kvs))
		if !page.More {
			return found, nil
		}
		if rest := page.Count - int64(len(page.Kvs)); rest < 1 {
			return 0, fmt.Errorf("a page of %d keys that is not the last one counts %d", len(page.Kvs), page.Count)
		}
		from = string(page.Kvs[len(page.Kvs)-1].Key) + "\x00"
		if revision == 0 {
			revision = page.Header.Revision
		}
	}
}
