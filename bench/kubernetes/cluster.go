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

	"harikube.io/conformance/postgres"
	"harikube.io/controlplane"
)

// definition is of a resource with a selectable field.
func definition(group, kind string) string {
	singular := strings.ToLower(kind)
	return fmt.Sprintf(`{
  "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
  "metadata": {"name": "%[3]ss.%[1]s"},
  "spec": {
    "group": "%[1]s", "scope": "Namespaced",
    "names": {"plural": "%[3]ss", "singular": "%[3]s", "kind": "%[2]s"},
    "versions": [{
      "name": "v1", "served": true, "storage": true,
      "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object",
        "properties": {"color": {"type": "string"}, "text": {"type": "string"}}}}}},
      "selectableFields": [{"jsonPath": ".spec.color"}]
    }]
  }
}`, group, kind, singular)
}

const (
	definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	widgets     = "/apis/bench.test/v1/namespaces/default/widgets"

	progressEvery = 50_000 // objects
)

func (c *cluster) widget(i int) []byte {
	return c.object("bench.test", "Widget", fmt.Sprintf("w%d", i), i)
}

// object returns an object of about 1 KiB: with a label that no other has, one that a hundredth of
// the objects have, and on HariKube the label that keeps it out of the controller manager.
func (c *cluster) object(group, kind, name string, i int) []byte {
	skip := `,"skip-controller-manager-metadata-caching":""`
	if !c.ours() {
		skip = ""
	}
	return fmt.Appendf(nil, `{"apiVersion":"%s/v1","kind":"%s","metadata":{"name":"%s","namespace":"default",`+
		`"labels":{"name":"%[3]s","group":"g%d"%s}},`+
		`"spec":{"color":"c%d","text":"%s"}}`, group, kind, name, i%100, skip, i, strings.Repeat("lorem ipsum ", 50))
}

// cluster is a running control plane.
type cluster struct {
	*controlplane.ControlPlane
	client  *http.Client
	name    string
	objects int
	runs    int    // of k6
	folder  string // for its files
	token   string // of who sends its requests
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
	c := &cluster{name: name, folder: config.Data, cleanUp: func() {}}
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
	case "kine":
		config.Store = controlplane.Kine{}
	default:
		return nil, fmt.Errorf("%q is no system: sqlite, postgres, etcd or kine", name)
	}
	if !c.ours() {
		config.APIServer = filepath.Join("unpatched", "kube-apiserver")
		config.APIServerArgs = []string{"--watch-cache=true"}
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

// ours says whether it is HariKube with a patched API server.
func (c *cluster) ours() bool {
	return c.name == "sqlite" || c.name == "postgres"
}

func (c *cluster) stop() {
	c.Stop(context.Background())
	c.cleanUp()
}

// do sends JSON.
func (c *cluster) do(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	return c.send(ctx, method, path, "application/json", body)
}

// send returns the body of an answer without an error; a path is one of the API server.
func (c *cluster) send(ctx context.Context, method, path, contentType string, body []byte) ([]byte, error) {
	if strings.HasPrefix(path, "/") {
		path = c.URL + path
	}
	request, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		request.Header.Set("Content-Type", contentType)
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

// define makes a custom resource, and returns when it is served at the path.
func (c *cluster) define(ctx context.Context, definition, path string) error {
	if _, err := c.do(ctx, http.MethodPost, definitions, []byte(definition)); err != nil {
		return err
	}
	return until(ctx, func() error {
		_, err := c.do(ctx, http.MethodGet, path+"?limit=1", nil)
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
	return c.growBy(ctx, count, clients, 1, func(ctx context.Context, i, _ int) error {
		_, err := c.do(ctx, http.MethodPost, widgets, c.widget(i))
		return err
	})
}

// growBy has workers make the objects that are missing, from first to before last at a time.
func (c *cluster) growBy(
	ctx context.Context, count, workers, step int, add func(ctx context.Context, first, last int) error,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	next.Store(int64(c.objects))
	var group sync.WaitGroup
	began := time.Now()
	for range workers {
		group.Go(func() {
			for ctx.Err() == nil {
				first := int(next.Add(int64(step))) - step
				if first >= count {
					return
				}
				last := min(first+step, count)
				if err := add(ctx, first, last); err != nil {
					cancel(err)
				}
				if done := last - c.objects; done/progressEvery != (first-c.objects)/progressEvery {
					fmt.Printf("    %d objects, %.0f per second\n", last, float64(done)/time.Since(began).Seconds())
				}
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.objects = count
	return nil
}
