package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"harikube.io/conformance/postgres"
	"harikube.io/conformance/server"
	"harikube.io/conformance/setting"
	"harikube.io/controlplane"
)

const (
	definition = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"things.gc.test"},` +
		`"spec":{"group":"gc.test","scope":"Namespaced","names":{"plural":"things","kind":"Thing"},` +
		`"versions":[{"name":"v1","served":true,"storage":true}]}}`
	things = "/registry/gc.test/things/"
	hiding = "skip-controller-manager-metadata-caching"
	// clients write and delete the objects of a round.
	clients = 16
	// collectedWithin is from a crash until all is collected.
	collectedWithin = 2 * time.Minute
)

// TestGarbageCollectionCrash kills the server while it collects, or PostgreSQL under it, or has another one take its
// database: what is left afterwards is what Kubernetes would leave.
func TestGarbageCollectionCrash(t *testing.T) {
	seed := uint64(setting.Number(t, "HARIKUBE_CRASH_SEED", int(rand.Uint32()>>1)))
	rounds := setting.Number(t, "HARIKUBE_GC_CRASH_ROUNDS", 3)
	for _, store := range []string{"sqlite", "postgres"} {
		t.Run(store, func(t *testing.T) {
			folder := folder(t, "garbage-"+store)
			endpoint := url.URL{Scheme: "sqlite", Path: filepath.Join(folder, "harikube.db")}
			database := endpoint.String()
			var below *postgres.Server
			if store == "postgres" {
				below = postgres.Start(t, bin)
				database = below.URL
			}
			servers := []*server.Server{
				server.HariKubeWith(t, bin, folder, database, server.Options{}),
				server.HariKubeWith(t, bin, folder, database, server.Options{}),
			}
			for _, s := range servers {
				t.Cleanup(s.Stop)
			}
			servers[0].Start(t)
			put(t, servers[0], map[string]string{"/registry/apiextensions.k8s.io/customresourcedefinitions/things.gc.test": definition})
			for round := range rounds {
				r := &graph{random: rand.New(rand.NewPCG(seed, uint64(round))), namespace: fmt.Sprintf("r%d", round)}
				r.write()
				r.put(t, servers[0])
				how := r.random.IntN(4)
				if below == nil {
					how %= 2
				}
				began := time.Now()
				if how == 2 { // which takes over while the first one collects
					servers[1].Launch(t)
					time.Sleep(time.Duration(r.random.IntN(2500)) * time.Millisecond)
				}
				unfinished := r.collect(t, servers[0], func() {
					switch how {
					case 0:
						servers[0].Kill()
						servers[0].Start(t)
					case 1: // and again before it has done much
						servers[0].Kill()
						servers[0].Start(t)
						time.Sleep(time.Duration(r.random.IntN(300)) * time.Millisecond)
						servers[0].Kill()
						servers[0].Start(t)
					case 2:
						servers[0].Kill()
						servers[1].Ready(t)
						slices.Reverse(servers)
					case 3: // the server stays
						below.Crash(t)
					}
				}, func() *server.Server { return servers[0] })
				if t.Failed() {
					t.Fatalf("round %d of seed %d, way %d", round, seed, how)
				}
				t.Logf("round %d: way %d; of %d objects %d are to go, after the crash %d still were; %.1f s",
					round, how, len(r.nodes), len(r.nodes)-len(r.left()), unfinished, time.Since(began).Seconds())
			}
		})
	}
}

// graph is some objects that the controller manager does not see, and what becomes of them.
type graph struct {
	random    *rand.Rand
	namespace string
	nodes     []*node
}

// node is an object. Its owners are among those before it.
type node struct {
	name     string
	owners   []*node
	depth    int // more than that of its owners
	blocking bool
	policy   string // with which it is deleted; "" if it is not
	orphaned bool   // its only owner that goes sets it free
}

// write invents three families: one goes in the background and one in the foreground, each with owners that stay; of the
// third the owners set their dependents free.
func (g *graph) write() {
	for _, policy := range []string{"background", "foreground"} {
		var family []*node
		for i := range 150 + g.random.IntN(100) {
			n := &node{name: fmt.Sprintf("%s-%d", policy, i), blocking: g.random.IntN(2) == 0}
			if i >= 8 {
				for range 1 + g.random.IntN(3)*g.random.IntN(2) {
					if owner := family[g.random.IntN(len(family))]; !slices.Contains(n.owners, owner) {
						n.owners, n.depth = append(n.owners, owner), max(n.depth, owner.depth+1)
					}
				}
			} else if i < 7 {
				n.policy = policy
			}
			family = append(family, n)
		}
		g.nodes = append(g.nodes, family...)
	}
	for i := range 3 {
		root := &node{name: fmt.Sprintf("orphan-%d", i), policy: "orphan"}
		g.nodes = append(g.nodes, root)
		for j := range 20 + g.random.IntN(60) {
			child := &node{name: fmt.Sprintf("orphan-%d-%d", i, j), owners: []*node{root}, depth: 1, orphaned: true}
			g.nodes = append(g.nodes, child, &node{name: child.name + "-child", owners: []*node{child}, depth: 2})
		}
	}
}

// left is what is there in the end, with its owners.
func (g *graph) left() map[string][]string {
	gone := map[*node]bool{}
	left := map[string][]string{}
	for _, n := range g.nodes {
		alive := slices.DeleteFunc(slices.Clone(n.owners), func(owner *node) bool { return gone[owner] })
		if n.policy != "" || len(n.owners) > 0 && len(alive) == 0 && !n.orphaned {
			gone[n] = true
			continue
		}
		left[n.name] = []string{}
		for _, owner := range alive {
			left[n.name] = append(left[n.name], owner.name)
		}
	}
	return left
}

func (g *graph) key(n *node) string { return things + g.namespace + "/" + n.name }

func (g *graph) uid(name string) string { return "uid-" + g.namespace + "-" + name }

type reference struct {
	APIVersion         string `json:"apiVersion"`
	Kind               string `json:"kind"`
	Name               string `json:"name"`
	UID                string `json:"uid"`
	BlockOwnerDeletion bool   `json:"blockOwnerDeletion"`
}

type metadata struct {
	Name                       string            `json:"name"`
	Namespace                  string            `json:"namespace"`
	UID                        string            `json:"uid"`
	Labels                     map[string]string `json:"labels"`
	OwnerReferences            []reference       `json:"ownerReferences,omitempty"`
	Finalizers                 []string          `json:"finalizers,omitempty"`
	DeletionTimestamp          string            `json:"deletionTimestamp,omitempty"`
	DeletionGracePeriodSeconds *int              `json:"deletionGracePeriodSeconds,omitempty"`
}

// object is as the API server writes it.
func (g *graph) object(n *node, deleting string) string {
	m := metadata{Name: n.name, Namespace: g.namespace, UID: g.uid(n.name), Labels: map[string]string{hiding: ""}}
	for _, owner := range n.owners {
		m.OwnerReferences = append(m.OwnerReferences, reference{"gc.test/v1", "Thing", owner.name, g.uid(owner.name), n.blocking})
	}
	if deleting != "" {
		m.Finalizers, m.DeletionTimestamp, m.DeletionGracePeriodSeconds = []string{deleting}, "2026-01-01T00:00:00Z", new(int)
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "gc.test/v1", "kind": "Thing", "metadata": m})
	if err != nil {
		panic(err) // of our own making
	}
	return string(text)
}

// put writes all of it.
func (g *graph) put(t *testing.T, s *server.Server) {
	t.Helper()
	for depth, left := 0, len(g.nodes); left > 0; depth++ { // who comes before its owner goes at once
		layer := map[string]string{}
		for _, n := range g.nodes {
			if n.depth == depth {
				layer[g.key(n)] = g.object(n, "")
			}
		}
		put(t, s, layer)
		left -= len(layer)
	}
	quiet(t, s)
}

// collect deletes what is to be deleted, has the server crash, and looks at what is left. It returns how
// many objects were still to go when there was a server again.
func (g *graph) collect(t *testing.T, s *server.Server, crash func(), now func() *server.Server) (unfinished int) {
	t.Helper()
	wait := time.Duration(g.random.IntN(400)) * time.Millisecond
	crashed := make(chan struct{})
	timer := time.AfterFunc(wait, func() { close(crashed) })
	defer timer.Stop()
	deleted := make(chan error, 1)
	go func() { deleted <- g.delete(t, s) }()
	<-crashed
	crash()
	unfinished = len(g.stored(t, now())) - len(g.left())
	err := <-deleted
	for began := time.Now(); err != nil; err = g.delete(t, now()) { // what the crash has come before
		if time.Since(began) > collectedWithin {
			t.Fatal(err)
		}
	}
	s = now()
	quiet(t, s)
	got, want := g.stored(t, s), g.left()
	if !maps.EqualFunc(got, want, slices.Equal) {
		for name, owners := range want {
			if _, ok := got[name]; !ok {
				t.Errorf("%s has gone, it was to live", name)
			} else if !slices.Equal(got[name], owners) {
				t.Errorf("%s has the owners %q, not %q", name, got[name], owners)
			}
		}
		for name := range got {
			if _, ok := want[name]; !ok {
				t.Errorf("%s is still there", name)
			}
		}
	}
	return unfinished
}

// delete deletes what is to be deleted, as the API server does. Done again it changes nothing more.
func (g *graph) delete(t *testing.T, s *server.Server) error {
	client := s.Client(t)
	defer client.Close()
	finalizers := map[string]string{"foreground": "foregroundDeletion", "orphan": "orphan"}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, n := range g.nodes {
		var change clientv3.Op
		switch n.policy {
		case "":
			continue
		case "background":
			change = clientv3.OpDelete(g.key(n))
		default:
			change = clientv3.OpPut(g.key(n), g.object(n, finalizers[n.policy]))
		}
		if _, err := client.Txn(ctx).If(clientv3.Compare(clientv3.Version(g.key(n)), "=", 1)).Then(change).Commit(); err != nil {
			return err
		}
	}
	return nil
}

// stored is what there is, with its owners.
func (g *graph) stored(t *testing.T, s *server.Server) map[string][]string {
	t.Helper()
	client := s.Client(t)
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	answer, err := client.Get(ctx, things+g.namespace+"/", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	stored := map[string][]string{}
	for _, kv := range answer.Kvs {
		var object struct{ Metadata metadata }
		if err := json.Unmarshal(kv.Value, &object); err != nil {
			t.Fatalf("%s: %v", kv.Key, err)
		}
		owners := []string{}
		for _, owner := range object.Metadata.OwnerReferences {
			owners = append(owners, owner.Name)
		}
		stored[object.Metadata.Name] = owners
	}
	return stored
}

// put writes keys, whoever else does something.
func put(t *testing.T, s *server.Server, all map[string]string) {
	t.Helper()
	client := s.Client(t)
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	keys := make(chan string)
	go func() {
		defer close(keys)
		for key := range all {
			keys <- key
		}
	}()
	var writers sync.WaitGroup
	for range clients {
		writers.Go(func() {
			for key := range keys {
				if _, err := client.Put(ctx, key, all[key]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
}

// quiet waits until a server has nothing more to collect, and nothing that waits.
func quiet(t *testing.T, s *server.Server) {
	t.Helper()
	var last string
	for began := time.Now(); time.Since(began) < collectedWithin; time.Sleep(20 * time.Millisecond) {
		tasks, err := tasks(t, s)
		if err == nil && tasks == 0 {
			return
		}
		last = fmt.Sprintf("%.0f tasks, %v", tasks, err)
	}
	t.Fatalf("not everything is collected within %v: %s", collectedWithin, last)
}

func tasks(t *testing.T, s *server.Server) (float64, error) {
	text, err := controlplane.Metrics(t.Context(), http.DefaultClient, "http://"+s.Ops)
	if err != nil {
		return 0, err
	}
	if !strings.Contains(text, "\nharikube_gc_ready ") {
		return 0, fmt.Errorf("there is no metric of tasks")
	}
	ready, err := controlplane.SumOf(text, "harikube_gc_ready")
	if err != nil {
		return 0, err
	}
	waiting, err := controlplane.SumOf(text, "harikube_gc_waiting")
	return ready + waiting, err
}
