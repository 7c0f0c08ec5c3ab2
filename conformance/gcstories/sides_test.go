package gcstories

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"harikube.io/conformance/postgres"
	"harikube.io/controlplane"
)

var (
	build = filepath.Join("..", "..", "build")
	bin   = filepath.Join(build, "bin")
)

const (
	// within is for everything that only takes so long when it hangs.
	within = time.Minute
	// requestWithin is for one attempt at a request: in a crash it may hang.
	requestWithin = 15 * time.Second
	retryEvery    = 100 * time.Millisecond

	label      = "skip-controller-manager-metadata-caching"
	storyLabel = "story"
)

// side is a control plane.
type side struct {
	name     string
	database int  // anybody for Kubernetes as it is
	isShared bool // whether another server can take the database over
	config   controlplane.Config
	plane    *controlplane.ControlPlane
	client   *http.Client
	mirror   *mirror
}

// sides are played on at once: the first is Kubernetes as it is.
type sides []*side

// newSides starts them; they are stopped when the test ends.
func newSides(t *testing.T) sides {
	t.Helper()
	all := sides{
		{name: "etcd", database: anybody, config: controlplane.Config{
			Store:     controlplane.Etcd{},
			APIServer: filepath.Join("unpatched", "kube-apiserver"), ControllerManager: filepath.Join("unpatched", "kube-controller-manager"),
		}},
		{name: "sqlite", database: 0, config: controlplane.Config{Store: controlplane.HariKube{}}},
	}
	if endpoint, ok := postgres.DatabaseIfAny(t, bin); ok {
		all = append(all, &side{name: "postgres", database: 1, isShared: true, config: controlplane.Config{Store: controlplane.HariKube{Endpoint: endpoint}}})
	}
	t.Cleanup(all.stop)
	if err := all.each(func(s *side) error { return s.start(t) }); err != nil {
		t.Fatal(err)
	}
	return all
}

func (s *side) start(t *testing.T) error {
	config := s.config
	config.Bin = bin
	config.Data = filepath.Join(build, "test-data", "gcstories", s.name)
	if err := os.RemoveAll(config.Data); err != nil {
		return err
	}
	config.APIServerArgs = []string{"--enable-priority-and-fairness=false", "--max-requests-inflight=0", "--max-mutating-requests-inflight=0"}
	if s.database == anybody {
		config.APIServerArgs = append(config.APIServerArgs, "--watch-cache=true") // as it is unless it is told otherwise
	}
	config.ControllerManagerArgs = []string{
		"--controllers=garbage-collector-controller,serviceaccount-controller", "--concurrent-gc-syncs=20",
		"--kube-api-qps=500", "--kube-api-burst=500",
	}
	config.Log = func(line string) { t.Logf("%s: %s", s.name, line) }
	// Another package's tests start control planes at the same time, from the usual port on.
	var err error
	if config.Port, err = controlplane.FreePort(); err != nil {
		return err
	}
	config.Prepare = func(plane *controlplane.ControlPlane) error {
		s.plane = plane
		return s.prepare(t.Context())
	}
	s.plane, err = controlplane.Start(t.Context(), config)
	return err
}

// prepare makes what all stories need, and begins to follow their objects.
func (s *side) prepare(ctx context.Context) error {
	var err error
	if s.client, err = s.plane.Client(); err != nil {
		return err
	}
	s.mirror = &mirror{side: s, views: map[string]*view{}}
	for _, k := range everywhere {
		if k.isCustom() {
			if err := s.define(ctx, k); err != nil {
				return err
			}
		}
		if err := s.mirror.follow(ctx, k); err != nil {
			return err
		}
	}
	return s.createNamespace(ctx, string(elsewhere))
}

// define returns when the API server serves all of the kind.
func (s *side) define(ctx context.Context, k *kind) error {
	if _, err := s.insist(ctx, request{method: http.MethodPost, path: definitions, body: k.definition()}, http.StatusCreated, http.StatusConflict); err != nil {
		return err
	}
	_, err := s.insist(ctx, request{method: http.MethodGet, path: k.folder("") + "?limit=1"}, http.StatusOK)
	return err
}

const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

func (s *side) createNamespace(ctx context.Context, name string) error {
	_, err := s.insist(ctx, request{
		method: http.MethodPost, path: "/api/v1/namespaces", body: map[string]any{"metadata": map[string]any{"name": name}},
	}, http.StatusCreated, http.StatusConflict)
	return err
}

func (all sides) stop() {
	_ = all.each(func(s *side) error {
		if s.plane != nil {
			s.client.CloseIdleConnections()
			s.plane.Stop(context.Background())
		}
		return nil
	})
}

// each calls a function for all sides at once, and returns one of the errors.
func (all sides) each(call func(s *side) error) error {
	errs := make([]error, len(all))
	var done sync.WaitGroup
	for i, s := range all {
		done.Go(func() { errs[i] = call(s) })
	}
	done.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w", all[i].name, err)
		}
	}
	return nil
}

type request struct {
	method, path, contentType, accept string
	body                              any
}

func (r request) String() string {
	if r.body == nil {
		return r.method + " " + r.path
	}
	return fmt.Sprintf("%s %s %s", r.method, r.path, encode(r.body))
}

// metadata is what is compared of an object, and what it takes to change it.
type metadata struct {
	Name, Namespace   string
	UID               string
	ResourceVersion   string
	DeletionTimestamp *string
	Labels            map[string]string
	Finalizers        []string
	OwnerReferences   []ownerReference
}

type ownerReference struct {
	APIVersion         string `json:"apiVersion"`
	Kind               string `json:"kind"`
	Name               string `json:"name"`
	UID                string `json:"uid"`
	BlockOwnerDeletion *bool  `json:"blockOwnerDeletion,omitempty"`
	Controller         *bool  `json:"controller,omitempty"`
}

type answer struct {
	code     int
	Kind     string
	Metadata metadata
	Items    []struct{ Metadata metadata }
	Message  string
}

// insist asks until the answer has one of some codes. What is done twice by that has been done once.
func (s *side) insist(ctx context.Context, r request, codes ...int) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*within)
	defer cancel()
	ticker := time.NewTicker(retryEvery)
	defer ticker.Stop()
	for {
		a, err := s.ask(ctx, r)
		if err == nil && slices.Contains(codes, a.code) {
			return a, nil
		}
		if err == nil {
			err = fmt.Errorf("%v: %d %s", r, a.code, a.Message)
			if a.code >= 400 && a.code < 500 && a.code != http.StatusTooManyRequests && a.code != http.StatusNotFound {
				return a, err
			}
		}
		select {
		case <-ctx.Done():
			return a, err
		case <-ticker.C:
		}
	}
}

func (s *side) ask(ctx context.Context, r request) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, requestWithin)
	defer cancel()
	response, err := s.send(ctx, r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	a := answer{code: response.StatusCode}
	text, err := io.ReadAll(response.Body)
	if err == nil && json.Unmarshal(text, &a) != nil {
		a.Message = string(text)
	}
	return a, err
}

func (s *side) send(ctx context.Context, r request) (*http.Response, error) {
	var body io.Reader
	if r.body != nil {
		body = bytes.NewReader(encode(r.body))
	}
	request, err := http.NewRequestWithContext(ctx, r.method, s.plane.URL+r.path, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if r.contentType != "" {
		request.Header.Set("Content-Type", r.contentType)
	}
	if r.accept != "" {
		request.Header.Set("Accept", r.accept)
	}
	return s.client.Do(request)
}
