package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	putKeys    = 10_000 // that plain puts choose among
	getKeys    = 1_000
	updateKeys = 20 // of each client
	rangeKeys  = 1_000
	rangeLimit = 500 // what kube-apiserver lists at a time
	seeders    = 16
	// minValueSize is room for the number that the load watch puts in front.
	minValueSize = 32
)

// load is a kind of request, measured with several numbers of clients.
type load struct {
	name    string
	title   string
	clients []int
	// prepare writes what the load needs and returns one operation per client.
	prepare func(ctx context.Context, s *session, o *options) ([]operation, error)
	// measure replaces prepare where calling operations is not all there is to it.
	measure func(ctx context.Context, s *session, o *options) *result
	without string // the program that is not asked
}

var manyClients = []int{1, 16, 64, 256}

var loads = []load{
	{name: "puts", title: "put", clients: manyClients, prepare: preparePuts},
	{name: "creates", title: "create (transaction)", clients: manyClients, prepare: prepareCreates},
	{name: "updates", title: "update (transaction)", clients: manyClients, prepare: prepareUpdates},
	{name: "gets", title: "get of one key", clients: manyClients, prepare: prepareGets},
	{name: "ranges", title: fmt.Sprintf("range of %d keys", rangeLimit), clients: manyClients, prepare: prepareRanges},
	{name: "pages", title: fmt.Sprintf("list in pages of %d", rangeLimit), clients: []int{1}, prepare: listed(listPages), without: listsWithout},
	{name: "whole", title: "list in one answer", clients: []int{1}, prepare: listed(listWhole), without: listsWithout},
	{name: "old", title: "list in pages at an old revision", clients: []int{1}, prepare: listed(listOld), without: listsWithout},
	{name: "count", title: "count of all keys of a list", clients: []int{1}, prepare: listed(listCount), without: listsWithout},
	{name: "watch-flood", title: "watch: events at full rate, and lag", measure: measureWatchFlood},
	{name: "watch", title: "watch: events at a given rate, and lag from write to event", measure: measureWatch},
}

func loadNames() (names []string) {
	for _, l := range loads {
		names = append(names, l.name)
	}
	return names
}

// session is the client's side of one measurement. Its keys are its own.
type session struct {
	connections []*clientv3.Client
	clients     int
	prefix      string // ends with a slash, as kine wants of what is listed
	values      []string
}

func newSession(address string, clients, watchers int, prefix string, o *options) (*session, error) {
	s := &session{clients: clients, prefix: prefix, values: randomValues(o.valueSize)}
	users := max(clients, watchers)
	for range (users + o.perConnection - 1) / o.perConnection {
		connection, err := connect(address)
		if err != nil {
			s.close()
			return nil, err
		}
		s.connections = append(s.connections, connection)
	}
	return s, nil
}

func (s *session) close() {
	for _, connection := range s.connections {
		_ = connection.Close()
	}
}

// of returns the connection of a client, or of a watcher.
func (s *session) of(client int) *clientv3.Client {
	return s.connections[client%len(s.connections)]
}

// randomValues are the same in every run, and no database can compress them.
func randomValues(size int) []string {
	random := rand.New(rand.NewPCG(1, 2))
	values := make([]string, 64)
	for i := range values {
		value := make([]byte, size)
		for j := range value {
			value[j] = byte(random.Uint32())
		}
		values[i] = string(value)
	}
	return values
}

func (s *session) value() string {
	return s.values[rand.IntN(len(s.values))]
}

// eachClient makes the operations.
func (s *session) eachClient(make func(client int, connection *clientv3.Client) operation) []operation {
	operations := []operation{}
	for client := range s.clients {
		operations = append(operations, make(client, s.of(client)))
	}
	return operations
}

var (
	errExists   = errors.New("a create found its new key taken")
	errConflict = errors.New("an update found another revision than the last one it was told, though only it writes the key")
)

// create is how kube-apiserver creates an object.
func create(ctx context.Context, client *clientv3.Client, key, value string) (revision int64, err error) {
	response, err := client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, value)).
		Commit()
	switch {
	case err != nil:
		return 0, err
	case !response.Succeeded:
		return 0, errExists
	}
	return response.Header.Revision, nil
}

// update is how kube-apiserver updates an object. It returns the revision to expect next, also when
// another one was found.
func update(ctx context.Context, client *clientv3.Client, key, value string, expected int64) (int64, error) {
	response, err := client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", expected)).
		Then(clientv3.OpPut(key, value)).
		Else(clientv3.OpGet(key)).
		Commit()
	if err != nil {
		return expected, err
	}
	if response.Succeeded {
		return response.Header.Revision, nil
	}
	for _, kv := range response.Responses[0].GetResponseRange().GetKvs() {
		expected = kv.ModRevision
	}
	return expected, errConflict
}

// seed writes keys with creates: kine on PostgreSQL does not survive puts.
func (s *session) seed(ctx context.Context, count int, key func(i int) string) error {
	next := make(chan int)
	failed := make(chan error, seeders)
	for seeder := range seeders {
		go func() {
			var err error
			for i := range next {
				if err == nil {
					err = s.seedKey(ctx, s.of(seeder), key(i))
				}
			}
			failed <- err
		}()
	}
	for i := range count {
		next <- i
	}
	close(next)
	var all []error
	for range seeders {
		all = append(all, <-failed)
	}
	if err := errors.Join(all...); err != nil {
		return fmt.Errorf("writing the keys to read: %s", message(err))
	}
	return nil
}

// seedKey tries more than once: what is measured is not this.
func (s *session) seedKey(ctx context.Context, client *clientv3.Client, key string) (err error) {
	for range 5 {
		attempt, cancel := context.WithTimeout(ctx, operationWithin)
		_, err = create(attempt, client, key, s.value())
		cancel()
		if err == nil || errors.Is(err, errExists) {
			return nil
		}
		time.Sleep(afterError)
	}
	return err
}

func preparePuts(_ context.Context, s *session, _ *options) ([]operation, error) {
	return s.eachClient(func(_ int, client *clientv3.Client) operation {
		return func(ctx context.Context) error {
			_, err := client.Put(ctx, fmt.Sprintf("%s%06d", s.prefix, rand.IntN(putKeys)), s.value())
			return err
		}
	}), nil
}

func prepareCreates(_ context.Context, s *session, _ *options) ([]operation, error) {
	return s.eachClient(func(number int, client *clientv3.Client) operation {
		made := 0
		return func(ctx context.Context) error {
			made++ // also after an error: the key may be there
			_, err := create(ctx, client, fmt.Sprintf("%s%04d-%08d", s.prefix, number, made), s.value())
			return err
		}
	}), nil
}

func prepareUpdates(ctx context.Context, s *session, _ *options) ([]operation, error) {
	key := func(i int) string { return fmt.Sprintf("%s%06d", s.prefix, i) }
	if err := s.seed(ctx, s.clients*updateKeys, key); err != nil {
		return nil, err
	}
	// Read, not what seed was told: an answer of kine's may carry another write's revision.
	revisions := make([]int64, s.clients*updateKeys)
	for i := range revisions {
		response, err := s.of(i).Get(ctx, key(i))
		if err != nil {
			return nil, err
		}
		if len(response.Kvs) != 1 {
			return nil, fmt.Errorf("%s is missing right after its creation", key(i))
		}
		revisions[i] = response.Kvs[0].ModRevision
	}
	return s.eachClient(func(number int, client *clientv3.Client) operation {
		turn := 0
		return func(ctx context.Context) (err error) {
			i := number*updateKeys + turn%updateKeys
			turn++
			revisions[i], err = update(ctx, client, key(i), s.value(), revisions[i])
			return err
		}
	}), nil
}

func prepareGets(ctx context.Context, s *session, _ *options) ([]operation, error) {
	key := func(i int) string { return fmt.Sprintf("%s%06d", s.prefix, i) }
	if err := s.seed(ctx, getKeys, key); err != nil {
		return nil, err
	}
	return s.eachClient(func(_ int, client *clientv3.Client) operation {
		return func(ctx context.Context) error {
			response, err := client.Get(ctx, key(rand.IntN(getKeys)))
			if err == nil && len(response.Kvs) != 1 {
				err = fmt.Errorf("a get found %d keys instead of 1", len(response.Kvs))
			}
			return err
		}
	}), nil
}

func prepareRanges(ctx context.Context, s *session, _ *options) ([]operation, error) {
	if err := s.seed(ctx, rangeKeys, func(i int) string { return fmt.Sprintf("%s%06d", s.prefix, i) }); err != nil {
		return nil, err
	}
	return s.eachClient(func(_ int, client *clientv3.Client) operation {
		return func(ctx context.Context) error {
			response, err := client.Get(ctx, s.prefix, clientv3.WithPrefix(), clientv3.WithLimit(rangeLimit))
			if err == nil && (len(response.Kvs) != rangeLimit || !response.More) {
				err = fmt.Errorf("a range found %d keys (more: %t)", len(response.Kvs), response.More)
			}
			return err
		}
	}), nil
}
