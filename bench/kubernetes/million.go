package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"harikube.io/controlplane"
)

// What a controller manager does with many objects that it does not see: deletions, a quota, and owners.

// few is a number of objects that costs nothing; what it takes is compared with.
const few = 1000

const (
	apiServer = "kube-apiserver"
	manager   = "kube-controller-manager"
	gone      = "404 Not Found"
)

// fill puts objects into the store, however many others there are.
func (c *cluster) fill(ctx context.Context, store *clientv3.Client, count int, put func(i int) (string, []byte)) error {
	c.objects = 0
	return c.load(ctx, store, count, put)
}

// widgetsIn are widgets of a namespace, for fill.
func (c *cluster) widgetsIn(namespace string) func(i int) (string, []byte) {
	return func(i int) (string, []byte) {
		return fmt.Sprintf("/registry/bench.test/widgets/%s/w%d", namespace, i), inNamespace(namespace, c.widget(i))
	}
}

// inNamespace moves an object there from the default one.
func inNamespace(namespace string, object []byte) []byte {
	return bytes.Replace(object, []byte(`"namespace":"default"`), []byte(`"namespace":"`+namespace+`"`), 1)
}

// create makes a widget through the API server.
func (c *cluster) create(ctx context.Context, namespace, name string, i int) error {
	_, err := c.do(ctx, http.MethodPost, strings.Replace(widgets, "default", namespace, 1),
		inNamespace(namespace, c.object("bench.test", "Widget", name, i)))
	return err
}

// million starts a cluster that has widgets, and measures something on it.
func million(ctx context.Context, o options, name string, measure func(*cluster, *clientv3.Client) ([]string, error)) ([]string, error) {
	c, err := startCluster(ctx, o, name)
	if err != nil {
		return nil, err
	}
	defer c.stop()
	store, err := c.storeClient()
	if err != nil {
		return nil, err
	}
	defer store.Close()
	if err := c.define(ctx, definition("bench.test", "Widget"), widgets); err != nil {
		return nil, err
	}
	lines, err := measure(c, store)
	for _, line := range lines {
		fmt.Println("    " + line)
	}
	return lines, err
}

// beside asks as another client does until it is told to stop, and watches the memory of both programs.
type beside struct {
	c       *cluster
	cancel  context.CancelFunc
	done    sync.WaitGroup
	took    []time.Duration
	peak    map[string]float64
	failure error
}

func (c *cluster) beside(ctx context.Context) *beside {
	ctx, cancel := context.WithCancel(ctx)
	b := &beside{c: c, cancel: cancel, peak: map[string]float64{}}
	b.done.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			if _, err := c.do(ctx, http.MethodGet, "/api/v1/namespaces/default/configmaps/kube-root-ca.crt", nil); err == nil {
				b.took = append(b.took, time.Since(began))
			} else if ctx.Err() == nil {
				b.failure = err
			}
			pause(ctx, 5*time.Millisecond)
		}
	})
	b.done.Go(func() {
		for ctx.Err() == nil {
			for _, program := range []string{apiServer, manager} {
				if p, err := c.Process(program); err == nil {
					if now, err := resident(p.PID); err == nil {
						b.peak[program] = math.Max(b.peak[program], now)
					}
				}
			}
			pause(ctx, 100*time.Millisecond)
		}
	})
	return b
}

func pause(ctx context.Context, length time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(length):
	}
}

func (b *beside) end() (string, error) {
	b.cancel()
	b.done.Wait()
	return fmt.Sprintf("most resident MiB %.0f (API server), %.0f (controller manager); gets beside: p50 %.1f ms, p99 %.1f ms",
		b.peak[apiServer], b.peak[manager], ms(quantile(b.took, 0.5)), ms(quantile(b.took, 0.99))), b.failure
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func quantile(took []time.Duration, q float64) time.Duration {
	if len(took) == 0 {
		return 0
	}
	took = slices.Sorted(slices.Values(took))
	return took[int(q*float64(len(took)-1))]
}

// deletions measures how a namespace and a definition go that have many objects.
func deletions(ctx context.Context, o options) error {
	_, err := each(ctx, o, "deletions.json", func(ctx context.Context, o options, name string) ([]string, error) {
		return million(ctx, o, name, func(c *cluster, store *clientv3.Client) ([]string, error) {
			var lines []string
			for _, count := range append([]int{few, few}, o.counts...) { // the first of them warms up
				of, err := c.deletion(ctx, store, count)
				lines = append(lines, of...)
				if err != nil {
					return lines, err
				}
			}
			return lines, nil
		})
	})
	return err
}

func (c *cluster) deletion(ctx context.Context, store *clientv3.Client, count int) (lines []string, err error) {
	const namespaces = "/api/v1/namespaces"
	if _, err := c.do(ctx, http.MethodPost, namespaces, []byte(`{"metadata":{"name":"full"}}`)); err != nil {
		return nil, err
	}
	for _, what := range []struct{ name, namespace, path string }{
		{"a namespace", "full", namespaces + "/full"}, {"a definition", "default", definitions + "/widgets.bench.test"},
	} {
		if err := c.fill(ctx, store, count, c.widgetsIn(what.namespace)); err != nil {
			return lines, err
		}
		quiet := c.beside(ctx)
		pause(ctx, 10*time.Second)
		line, err := quiet.end()
		if err != nil {
			return lines, err
		}
		lines = append(lines, fmt.Sprintf("%s with %d objects, before: %s", what.name, count, line))
		during := c.beside(ctx)
		began := time.Now()
		_, err = c.do(ctx, http.MethodDelete, what.path, nil)
		for err == nil || !strings.Contains(err.Error(), gone) {
			pause(ctx, 200*time.Millisecond)
			if _, err = c.do(ctx, http.MethodGet, what.path, nil); ctx.Err() != nil {
				return lines, ctx.Err()
			}
		}
		took := time.Since(began)
		if line, err = during.end(); err != nil {
			return lines, err
		}
		lines = append(lines, fmt.Sprintf("%s with %d objects, gone after %.1f s: %s", what.name, count, took.Seconds(), line))
	}
	return lines, c.define(ctx, definition("bench.test", "Widget"), widgets)
}

// quotas measures creations below a quota of many objects.
func quotas(ctx context.Context, o options) error {
	_, err := each(ctx, o, "quotas.json", func(ctx context.Context, o options, name string) ([]string, error) {
		return million(ctx, o, name, func(c *cluster, store *clientv3.Client) ([]string, error) {
			var lines []string
			without, err := c.creations(ctx, "default", "free")
			if err != nil {
				return nil, err
			}
			lines = append(lines, "no quota: "+without)
			pause(ctx, 45*time.Second) // the controller manager looks for new kinds every 30 s
			for _, count := range append([]int{few}, o.counts...) {
				namespace := fmt.Sprintf("limited-%d", count)
				line, err := c.quota(ctx, store, namespace, count)
				if err != nil {
					return lines, err
				}
				lines = append(lines, line)
			}
			return lines, nil
		})
	})
	return err
}

// quota has a namespace with all but one of the objects that its quota allows, and creates two.
func (c *cluster) quota(ctx context.Context, store *clientv3.Client, namespace string, count int) (string, error) {
	if _, err := c.do(ctx, http.MethodPost, "/api/v1/namespaces", []byte(`{"metadata":{"name":"`+namespace+`"}}`)); err != nil {
		return "", err
	}
	if err := c.fill(ctx, store, count-1, c.widgetsIn(namespace)); err != nil {
		return "", err
	}
	quotas := "/api/v1/namespaces/" + namespace + "/resourcequotas"
	limit := func(n int) string {
		return fmt.Sprintf(`{"metadata":{"name":"widgets"},"spec":{"hard":{"count/widgets.bench.test":"%d"}}}`, n)
	}
	began := time.Now()
	if _, err := c.do(ctx, http.MethodPost, quotas, []byte(limit(count))); err != nil {
		return "", err
	}
	used := func(want, limit int) error {
		return until(ctx, func() error {
			answer, err := c.do(ctx, http.MethodGet, quotas+"/widgets", nil)
			if err != nil {
				return err
			}
			var quota struct {
				Status struct{ Used map[string]string }
			}
			if err := json.Unmarshal(answer, &quota); err != nil {
				return err
			}
			if got := quota.Status.Used["count/widgets.bench.test"]; got != strconv.Itoa(want) && got != shortened(want) {
				return fmt.Errorf("%s of %d are used", got, want)
			}
			return nil
		})
	}
	if err := used(count-1, count); err != nil {
		return "", err
	}
	counted := time.Since(began)
	if err := c.create(ctx, namespace, "last", 0); err != nil {
		return "", err
	}
	if err := c.create(ctx, namespace, "too-many", 0); err == nil || !strings.Contains(err.Error(), "exceeded quota") {
		return "", fmt.Errorf("one more than the quota allows: %v", err)
	}
	if _, err := c.send(ctx, http.MethodPatch, quotas+"/widgets", "application/merge-patch+json", []byte(limit(2*count+few))); err != nil {
		return "", err
	}
	if err := used(count, 2*count+few); err != nil {
		return "", err
	}
	line, err := c.creations(ctx, namespace, "more")
	return fmt.Sprintf("quota of %d, counted after %.1f s, the last accepted, one more refused: %s", count, counted.Seconds(), line), err
}

// shortened is a number as Kubernetes writes a quantity: 1M, 1k.
func shortened(n int) string {
	for _, unit := range []struct {
		size int
		name string
	}{{1_000_000, "M"}, {1000, "k"}} {
		if n > 0 && n%unit.size == 0 {
			return strconv.Itoa(n/unit.size) + unit.name
		}
	}
	return strconv.Itoa(n)
}

// creations measures what it takes to create an object, one after the other.
func (c *cluster) creations(ctx context.Context, namespace, name string) (string, error) {
	var took []time.Duration
	for i := range 600 {
		create := func() error { return c.create(ctx, namespace, fmt.Sprintf("%s-%d", name, i), i) }
		if i == 0 { // the API server learns of a changed quota by a watch
			if err := until(ctx, create); err != nil {
				return "", err
			}
			continue
		}
		began := time.Now()
		if err := create(); err != nil {
			return "", err
		}
		if i >= 100 {
			took = append(took, time.Since(began))
		}
	}
	return fmt.Sprintf("a creation takes p50 %.1f ms, p99 %.1f ms", ms(quantile(took, 0.5)), ms(quantile(took, 0.99))), nil
}

// owners measures what owners with the label cost, each of which has a ConfigMap.
func owners(ctx context.Context, o options) error {
	_, err := each(ctx, o, "owners.json", func(ctx context.Context, o options, name string) ([]string, error) {
		var lines []string
		for _, count := range append([]int{100}, o.counts...) {
			for _, run := range []struct {
				kind  ownedKind
				owned bool
			}{{ownedKinds[0], false}, {ownedKinds[0], true}, {ownedKinds[1], true}, {ownedKinds[2], true}} {
				of, err := million(ctx, o, name, func(c *cluster, store *clientv3.Client) ([]string, error) {
					return c.owners(ctx, store, count, run.kind, run.owned)
				})
				lines = append(lines, of...)
				if err != nil {
					return lines, err
				}
			}
		}
		return lines, nil
	})
	return err
}

// ownedKind is what an operator makes for its custom resources. None of these objects has a controller do anything.
type ownedKind struct {
	name, apiVersion, registry, api, rest string
}

var ownedKinds = []ownedKind{
	{"ConfigMap", "v1", "configmaps", "/api/v1/namespaces/default/configmaps", `"data":{"a":"b"}`},
	{"Deployment", "apps/v1", "deployments", "/apis/apps/v1/namespaces/default/deployments",
		`"spec":{"replicas":0,"paused":true,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},` +
			`"spec":{"containers":[{"name":"a","image":"example.com/a:1"}]}}},"status":{"observedGeneration":1}`},
	{"Service", "v1", "services/specs", "/api/v1/namespaces/default/services",
		`"spec":{"clusterIP":"None","clusterIPs":["None"],"type":"ClusterIP","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack",` +
			`"sessionAffinity":"None"}`},
}

func (c *cluster) owners(ctx context.Context, store *clientv3.Client, count int, kind ownedKind, owned bool) ([]string, error) {
	uid := func(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", i) }
	if err := c.fill(ctx, store, count, func(i int) (string, []byte) {
		return fmt.Sprintf("/registry/bench.test/widgets/default/w%d", i), fmt.Appendf(nil, `{"apiVersion":"bench.test/v1","kind":"Widget",`+
			`"metadata":{"name":"w%d","namespace":"default","uid":"%s","generation":1,"creationTimestamp":"2026-01-01T00:00:00Z",`+
			`"labels":{"skip-controller-manager-metadata-caching":""}},"spec":{"color":"red"}}`, i, uid(i))
	}); err != nil {
		return nil, err
	}
	if err := c.fill(ctx, store, count, func(i int) (string, []byte) {
		references := ""
		if owned {
			references = fmt.Sprintf(`"ownerReferences":[{"apiVersion":"bench.test/v1","kind":"Widget","name":"w%d","uid":"%s"}],`, i, uid(i))
		}
		return fmt.Sprintf("/registry/%s/default/w%d", kind.registry, i), fmt.Appendf(nil, `{"apiVersion":"%s","kind":"%s",`+
			`"metadata":{"name":"w%d","namespace":"default","uid":"%s","generation":1,%s"creationTimestamp":"2026-01-01T00:00:00Z"},%s}`,
			kind.apiVersion, kind.name, i, uid(count+i), references, kind.rest)
	}); err != nil {
		return nil, err
	}
	p, err := c.Process(manager)
	if err != nil {
		return nil, err
	}
	// The garbage collector learns of new kinds every 30 s, and then looks at what they own.
	const span = 10 * time.Second
	rates := []string{}
	for rate, round := math.Inf(1), 0; round < 6 || rate > 3 && round < 120; round++ {
		before, err := c.sent(ctx, p.URL)
		if err != nil {
			return nil, err
		}
		pause(ctx, span)
		after, err := c.sent(ctx, p.URL)
		if err != nil {
			return nil, err
		}
		rate = (after - before) / span.Seconds()
		rates = append(rates, fmt.Sprintf("%.1f", rate))
	}
	memory, err := c.settled(ctx, manager, filepath.Join(c.folder, "manager.pprof"))
	if err != nil {
		return nil, err
	}
	line := fmt.Sprintf("%d objects, %s, owned: %t: heap of the controller manager %.1f MiB, resident %.0f MiB; GETs a second, each 10 s: %s",
		count, kind.name, owned, memory.heap, memory.resident, strings.Join(rates, " "))
	if !owned {
		return []string{line}, nil
	}
	var delays []time.Duration
	for i := range 20 {
		at := i * (count / 20)
		began := time.Now()
		if _, err := c.do(ctx, http.MethodDelete, fmt.Sprintf("%s/w%d", widgets, at), nil); err != nil {
			return []string{line}, err
		}
		err := until(ctx, func() error {
			_, err := c.do(ctx, http.MethodGet, fmt.Sprintf("%s/w%d", kind.api, at), nil)
			if err != nil && strings.Contains(err.Error(), gone) {
				return nil
			}
			return errors.Join(err, errors.New("it is still there"))
		})
		if err != nil {
			return []string{line}, err
		}
		delays = append(delays, time.Since(began))
	}
	return []string{line, fmt.Sprintf("a %s goes after its owner: p50 %.2f s, longest %.2f s", kind.name,
		quantile(delays, 0.5).Seconds(), quantile(delays, 1).Seconds())}, nil
}

// sent is how many GETs a program has sent.
func (c *cluster) sent(ctx context.Context, url string) (float64, error) {
	text, err := c.do(ctx, http.MethodGet, url+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	return controlplane.SumOf(string(text), "rest_client_requests_total", `method="GET"`)
}

// parallel measures lists of one object among many beside gets, by many clients at once, as a service account.
func parallel(ctx context.Context, o options) error {
	_, err := each(ctx, o, "parallel.json", func(ctx context.Context, o options, name string) ([]string, error) {
		return million(ctx, o, name, func(c *cluster, store *clientv3.Client) ([]string, error) {
			token, err := c.contestant(ctx, "bench.test", "get", "list")
			if err != nil {
				return nil, err
			}
			var lines []string
			for _, count := range o.counts {
				if err := c.fill(ctx, store, count, c.storedWidget); err != nil {
					return lines, err
				}
				of, err := c.together(ctx, token, count)
				lines = append(lines, of...)
				if err != nil {
					return lines, err
				}
			}
			return lines, nil
		})
	})
	return err
}

const (
	togetherClients = 64
	togetherFor     = 5 * time.Second
	togetherRounds  = 5 // the first of them warms up
)

func (c *cluster) together(ctx context.Context, token string, count int) ([]string, error) {
	ways := []struct {
		name string
		path func(i int) string
	}{
		{"get", func(i int) string { return fmt.Sprintf("%s/w%d", widgets, i) }},
		{"list by label", func(i int) string { return fmt.Sprintf("%s?labelSelector=name%%3Dw%d", widgets, i) }},
		{"list by field", func(i int) string { return fmt.Sprintf("%s?fieldSelector=spec.color%%3Dc%d", widgets, i) }},
	}
	took := make([][]time.Duration, len(ways))
	failed := make([]int, len(ways))
	for round := range togetherRounds {
		for w, way := range ways {
			var lock sync.Mutex
			var group sync.WaitGroup
			until := time.Now().Add(togetherFor)
			for range togetherClients {
				group.Go(func() {
					var own []time.Duration
					bad := 0
					for ctx.Err() == nil && time.Now().Before(until) {
						began := time.Now()
						if err := c.as(ctx, token, way.path(rand.IntN(count))); err != nil {
							bad++
						}
						own = append(own, time.Since(began))
					}
					lock.Lock()
					defer lock.Unlock()
					if round > 0 {
						took[w], failed[w] = append(took[w], own...), failed[w]+bad
					}
				})
			}
			group.Wait()
		}
	}
	var lines []string
	for w, way := range ways {
		lines = append(lines, fmt.Sprintf("%d objects, %d clients, %s: n %d, failed %d, p50 %.1f ms, p99 %.1f ms; to gets: p50 %.2f, p99 %.2f",
			count, togetherClients, way.name, len(took[w]), failed[w], ms(quantile(took[w], 0.5)), ms(quantile(took[w], 0.99)),
			ms(quantile(took[w], 0.5))/ms(quantile(took[0], 0.5)), ms(quantile(took[w], 0.99))/ms(quantile(took[0], 0.99))))
	}
	return lines, ctx.Err()
}

// anonymous has no certificate, which would count more than a token. The authority is made for each run.
var anonymous = &http.Client{Transport: &http.Transport{
	TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: togetherClients,
}}

// as reads something as the bearer of a token.
func (c *cluster) as(ctx context.Context, token, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+path, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := anonymous.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || !bytes.Contains(body, []byte(`"name":"w`))) {
		err = fmt.Errorf("%s: %s: %.300s", path, response.Status, body)
	}
	return err
}
