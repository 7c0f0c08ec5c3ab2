package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"harikube.io/e2e/controlplane"
	"harikube.io/e2e/postgres"
)

// definition is of a resource with a selectable field.
const definition = `{
  "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
  "metadata": {"name": "widgets.bench.test"},
  "spec": {
    "group": "bench.test", "scope": "Namespaced",
    "names": {"plural": "widgets", "singular": "widget", "kind": "Widget"},
    "versions": [{
      "name": "v1", "served": true, "storage": true,
      "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object",
        "properties": {"color": {"type": "string"}, "text": {"type": "string"}}}}}},
      "selectableFields": [{"jsonPath": ".spec.color"}]
    }]
  }
}`

const (
	definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	widgets     = "/apis/bench.test/v1/namespaces/default/widgets"
)

// widget returns an object of about 1 KiB: with a label that no other has, one that a hundredth of
// the objects have, and on HariKube the label that keeps it out of the controller manager.
func (c *cluster) widget(i int) []byte {
	skip := `,"skip-controller-manager-metadata-caching":""`
	if c.name == "etcd" {
		skip = ""
	}
	return fmt.Appendf(nil, `{"apiVersion":"bench.test/v1","kind":"Widget","metadata":{"name":"w%d","namespace":"default",`+
		`"labels":{"name":"w%d","group":"g%d"%s}},`+
		`"spec":{"color":"c%d","text":"%s"}}`, i, i, i%100, skip, i, strings.Repeat("lorem ipsum ", 50))
}

// cluster is a running control plane.
type cluster struct {
	*controlplane.ControlPlane
	client  *http.Client
	name    string
	objects int
	cleanUp func()
}

// startCluster starts an empty one: on sqlite or postgres with the patches, on etcd as it is.
func startCluster(ctx context.Context, o options, name string) (*cluster, error) {
	config := controlplane.Config{
		Bin:  o.bin,
		Data: filepath.Join(o.out, name),
		Log:  func(line string) { fmt.Println("    " + line) },
	}
	if err := os.RemoveAll(config.Data); err != nil {
		return nil, err
	}
	c := &cluster{name: name, cleanUp: func() {}}
	switch name {
	case "sqlite":
		config.Store = controlplane.HariKube{}
	case "postgres":
		server, err := postgres.Run(o.bin)
		if err != nil {
			return nil, err
		}
		c.cleanUp = server.Stop
		config.Store = controlplane.HariKube{Endpoint: server.URL}
	case "etcd":
		config.Store = controlplane.Etcd{}
		config.APIServer = filepath.Join("unpatched", "kube-apiserver")
		config.APIServerArgs = []string{"--watch-cache=true"}
	default:
		return nil, fmt.Errorf("%q is no system: sqlite, postgres or etcd", name)
	}
	var err error
	if c.ControlPlane, err = controlplane.Start(ctx, config); err == nil {
		c.client, err = c.Client()
	}
	if err != nil {
		c.cleanUp()
		return nil, err
	}
	return c, nil
}

func (c *cluster) stop() {
	c.Stop(context.Background())
	c.cleanUp()
}

// do returns the body of an answer without an error; a path is one of the API server.
func (c *cluster) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	if strings.HasPrefix(path, "/") {
		path = c.URL + path
	}
	request, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %.300s", method, path, response.Status, answer)
	}
	return answer, err
}

// define makes the custom resource, and returns when it is served.
func (c *cluster) define(ctx context.Context) error {
	if _, err := c.do(ctx, http.MethodPost, definitions, []byte(definition)); err != nil {
		return err
	}
	return until(ctx, func() error {
		_, err := c.do(ctx, http.MethodGet, widgets+"?limit=1", nil)
		return err
	})
}

// until repeats something until it succeeds.
func until(ctx context.Context, attempt func() error) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		err := attempt()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// grow creates objects through the API server until there are so many.
func (c *cluster) grow(ctx context.Context, count, clients int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	next.Store(int64(c.objects))
	var workers sync.WaitGroup
	began := time.Now()
	for range clients {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= count {
					return
				}
				if _, err := c.do(ctx, http.MethodPost, widgets, c.widget(i)); err != nil {
					cancel(err)
				}
				if done := i + 1 - c.objects; done%20_000 == 0 {
					fmt.Printf("    %d objects, %.0f per second\n", i+1, float64(done)/time.Since(began).Seconds())
				}
			}
		})
	}
	workers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.objects = count
	return nil
}
