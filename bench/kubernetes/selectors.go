package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

const (
	prefix    = "/registry/bench.test/widgets/default/"
	perTxn    = 50
	loaders   = 8
	pairs     = 1500 // of requests that are compared
	warmUp    = 300
	watchers  = 10_000
	perStream = 100
	putters   = 16
	putFor    = 5 * time.Second
	putRounds = 5
)

// selectors prints how long a list of 1 among many takes, beside a get, and what watches cost a put.
func selectors(ctx context.Context, o options) error {
	table := "| | objects | through | get ms | list by label | list by field |\n|---|---|---|---|---|---|\n"
	puts := "| | puts alone | beside 10,000 watches with selectors |\n|---|---|---|\n"
	for _, name := range o.systems {
		fmt.Println(name)
		rows, put, err := selectorsOf(ctx, o, name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		table += rows
		puts += put
	}
	table += "\nMedian (99th percentile); a list is of one object.\n\n" + puts
	fmt.Print(table)
	return os.WriteFile(filepath.Join(o.out, "selectors.md"), []byte(table), 0o644)
}

func selectorsOf(ctx context.Context, o options, name string) (rows, puts string, err error) {
	c, err := startCluster(ctx, o, name)
	if err != nil {
		return "", "", err
	}
	defer c.stop()
	if err := c.define(ctx, definition("bench.test", "Widget"), widgets); err != nil {
		return "", "", err
	}
	store, err := c.storeClient()
	if err != nil {
		return "", "", err
	}
	defer store.Close()
	for _, count := range o.counts {
		if err := c.load(ctx, store, count, c.storedWidget); err != nil {
			return "", "", err
		}
		for _, through := range []string{"kube-apiserver", "store"} {
			// What a list through the API server of etcd reads grows with the store.
			if name == "etcd" && (through == "store" || count > 100_000) {
				continue
			}
			row, err := c.compare(ctx, pb.NewKVClient(store.ActiveConnection()), through)
			if err != nil {
				return "", "", err
			}
			row = fmt.Sprintf("| %s | %d | %s |", name, count, through) + row
			fmt.Println("    " + row)
			rows += row + "\n"
		}
	}
	if name == "etcd" {
		return rows, "", nil
	}
	ratio, err := c.putsBesideWatches(ctx, store)
	if err != nil {
		return "", "", err
	}
	puts = fmt.Sprintf("| %s | 1.00× | %.2f× |\n", name, ratio)
	fmt.Print("    " + puts)
	return rows, puts, nil
}

// storeClient logs in at the store as the API server does.
func (c *cluster) storeClient() (*clientv3.Client, error) {
	config, err := c.StoreConfig()
	if err != nil {
		return nil, err
	}
	return clientv3.New(clientv3.Config{
		Endpoints: []string{c.StoreURL}, TLS: config, Logger: zap.NewNop(), DialTimeout: 10 * time.Second,
		MaxCallSendMsgSize: 8 << 20, MaxCallRecvMsgSize: math.MaxInt32,
	})
}

// load writes objects into the store until there are so many, as the API server would store
// them: many in a transaction, or one by one into kine, which knows no such transactions.
func (c *cluster) load(ctx context.Context, store *clientv3.Client, count int, put func(i int) (key string, object []byte)) error {
	if c.name == "kine" {
		return c.growBy(ctx, count, loaders*loaders, 1, func(ctx context.Context, i, _ int) error {
			key, object := put(i)
			_, err := store.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).
				Then(clientv3.OpPut(key, stored(object))).Commit()
			return err
		})
	}
	return c.growBy(ctx, count, loaders, perTxn, func(ctx context.Context, first, last int) error {
		var ops []clientv3.Op
		for i := first; i < last; i++ {
			key, object := put(i)
			ops = append(ops, clientv3.OpPut(key, stored(object)))
		}
		_, err := store.Txn(ctx).Then(ops...).Commit()
		return err
	})
}

func (c *cluster) storedWidget(i int) (key string, object []byte) {
	return fmt.Sprintf("%sw%d", prefix, i), c.widget(i)
}

// stored returns an object as the API server stores it; one that has a uid keeps it.
func stored(object []byte) string {
	if bytes.Contains(object, []byte(`"uid":`)) {
		return string(object)
	}
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	metadata := fmt.Sprintf(`"generation":1,"uid":"%x-%x-%x-%x-%x","creationTimestamp":"%s",`,
		id[:4], id[4:6], id[6:8], id[8:10], id[10:], time.Now().UTC().Format(time.RFC3339))
	return strings.Replace(string(object), `"metadata":{`, `"metadata":{`+metadata, 1)
}

// compare measures a get and lists of one object each, one request after the other.
func (c *cluster) compare(ctx context.Context, kv pb.KVClient, through string) (row string, err error) {
	requests := []func(i int) (int, error){
		func(i int) (int, error) { return c.listed(ctx, fmt.Sprintf("%s/w%d", widgets, i)) },
		func(i int) (int, error) {
			return c.listed(ctx, fmt.Sprintf("%s?labelSelector=name%%3Dw%d", widgets, i))
		},
		func(i int) (int, error) {
			return c.listed(ctx, fmt.Sprintf("%s?fieldSelector=spec.color%%3Dc%d", widgets, i))
		},
	}
	if through == "store" {
		ranged := func(request *pb.RangeRequest) (int, error) {
			response, err := kv.Range(ctx, request)
			return len(response.GetKvs()), err
		}
		all := func(selectors []byte) *pb.RangeRequest {
			return &pb.RangeRequest{
				Key: []byte(prefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(prefix)), XXX_unrecognized: selectors,
			}
		}
		requests = []func(i int) (int, error){
			func(i int) (int, error) { return ranged(&pb.RangeRequest{Key: fmt.Appendf(nil, "%sw%d", prefix, i)}) },
			func(i int) (int, error) { return ranged(all(field(14, fmt.Sprintf("name=w%d", i)))) },
			func(i int) (int, error) { return ranged(all(field(15, fmt.Sprintf("spec.color=c%d", i)))) },
		}
	}
	times := make([][]float64, len(requests))
	for round := range pairs {
		i := mathrand.IntN(c.objects)
		for kind, request := range requests {
			began := time.Now()
			found, err := request(i)
			if err != nil {
				return "", err
			}
			if found != 1 {
				return "", fmt.Errorf("request %d for w%d answers %d objects", kind, i, found)
			}
			if round >= warmUp {
				times[kind] = append(times[kind], time.Since(began).Seconds()*1000)
			}
		}
	}
	var get float64
	for kind, all := range times {
		slices.Sort(all)
		median, p99 := all[len(all)/2], all[len(all)*99/100]
		if kind == 0 {
			get = median
			row += fmt.Sprintf(" %.2f (%.2f) |", median, p99)
		} else {
			row += fmt.Sprintf(" %.2f (%.2f) %.2f× |", median, p99, median/get)
		}
	}
	return row, nil
}

// field encodes a string field of a protobuf message, as a client does that knows of no such field.
func field(number int, value string) []byte {
	return append([]byte{byte(number<<3 | 2), byte(len(value))}, value...)
}

// listed returns how many objects an answer has.
func (c *cluster) listed(ctx context.Context, path string) (int, error) {
	answer, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return 0, err
	}
	var object struct {
		Kind  string
		Items []json.RawMessage
	}
	if err := json.Unmarshal(answer, &object); err != nil {
		return 0, err
	}
	if object.Kind == "Widget" {
		return 1, nil
	}
	return len(object.Items), nil
}

// putsBesideWatches returns the rate of puts with watches of other objects, as a part of the rate without
// them: the median of rounds, in each of which both are measured.
func (c *cluster) putsBesideWatches(ctx context.Context, store *clientv3.Client) (float64, error) {
	if _, err := c.putRate(ctx, store); err != nil { // warm up
		return 0, err
	}
	var ratios []float64
	for range putRounds {
		alone, err := c.putRate(ctx, store)
		if err != nil {
			return 0, err
		}
		watching, stop := context.WithCancel(ctx)
		if err := openWatches(watching, store); err != nil {
			stop()
			return 0, err
		}
		beside, err := c.putRate(ctx, store)
		stop()
		if err != nil {
			return 0, err
		}
		fmt.Printf("    %.0f puts per second alone, %.0f beside watches\n", alone, beside)
		ratios = append(ratios, beside/alone)
	}
	return medianOf(ratios), nil
}

func medianOf(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

func (c *cluster) putRate(ctx context.Context, store *clientv3.Client) (perSecond float64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, putFor, nil)
	defer cancel()
	var puts atomic.Int64
	var workers sync.WaitGroup
	errs := make([]error, putters)
	began := time.Now()
	for worker := range putters {
		workers.Go(func() {
			for ctx.Err() == nil {
				key, object := c.storedWidget(mathrand.IntN(min(c.objects, 100_000)))
				if _, err := store.Put(ctx, key, stored(object)); err == nil {
					puts.Add(1)
				} else if ctx.Err() == nil {
					errs[worker] = err
					return
				}
			}
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil {
			return 0, err
		}
	}
	return float64(puts.Load()) / time.Since(began).Seconds(), nil
}

// openWatches opens watches with a selector each, of objects that nobody changes.
func openWatches(ctx context.Context, store *clientv3.Client) error {
	for first := 0; first < watchers; first += perStream {
		_, err := openStream(ctx, store, first, func(i int) *pb.WatchCreateRequest {
			return &pb.WatchCreateRequest{
				Key: []byte(prefix), RangeEnd: []byte(clientv3.GetPrefixRangeEnd(prefix)), PrevKv: true,
				XXX_unrecognized: field(9, fmt.Sprintf("name=other%d", i)),
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// openStream opens some watches, of which none has anything to tell yet.
func openStream(
	ctx context.Context, store *clientv3.Client, first int, watch func(i int) *pb.WatchCreateRequest,
) (pb.Watch_WatchClient, error) {
	stream, err := pb.NewWatchClient(store.ActiveConnection()).Watch(ctx)
	if err != nil {
		return nil, err
	}
	for i := first; i < first+perStream; i++ {
		if err := stream.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: watch(i)}}); err != nil {
			return nil, err
		}
	}
	for range perStream {
		response, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		if !response.Created {
			return nil, fmt.Errorf("a watch of objects that nobody changes is told %v", response)
		}
	}
	return stream, nil
}
