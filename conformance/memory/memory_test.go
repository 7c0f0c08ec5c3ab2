// Package memory asks HariKube for more than it has memory for.
package memory

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"harikube.io/conformance/postgres"
	"harikube.io/conformance/server"
	"harikube.io/conformance/setting"
)

var bin = filepath.Join("..", "..", "build", "bin")

const (
	prefix    = "/memory/"
	keys      = 12_000
	valueSize = 2048
	// All of them want three times the memory; HARIKUBE_MEMORY_CLIENTS is another number.
	defaultClients = 30
	// within is for everything that only takes so long when it hangs.
	within = 4 * time.Minute
)

// TestEveryoneAsksForEverything has many clients ask for everything at once, several times what the heap
// holds altogether: each gets all of it in the end, and writes go on meanwhile.
func TestEveryoneAsksForEverything(t *testing.T) {
	clients := setting.Number(t, "HARIKUBE_MEMORY_CLIENTS", defaultClients)
	t.Setenv("HARIKUBE_JAVA_OPTS", "-Xmx256m")
	for _, store := range []string{"sqlite", "postgres"} {
		t.Run(store, func(t *testing.T) {
			folder := t.TempDir()
			endpoint := (&url.URL{Scheme: "sqlite", Path: filepath.Join(folder, "harikube.db")}).String()
			if store == "postgres" {
				endpoint = postgres.Database(t, bin)
			}
			s := server.HariKube(t, bin, folder, endpoint)
			ctx, cancel := context.WithTimeout(t.Context(), within)
			defer cancel()
			fill(ctx, t, s)

			writer := server.Client(t, s.Address)
			defer writer.Close()
			var writes atomic.Int64
			writing, stop := context.WithCancel(ctx)
			var background, readers sync.WaitGroup
			background.Go(func() {
				for writing.Err() == nil {
					if _, err := writer.Put(writing, "beside", "x"); err == nil {
						writes.Add(1)
					} else if writing.Err() == nil {
						t.Errorf("a write beside the reads: %v", err)
						return
					}
				}
			})
			for range clients {
				readers.Go(func() {
					client := server.Client(t, s.Address)
					defer client.Close()
					answer, err := client.Get(ctx, prefix, clientv3.WithPrefix())
					if err != nil {
						t.Errorf("a client that asks for everything: %v", err)
						return
					}
					if len(answer.Kvs) != keys {
						t.Errorf("a client got %d of %d keys", len(answer.Kvs), keys)
					}
				})
			}
			readers.Wait()
			stop()
			background.Wait()
			if writes.Load() < int64(clients) {
				t.Errorf("only %d writes were done beside the reads", writes.Load())
			}

			refuseWhatNeverFits(ctx, t, writer)
			if !s.Runs() {
				t.Error("the server did not live through it")
			}
		})
	}
}

func fill(ctx context.Context, t *testing.T, s *server.Server) {
	client := server.Client(t, s.Address)
	defer client.Close()
	value := strings.Repeat("v", valueSize)
	const writers = 32
	var done sync.WaitGroup
	for w := range writers {
		done.Go(func() {
			for i := w; i < keys; i += writers {
				if _, err := client.Put(ctx, fmt.Sprintf("%s%06d", prefix, i), value); err != nil {
					t.Errorf("filling: %v", err)
					return
				}
			}
		})
	}
	done.Wait()
}

// refuseWhatNeverFits asks for everything many times in one answer.
func refuseWhatNeverFits(ctx context.Context, t *testing.T, client *clientv3.Client) {
	everything := make([]clientv3.Op, 16)
	for i := range everything {
		everything[i] = clientv3.OpGet(prefix, clientv3.WithPrefix())
	}
	_, err := client.Txn(ctx).Then(everything...).Commit()
	if err == nil || !strings.Contains(err.Error(), "memory") {
		t.Errorf("an answer that can never fit: %v", err)
	}
	if _, err := client.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithLimit(10)); err != nil {
		t.Errorf("a read after that: %v", err)
	}
}
